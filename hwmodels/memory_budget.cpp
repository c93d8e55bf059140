#include "hwmodels/memory_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/memory_budget_sglang.h"
#include "hwmodels/weights.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

std::int64_t gib_bytes(double gib) { return static_cast<std::int64_t>(std::llround(gib * 0x1p30)); }

/// Multiples that an expert kernel rounds its widths up to.
struct ExpertPadding {
  std::int64_t inner = 1;
  std::int64_t hidden = 1;
};

/// MXFP4 kernels, as count_weights() pads the weights; the step's tokens are copied into rows as wide.
ExpertPadding expert_padding(const ModelSpec& model, const MemoryOptions& options) {
  if (model.quantization.method != "mxfp4") return {};
  return options.moe_backend == "marlin" ? ExpertPadding{128, 256} : ExpertPadding{64, 1};
}

/// Elements per token that one layer's widest part holds on one rank, beside the hidden states. Experts
/// beyond dense parts are counted as the fused kernel's two workspaces, which hold top_k copies of each
/// token.
std::int64_t layer_elements(const LayerSpec& layer, std::int64_t hidden, std::int64_t tp,
                            const ExpertPadding& padding) {
  std::int64_t attention = 0;
  if (layer.kind == LayerKind::mla) {
    const MlaShape& mla = layer.mla;
    const std::int64_t heads = mla.heads / tp;
    attention = heads * (2 * (mla.nope_dim + mla.rope_dim) + mla.nope_dim +
                         2 * mla.v_dim);  // q, k, up-projected k and v, output
  } else if (layer.kind == LayerKind::recurrent) {
    const RecurrentShape& state = layer.state;
    attention = 4 * std::max(state.heads * state.head_dim_v, state.intermediate) /
                tp;  // projections, convolved inputs, output
  } else if (layer.kind != LayerKind::no_attention) {
    const AttentionShape& shape = layer.attention;
    const std::int64_t kv_heads = kv_heads_per_rank(shape.kv_heads, tp);
    attention = shape.heads / tp * (shape.head_dim_k * (shape.output_gate ? 2 : 1) + shape.head_dim_v) +
                kv_heads * (shape.head_dim_k + shape.head_dim_v);
  }
  const MlpShape& mlp = layer.mlp;
  const std::int64_t ups = mlp.gated ? 2 : 1;
  const std::int64_t dense = (ups + 1) * (mlp.intermediate + mlp.shared_intermediate) / tp;
  std::int64_t experts = 0;
  if (mlp.experts > 0) {
    const std::int64_t width = mlp.expert_hidden > 0 ? mlp.expert_hidden : hidden;
    const std::int64_t padded = padding.hidden * ceil_div(width, padding.hidden);
    const std::int64_t inner = padding.inner * ceil_div(mlp.expert_intermediate / tp, padding.inner);
    experts = mlp.top_k * (std::max(ups * inner, padded) + inner) + padded + (padded > width ? padded : 0);
  }
  return std::max({attention, dense, experts});
}

/// Bytes per logit that one sampling pass over `rows` rows holds at its peak.
std::int64_t sampler_bytes_per_logit(SamplerKernel sampler, std::int64_t rows) {
  constexpr std::int64_t kLogits = 2 + 4;                       // as computed, and in fp32
  if (sampler == SamplerKernel::fused) return kLogits + 4 + 4;  // masked logits and probabilities
  // PyTorch's sort (SortStable.cu): sorted values and 64-bit indices, then either both again as input indices
  // and the segmented radix sort's second buffers, or for fewer than 128 rows two pairs of (row, index),
  // sorted keys and the radix sort's second buffers.
  constexpr std::int64_t kSorted = 4 + 8;
  constexpr std::int64_t kSegmented = 8 + (4 + 8);
  constexpr std::int64_t kFull = 8 + 8 + 4 + (4 + 8);
  return kLogits + kSorted + (rows >= 128 || rows == 1 ? kSegmented : kFull);
}

/// The encoder's part: hidden state, residual and normed input beside the widest part of a layer, for each
/// patch of the items; then the vectors that it made of them.
void add_encoder(const ModelSpec& model, const MemoryOptions& options, std::int64_t tokens,
                 ActivationPeak& peak) {
  const VisionShape& vision = model.vision;
  if (vision.item_tokens == 0) return;
  const std::int64_t items = std::max<std::int64_t>(1, tokens / vision.item_tokens);
  const std::int64_t ranks =
      vision.heads % options.tensor_parallel_size == 0 ? options.tensor_parallel_size : 1;
  peak.encoder_bytes =
      items * vision.item_patches * (3 * vision.hidden + vision.widest_split / ranks) * model.dtype_bytes;
  peak.encoded_bytes = items * vision.item_embeddings * model.hidden_size * model.dtype_bytes;
}

/// Which part of the profiling run needs most.
std::string activation_cause(const ModelSpec& model, const MemoryReport& report, const ActivationPeak& peak) {
  const std::int64_t tokens = report.max_num_batched_tokens;
  const bool described = model.vision.item_tokens > 0;
  if (peak.encoder_bytes == peak.bytes() && described)
    return fmt::format("formula: widest layer of the vision encoder over {} patches an item",
                       model.vision.item_patches);
  std::string cause = peak.sampler_bytes > peak.forward_bytes
                          ? fmt::format("formula: logits and sampling of {} sequences in the profiling run",
                                        std::min(report.max_num_seqs, tokens))
                          : fmt::format("formula: widest layer of a profiling run of {} tokens", tokens);
  if (described) cause += ", beside the encoded items";
  if (model.vision.heads > 0 && !described) cause += "; the vision encoder's own run is not counted";
  return cause;
}

}  // namespace

ActivationPeak activation_peak(const ModelSpec& model, const MemoryOptions& options, std::int64_t tokens,
                               std::int64_t rows) {
  std::int64_t widest = 0;
  for (const LayerSpec& layer : model.layers)
    widest = std::max(widest, layer_elements(layer, model.hidden_size, options.tensor_parallel_size,
                                             expert_padding(model, options)));
  ActivationPeak peak;
  peak.forward_bytes = tokens * (widest + 3 * model.hidden_size) * model.dtype_bytes;
  const std::int64_t sampled = std::min(rows, tokens);
  peak.sampler_bytes =
      sampled * model.vocab_size * sampler_bytes_per_logit(options.profile.sampler, sampled) +
      tokens * model.hidden_size * model.dtype_bytes;
  add_encoder(model, options, tokens, peak);
  return peak;
}

std::vector<BudgetItem> memory_budget(const ModelSpec& model, const GpuSpec& gpu,
                                      const MemoryOptions& options, const MemoryReport& report) {
  if (!report.weights.refused.empty()) {
    throw InputError(model.source + ": the weights cannot be counted: " + report.weights.refused +
                         " (give the KV cache's bytes with available_kv_bytes)",
                     ExitCode::bad_data);
  }
  if (is_sglang(options.profile)) return sglang_memory_budget(model, gpu, options, report);
  const std::int64_t total = gpu.memory_bytes();
  const auto budget =
      static_cast<std::int64_t>(std::ceil(static_cast<double>(total) * report.gpu_memory_utilization));
  std::vector<BudgetItem> items;
  const auto add = [&items](const char* item, std::int64_t bytes, std::string source) {
    items.push_back({item, bytes, std::move(source)});
  };
  add("gpu_memory", total, "measured: total memory of " + gpu.name + " as its driver reports it");
  add("outside_utilization", budget - total,
      fmt::format("formula: 1 - gpu_memory_utilization {}", report.gpu_memory_utilization));
  add("weights", -report.weights.bytes_per_rank,
      fmt::format("formula: parameters of {} on one of {} ranks, {}", model.name,
                  options.tensor_parallel_size, to_string(model.quantization.format)));
  add("weight_buffers", -report.weights.buffer_bytes,
      "formula: rotary tables and other buffers beside the parameters");
  if (report.weights.mla_absorbed_bytes > 0) {
    add("mla_absorbed", -report.weights.mla_absorbed_bytes,
        "formula: copies of kv_b_proj made after loading");
  }
  if (report.weights.draft_bytes > 0)
    add("drafter", -report.weights.draft_bytes, "formula: the drafter's parameters without those it shares");
  const ActivationPeak peak =
      activation_peak(model, options, report.max_num_batched_tokens, report.max_num_seqs);
  add("activations", -peak.bytes(), activation_cause(model, report, peak));
  const BudgetConstants& constants = options.constants;
  const double non_torch = constants.non_torch_gib + constants.non_torch_gib_per_rank *
                                                         static_cast<double>(options.tensor_parallel_size);
  add("non_torch", -gib_bytes(non_torch),
      fmt::format("assumption: {} GiB and {} GiB per tensor-parallel rank, from published vLLM logs",
                  constants.non_torch_gib, constants.non_torch_gib_per_rank));
  if (options.profile.subtracts_cuda_graphs && !options.enforce_eager) {
    const auto sizes =
        static_cast<std::int64_t>(captured_sizes(options.profile.cuda_graphs, report.max_num_seqs).size());
    const double mib = constants.graph_mib_per_layer_and_size *
                       static_cast<double>(sizes * static_cast<std::int64_t>(model.layers.size())) /
                       static_cast<double>(options.pipeline_parallel_size);
    add("cuda_graphs", -gib_bytes(mib / 1024),
        fmt::format(
            "assumption: {} MiB per layer and captured batch size ({} sizes), from published vLLM logs",
            constants.graph_mib_per_layer_and_size, sizes));
  }
  return items;
}

}  // namespace kvcast
