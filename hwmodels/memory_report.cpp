#include "hwmodels/memory_report.h"

#include "hwmodels/speculation.h"

#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/kv_capacity.h"
#include "hwmodels/kv_layout.h"
#include "hwmodels/memory_budget.h"
#include "hwmodels/weights.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

bool has_kind(const ModelSpec& model, LayerKind kind) {
  return std::any_of(model.layers.begin(), model.layers.end(),
                     [kind](const LayerSpec& layer) { return layer.kind == kind; });
}

KvOptions kv_options(const ModelSpec& model, const MemoryOptions& options, const MemoryReport& report) {
  KvOptions kv;
  kv.tensor_parallel = options.tensor_parallel_size;
  kv.pipeline_parallel = options.pipeline_parallel_size;
  kv.context_parallel = options.decode_context_parallel_size * options.context_parallel_size;
  kv.dtype = options.kv_cache_dtype;
  kv.block_size = options.block_size;
  kv.default_block_size = options.profile.block_size;
  kv.hybrid_manager = options.profile.hybrid_kv_cache_manager && !options.disable_hybrid_kv_cache_manager &&
                      (options.profile.chunked_local_hybrid || !has_kind(model, LayerKind::chunked_local));
  kv.mla_block_size = options.profile.mla_block_size;
  const bool caching = has_recurrent_state(model) ? options.profile.enable_prefix_caching_recurrent
                                                  : options.profile.enable_prefix_caching;
  kv.prefix_caching = options.enable_prefix_caching.value_or(caching);
  kv.max_model_len = report.max_model_len;
  kv.state_checkpoints = options.profile.state_checkpoints;
  kv.state_dtype = options.mamba_ssm_cache_dtype;
  kv.spec_method = options.spec_method;
  kv.speculative_tokens = options.num_speculative_tokens;
  kv.draft_model = options.draft_model;
  kv.draft_tensor_parallel = options.draft_tensor_parallel_size;
  // A window may hold what the batches in flight bring; n-gram drafting runs one batch at a time.
  const bool async =
      options.async_scheduling.value_or(options.profile.async_scheduling) && options.spec_method != "ngram";
  std::int64_t batches = options.pipeline_parallel_size;
  if (async && options.profile.async_doubles_window) ++batches;
  kv.in_flight_tokens = batches * report.max_num_batched_tokens;
  return kv;
}

void check_context_parallel(const ModelSpec& model, const MemoryOptions& options) {
  const std::int64_t dcp = options.decode_context_parallel_size;
  if (dcp == 1) return;
  if (options.tensor_parallel_size % dcp != 0)
    throw InputError("decode_context_parallel_size: must divide tensor_parallel_size");
  std::int64_t kv_heads = 0;
  for (const LayerSpec& layer : model.layers) {
    if (layer.kind != LayerKind::mla) kv_heads = std::max(kv_heads, layer.attention.kv_heads);
  }
  const std::string heads = std::to_string(kv_heads) + " KV heads";
  if (kv_heads > 0 && options.tensor_parallel_size <= kv_heads) {
    throw InputError(
        "decode_context_parallel_size: needs copies of the KV heads, which there are only where " +
        std::string("tensor_parallel_size exceeds the model's ") + heads + " (it is " +
        std::to_string(options.tensor_parallel_size) + ")");
  }
  if (kv_heads > 0 && dcp > options.tensor_parallel_size / kv_heads) {
    throw InputError("decode_context_parallel_size: " + std::to_string(dcp) + " exceeds the " +
                     std::to_string(options.tensor_parallel_size / kv_heads) +
                     " copies of a KV head, tensor_parallel_size " +
                     std::to_string(options.tensor_parallel_size) + " / " + heads);
  }
  if (has_kind(model, LayerKind::sliding_window) || has_kind(model, LayerKind::chunked_local))
    throw InputError("decode_context_parallel_size: windowed layers cannot be spread over ranks");
}

void fill_groups(const KvLayout& layout, const KvOptions& kv, std::int64_t max_model_len, KvReport& report) {
  for (const KvLayoutGroup& group : layout.groups) {
    KvGroupReport entry;
    entry.kind = std::string(to_string(group.kind));
    entry.layers = static_cast<std::int64_t>(group.entries.size());
    entry.block_size = group.block_size;
    entry.page_bytes = group.page_bytes_max();
    entry.window = group.window;
    entry.blocks_per_request = group_blocks(group, kv, max_model_len);
    entry.blocks_max = group.retention.blocks_max(group.block_size);
    entry.prompt_max = group.retention.prompt_max();
    report.groups.push_back(entry);
  }
}

void fill_kv(const ModelSpec& model, const KvLayout& layout, const KvCapacity& capacity, const KvOptions& kv,
             std::int64_t max_model_len, KvReport& report) {
  report.dtype = std::string(to_string(layout.dtype));
  report.scheme = kv_dtype_scheme(layout.dtype);
  const auto own = std::find_if(model.layers.begin(), model.layers.end(), [](const LayerSpec& layer) {
    return layer.storage.bits > 0 && !layer.storage.as_model;
  });
  if (own != model.layers.end()) {
    report.dtype = std::to_string(own->storage.bits) + " bits";
    report.scheme = "kv_quantization: " + describe(own->storage);
  }
  report.bytes_per_token = layout.bytes_per_token;
  report.state_bytes_per_sequence = layout.state_bytes_per_sequence;
  report.bytes_per_block = layout.bytes_per_block;
  report.block_size = layout.block_size;
  report.blocks_total = capacity.blocks_total;
  report.blocks_usable = capacity.blocks_usable;
  report.tokens_total = capacity.tokens_reported;
  report.tokens_capacity = capacity.tokens_capacity;
  report.max_concurrency = capacity.max_concurrency;
  report.blocks_per_request = capacity.blocks_per_request;
  report.bytes_per_request = capacity.bytes_per_request;
  report.pools = capacity.pools;
  report.bounded_share = capacity.bounded_share;
  fill_groups(layout, kv, max_model_len, report);
}

/// The kernel of MXFP4 experts: GPUs before compute capability 9 only have Marlin's.
std::string moe_backend(const GpuSpec& gpu, const MemoryOptions& options) {
  constexpr double kHopper = 9;
  if (!options.moe_backend.empty()) return options.moe_backend;
  return gpu.compute_capability < kHopper ? "marlin" : options.profile.mxfp4_backend;
}

/// Bytes of a drafter's own weights on one rank.
std::int64_t drafter_bytes(const ModelSpec& model, const WeightSplit& split, const MemoryOptions& options) {
  const std::string& method = options.spec_method;
  if (method == "medusa") return medusa_bytes(model, options.num_speculative_tokens, split.tensor_parallel);
  if (method == "draft_model" && options.draft_model) {
    const StageWeights weights =
        count_weights(*options.draft_model, {options.draft_tensor_parallel_size, 1, false, ""}, 0);
    return weights.parts.total() + weights.buffer_bytes + weights.mla_absorbed_bytes;
  }
  if (method != "mtp" && method != "eagle" && method != "eagle3") return 0;
  const DraftWeights draft = count_draft_weights(model, split, method == "mtp" ? method : "eagle");
  std::int64_t bytes = draft.parts.total() - draft.shareable_bytes + draft.mla_absorbed_bytes;
  if (method == "eagle3") bytes += eagle3_bytes(model);
  return bytes;
}

WeightSplit weight_split(const GpuSpec& gpu, const MemoryOptions& options) {
  return {options.tensor_parallel_size, options.pipeline_parallel_size, options.enable_expert_parallel,
          moe_backend(gpu, options), options.data_parallel_size * options.context_parallel_size};
}

WeightsReport fill_weights(const ModelSpec& model, const GpuSpec& gpu, const MemoryOptions& options) {
  WeightsReport report;
  report.refused = model.weights_refused;
  if (!report.refused.empty()) return report;
  const ParameterCount parameters = count_parameters(model);
  report.parameters = parameters.total;
  report.parameters_active = parameters.active;
  const WeightSplit split = weight_split(gpu, options);
  for (std::int64_t stage = 0; stage < split.pipeline_parallel; ++stage) {
    const StageWeights weights = count_weights(model, split, stage);
    if (weights.parts.total() <= report.bytes_per_rank) continue;
    report.bytes_per_rank = weights.parts.total();
    report.buffer_bytes = weights.buffer_bytes;
    report.mla_absorbed_bytes = weights.mla_absorbed_bytes;
  }
  report.draft_bytes = drafter_bytes(model, split, options);
  report.loaded_bytes =
      report.bytes_per_rank + report.buffer_bytes + report.mla_absorbed_bytes + report.draft_bytes;
  return report;
}

void check_positive(std::int64_t value, const char* name) {
  if (value < 1) throw InputError(std::string(name) + ": must be at least 1, is " + std::to_string(value));
}

/// The limits that follow from options and profile, and the checks of the split. \throws InputError
MemoryReport resolve(const ModelSpec& model, const MemoryOptions& options) {
  check_positive(options.tensor_parallel_size, "tensor_parallel_size");
  check_positive(options.pipeline_parallel_size, "pipeline_parallel_size");
  check_positive(options.decode_context_parallel_size, "decode_context_parallel_size");
  MemoryReport report;
  report.max_model_len = options.max_model_len > 0 ? options.max_model_len : model.max_position_embeddings;
  report.max_num_seqs = options.max_num_seqs > 0 ? options.max_num_seqs : options.profile.max_num_seqs;
  report.max_num_batched_tokens = options.max_num_batched_tokens > 0 ? options.max_num_batched_tokens
                                                                     : options.profile.max_num_batched_tokens;
  report.gpu_memory_utilization = options.gpu_memory_utilization > 0 ? options.gpu_memory_utilization
                                                                     : options.profile.gpu_memory_utilization;
  check_split(model,
              {options.tensor_parallel_size, options.pipeline_parallel_size, options.enable_expert_parallel,
               "", options.data_parallel_size * options.context_parallel_size});
  check_context_parallel(model, options);
  return report;
}

/// SGLang keeps windows and recurrent states in pools of their own; what they hold is not described here.
void check_one_pool(const ModelSpec& model) {
  for (const LayerKind kind : {LayerKind::sliding_window, LayerKind::chunked_local, LayerKind::recurrent}) {
    if (!has_kind(model, kind)) continue;
    throw InputError(
        model.name + ": SGLang keeps " + std::string(to_string(kind)) +
        " layers in a pool of their own, which this version of kvcast does not size; only models "
        "whose layers all keep every token are possible with a profile of SGLang");
  }
}

MemoryReport evaluate(const ModelSpec& model, const GpuSpec& gpu, const MemoryOptions& options) {
  if (is_sglang(options.profile)) check_one_pool(model);
  MemoryReport report = resolve(model, options);
  const KvOptions kv = kv_options(model, options, report);
  const KvLayout layout = make_kv_layout(model, kv);
  report.weights = fill_weights(model, gpu, options);
  if (options.available_kv_bytes) {
    report.available_kv_bytes = *options.available_kv_bytes;
  } else {
    MemoryOptions resolved = options;
    resolved.moe_backend = moe_backend(gpu, options);
    report.budget = memory_budget(model, gpu, resolved, report);
    for (const BudgetItem& item : report.budget) report.available_kv_bytes += item.bytes;
  }
  if (const std::int64_t each = residual_bytes(model, options.tensor_parallel_size); each > 0) {
    const std::int64_t all = each * report.max_num_seqs;
    report.available_kv_bytes -= all;
    if (!report.budget.empty())
      report.budget.push_back(
          {"Newest tokens in 16 bits", -all,
           "formula: residual_window tokens of max_num_seqs sequences, beside their blocks"});
  }
  if (layout.groups.empty()) {
    report.warnings.push_back(model.name + " keeps no KV cache");
    return report;
  }
  KvCapacity capacity = size_kv_pool(layout, kv, options.profile, report.available_kv_bytes,
                                     report.max_model_len, options.num_gpu_blocks_override.value_or(0));
  if (options.kv_pool_split && capacity.blocks_usable > 0)
    split_kv_pool(layout, kv, *options.kv_pool_split, report.max_model_len, capacity);
  fill_kv(model, layout, capacity, kv, report.max_model_len, report.kv);
  report.fits_max_model_len = capacity.fits_max_model_len;
  const bool must_fit = options.profile.checks_length && !options.num_gpu_blocks_override;
  if (!capacity.fits && (must_fit || capacity.blocks_usable == 0)) report.status = MemoryStatus::refused;
  return report;
}

/// Bytes as "12.34 GiB".
std::string gib(std::int64_t bytes) { return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / 0x1p30); }

/// True where a changed deployment starts; settings that the engine refuses outright count as not.
bool starts(const ModelSpec& model, const GpuSpec& gpu, const MemoryOptions& options) {
  try {
    return evaluate(model, gpu, options).status == MemoryStatus::ok;
  } catch (const InputError&) {
    return false;
  }
}

/// What would fit: a shorter length, more GPUs, an fp8 cache, another GPU.
std::string advice(const ModelSpec& model, const GpuSpec& gpu, const MemoryOptions& options,
                   const MemoryReport& report) {
  std::vector<std::string> ways;
  if (report.fits_max_model_len > 0)
    ways.push_back(fmt::format("max_model_len {}", report.fits_max_model_len));
  MemoryOptions changed = options;
  for (std::int64_t tp = 2 * options.tensor_parallel_size; tp <= 16 && !options.available_kv_bytes; tp *= 2) {
    changed.tensor_parallel_size = tp;
    if (!starts(model, gpu, changed)) continue;
    ways.push_back(fmt::format("tensor_parallel_size {}", tp));
    break;
  }
  changed = options;
  changed.kv_cache_dtype = KvDtype::fp8_e4m3;
  const bool wide = options.kv_cache_dtype == KvDtype::model || options.kv_cache_dtype == KvDtype::bfloat16 ||
                    options.kv_cache_dtype == KvDtype::float16;
  if (wide && starts(model, gpu, changed)) ways.emplace_back("kv_cache_dtype fp8");
  if (!options.available_kv_bytes) {
    std::optional<GpuSpec> smallest;
    for (const GpuSpec& other : list_gpus()) {
      if (other.memory_gib <= gpu.memory_gib || (smallest && other.memory_gib >= smallest->memory_gib))
        continue;
      if (starts(model, other, options)) smallest = other;
    }
    if (smallest) ways.push_back("gpu " + smallest->name);
  }
  if (ways.empty()) return "no single change of length, tensor parallelism, KV dtype or GPU makes it fit";
  return fmt::format("what would fit: {}", fmt::join(ways, ", or "));
}

std::string refusal(const MemoryReport& report) {
  if (report.available_kv_bytes <= 0) {
    return fmt::format("nothing is left for the KV cache: {} are missing", gib(-report.available_kv_bytes));
  }
  return fmt::format(
      "one request of max_model_len {} needs {} of KV cache (one block put aside), {} are available",
      report.max_model_len, gib(report.kv.bytes_per_request + report.kv.bytes_per_block),
      gib(report.available_kv_bytes));
}

/// Deployments that start but can stall.
void add_warnings(const MemoryOptions& options, MemoryReport& report) {
  const KvReport& kv = report.kv;
  if (kv.blocks_usable < kv.blocks_per_request) {
    report.warnings.push_back(fmt::format(
        "a request of max_model_len {} needs {} blocks and only {} can be handed out: it would wait for "
        "ever; the longest that fits: {}",
        report.max_model_len, kv.blocks_per_request, kv.blocks_usable, report.fits_max_model_len));
  }
  if (options.num_gpu_blocks_override && !report.budget.empty()) {
    const std::int64_t wanted = *options.num_gpu_blocks_override * kv.bytes_per_block;
    if (wanted > report.available_kv_bytes) {
      report.warnings.push_back(fmt::format("num_gpu_blocks_override takes {}, {} more than the GPU has left",
                                            gib(wanted), gib(wanted - report.available_kv_bytes)));
    }
  }
}

}  // namespace

KvLayout memory_layout(const ModelSpec& model, const MemoryOptions& options) {
  return make_kv_layout(model, kv_options(model, options, resolve(model, options)));
}

MemoryReport memory_report(const ModelSpec& model, const GpuSpec& gpu, const MemoryOptions& options) {
  if (!options.dtype.empty() && options.dtype != model.dtype) {
    ModelSpec converted = model;
    set_dtype(converted, options.dtype);
    return memory_report(converted, gpu, options);
  }
  MemoryReport report = evaluate(model, gpu, options);
  if (report.status == MemoryStatus::refused) {
    report.message = refusal(report) + "; " + advice(model, gpu, options, report);
  } else if (!report.kv.groups.empty()) {
    add_warnings(options, report);
  }
  return report;
}

std::vector<StageReport> stage_reports(const ModelSpec& model, const GpuSpec& gpu,
                                       const MemoryOptions& options) {
  const WeightSplit split = weight_split(gpu, options);
  std::vector<StageReport> stages;
  for (std::int64_t stage = 0; stage < split.pipeline_parallel; ++stage) {
    const StageWeights weights = count_weights(model, split, stage);
    const auto [first, last] = stage_layers(model, split.pipeline_parallel, stage);
    StageReport report;
    report.first_layer = static_cast<std::int64_t>(first);
    report.layers = static_cast<std::int64_t>(last - first);
    report.weight_bytes = weights.parts.total() + weights.buffer_bytes + weights.mla_absorbed_bytes;
    for (std::size_t i = first; i < last; ++i) {
      const LayerSpec& layer = model.layers[i];
      if (layer.kind != LayerKind::full_attention && layer.kind != LayerKind::mla) continue;
      report.kv_bytes_per_token +=
          layer_bytes_per_token(layer, split.tensor_parallel, options.kv_cache_dtype, model.dtype_bytes);
    }
    stages.push_back(report);
  }
  return stages;
}

}  // namespace kvcast
