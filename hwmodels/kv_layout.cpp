#include "hwmodels/kv_layout.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "hwmodels/weights.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kPageBytesMax = std::int64_t{1} << 44;
constexpr std::int64_t kHashAlignment = 128;  // tokens: smallest block of MLA beside recurrent layers

bool is_attention(LayerKind kind) {
  return kind == LayerKind::full_attention || kind == LayerKind::sliding_window ||
         kind == LayerKind::chunked_local;
}

bool is_windowed(LayerKind kind) {
  return kind == LayerKind::sliding_window || kind == LayerKind::chunked_local;
}

/// What the model's layers have in common, as far as it decides block sizes.
struct Traits {
  bool attention = false, mla = false, sparse = false, recurrent = false, windowed = false;
  std::int64_t head_dim_max = 0;
};

Traits traits_of(const ModelSpec& model) {
  Traits traits;
  for (const LayerSpec& layer : model.layers) {
    traits.attention |= is_attention(layer.kind);
    traits.mla |= layer.kind == LayerKind::mla;
    traits.sparse |= layer.kind == LayerKind::mla && layer.mla.index_topk > 0;
    traits.recurrent |= layer.kind == LayerKind::recurrent;
    traits.windowed |= is_windowed(layer.kind);
    if (is_attention(layer.kind))
      traits.head_dim_max =
          std::max({traits.head_dim_max, layer.attention.head_dim_k, layer.attention.head_dim_v});
  }
  return traits;
}

bool is_fp8(KvDtype dtype) { return dtype == KvDtype::fp8_e4m3 || dtype == KvDtype::fp8_e5m2; }

KvDtype resolve_dtype(const ModelSpec& model, const Traits& traits, KvDtype dtype) {
  if (!traits.mla) {
    if (dtype == KvDtype::fp8_ds_mla)
      throw InputError("kv_cache_dtype: fp8_ds_mla needs sparse latent attention, which " + model.name +
                       " does not have");
    return dtype;
  }
  if (traits.sparse && is_fp8(dtype)) return KvDtype::fp8_ds_mla;
  if (traits.sparse && dtype == KvDtype::bfloat16) return KvDtype::model;
  const bool plain =
      dtype == KvDtype::model || dtype == KvDtype::bfloat16 || dtype == KvDtype::float16 || is_fp8(dtype);
  if (plain || (traits.sparse && dtype == KvDtype::fp8_ds_mla)) return dtype;
  throw InputError("kv_cache_dtype: no latent-attention kernel reads " + std::string(to_string(dtype)) +
                   " (" + model.name + " takes auto, bfloat16, float16, " +
                   (traits.sparse ? "fp8, fp8_ds_mla)" : "fp8)"));
}

/// The engine's own choice, or the user's where a kernel takes it.
std::int64_t choose_block_size(const ModelSpec& model, const Traits& traits, const KvOptions& options,
                               KvDtype dtype) {
  constexpr std::int64_t kSparseBlock = 64;
  if (options.block_size > 0) {
    if (traits.sparse && options.block_size % kSparseBlock != 0) {
      throw InputError("block_size: " + std::to_string(options.block_size) +
                       " is not a multiple of 64, which the sparse-attention kernels of " + model.name +
                       " need");
    }
    return options.block_size;
  }
  const bool wide_fp8 = traits.head_dim_max > 256 && is_fp8(dtype);
  const bool latent_fp8 = traits.mla && !traits.recurrent && is_fp8(dtype);
  return traits.sparse || wide_fp8 || latent_fp8 ? kSparseBlock
         : traits.mla                            ? options.mla_block_size
                                                 : options.default_block_size;
}

std::int64_t state_element_bytes(const KvOptions& options) {
  if (options.state_dtype.empty() || options.state_dtype == "auto") return 0;
  if (options.state_dtype == "float32") return 4;
  if (options.state_dtype == "bfloat16" || options.state_dtype == "float16") return 2;
  throw InputError("mamba_ssm_cache_dtype: unknown dtype \"" + options.state_dtype +
                   "\" (known: auto, float32, bfloat16, float16)");
}

/// Raises the block size until an attention page holds a recurrent state, so that both share one pool of
/// equal pages.
std::int64_t align_block_size(const ModelSpec& model, const KvOptions& options, KvDtype dtype,
                              std::int64_t block_size) {
  std::int64_t per_token = 0, state = 0;
  bool mla = false;
  for (const LayerSpec& layer : model.layers) {
    per_token =
        std::max(per_token, layer_bytes_per_token(layer, options.tensor_parallel, dtype, model.dtype_bytes));
    mla |= layer.kind == LayerKind::mla;
    if (layer.kind == LayerKind::recurrent) {
      state = std::max(state, state_bytes(layer.state, options.tensor_parallel, options.speculative_tokens,
                                          model.dtype_bytes, state_element_bytes(options)));
    }
  }
  if (per_token == 0) return block_size;
  const std::int64_t unit = mla ? std::max(block_size, kHashAlignment) : block_size;
  return std::max(unit, unit * ceil_div(state, unit * per_token));
}

std::int64_t index_bytes_per_token(const MlaShape& mla) {
  return mla.index_head_dim > 0 ? mla.index_head_dim * kIndexBytesPerElement + kIndexScaleBytes : 0;
}

void add_entries(const ModelSpec& model, const LayerSpec& layer, std::int64_t index, const KvOptions& options,
                 KvDtype dtype, std::int64_t block_size, std::vector<KvEntry>& entries) {
  KvEntry entry;
  entry.kind = layer.kind;
  entry.layer = index;
  entry.block_size = block_size;
  if (layer.kind == LayerKind::recurrent) {
    entry.page_bytes = state_bytes(layer.state, options.tensor_parallel, options.speculative_tokens,
                                   model.dtype_bytes, state_element_bytes(options));
    entry.checkpoint = options.state_checkpoints && (layer.state.family == StateFamily::mamba2 ||
                                                     layer.state.family == StateFamily::kimi_delta);
  } else if (is_attention(layer.kind) || layer.kind == LayerKind::mla) {
    entry.page_bytes =
        block_size * layer_bytes_per_token(layer, options.tensor_parallel, dtype, model.dtype_bytes);
    if (is_windowed(layer.kind)) entry.window = layer.attention.window;
    entry.retention = layer.retention;
  } else {
    return;
  }
  entry.unpadded_bytes = entry.page_bytes;
  if (entry.page_bytes > kPageBytesMax)
    throw InputError("block_size: one block of one layer would exceed 16 TiB");
  if (layer.kind == LayerKind::mla && index_bytes_per_token(layer.mla) > 0) {
    KvEntry index_entry = entry;
    index_entry.is_index = true;
    index_entry.page_bytes = index_entry.unpadded_bytes = block_size * index_bytes_per_token(layer.mla);
    entries.push_back(index_entry);
  }
  entries.push_back(entry);
}

std::vector<KvEntry> collect_entries(const ModelSpec& model, const KvOptions& options, KvDtype dtype,
                                     std::int64_t block_size) {
  std::vector<KvEntry> entries;
  std::int64_t index = 0;
  for (const LayerSpec& layer : model.layers)
    add_entries(model, layer, index++, options, dtype, block_size, entries);
  if (options.spec_method == "draft_model" && options.draft_model) {
    KvOptions draft = options;
    draft.tensor_parallel = options.draft_tensor_parallel;
    for (const LayerSpec& layer : options.draft_model->layers)
      add_entries(*options.draft_model, layer, index++, draft, dtype, block_size, entries);
  } else if (options.spec_method == "eagle" || options.spec_method == "eagle3") {
    LayerSpec draft = model.layers.front();
    if (is_attention(draft.kind)) draft.kind = LayerKind::full_attention;
    add_entries(model, draft, index, options, dtype, block_size, entries);
  } else if (options.spec_method == "mtp") {
    if (model.draft_layers.empty())
      throw InputError("speculative.method: " + model.name + " has no prediction layers (mtp)");
    for (const LayerSpec& layer : model.draft_layers)
      add_entries(model, layer, index++, options, dtype, block_size, entries);
  }
  return entries;
}

/// Recurrent pages grow to the attention page that align_block_size() made for them. Without prefix caching
/// one recurrent block spans the longest request.
void align_states(const KvOptions& options, std::vector<KvEntry>& entries) {
  std::int64_t attention = 0;
  for (const KvEntry& entry : entries) {
    if (entry.kind != LayerKind::recurrent) attention = std::max(attention, entry.page_bytes);
  }
  for (KvEntry& entry : entries) {
    if (entry.kind != LayerKind::recurrent) continue;
    entry.page_bytes = std::max(entry.page_bytes, attention);
    if (!options.prefix_caching) entry.block_size = options.max_model_len;
  }
}

/// Without the hybrid manager a windowed layer keeps every token, as a full one does.
void widen_windows(std::vector<KvEntry>& entries) {
  for (KvEntry& entry : entries) {
    if (!is_windowed(entry.kind)) continue;
    entry.kind = LayerKind::full_attention;
    entry.window = 0;
  }
}

/// Layers that can live in one group whatever their page: one kind, one window, one block size.
bool is_uniform(const std::vector<KvEntry>& entries) {
  return std::all_of(entries.begin(), entries.end(), [&](const KvEntry& entry) {
    return entry.kind == entries[0].kind && entry.window == entries[0].window &&
           entry.block_size == entries[0].block_size && entry.retention == entries[0].retention &&
           (entry.kind != LayerKind::recurrent || entry.page_bytes == entries[0].page_bytes);
  });
}

/// Makes all pages equal: the largest wins; a smaller attention page that divides it gets a larger block,
/// others are padded.
void equalize_pages(std::vector<KvEntry>& entries) {
  std::int64_t page = 0;
  for (const KvEntry& entry : entries) page = std::max(page, entry.page_bytes);
  for (KvEntry& entry : entries) {
    KVCAST_CHECK(entry.page_bytes > 0);
    const bool divides = entry.kind != LayerKind::recurrent && page % entry.page_bytes == 0;
    if (divides) {
      entry.block_size *= page / entry.page_bytes;
      entry.unpadded_bytes = page;
    }
    entry.page_bytes = page;
  }
}

using SpecKey = std::tuple<LayerKind, std::int64_t, std::int64_t, std::int64_t, Retention>;

/// Buckets of layers with equal specs, in order of their first layer, cut into groups of about equal size.
std::vector<KvLayoutGroup> make_groups(const std::vector<KvEntry>& entries) {
  std::vector<std::vector<KvEntry>> buckets;
  std::map<SpecKey, std::size_t> where;
  for (const KvEntry& entry : entries) {
    const SpecKey key{entry.kind, entry.block_size, entry.unpadded_bytes, entry.window, entry.retention};
    const auto [at, is_new] = where.emplace(key, buckets.size());
    if (is_new) buckets.emplace_back();
    buckets[at->second].push_back(entry);
  }
  std::size_t smallest = entries.size(), largest = 0;
  for (const auto& bucket : buckets) {
    smallest = std::min(smallest, bucket.size());
    largest = std::max(largest, bucket.size());
  }
  const std::size_t size = 2 * largest < 3 * smallest ? largest : smallest;
  std::vector<KvLayoutGroup> groups;
  for (const auto& bucket : buckets) {
    const std::size_t count = (bucket.size() + size - 1) / size;
    KVCAST_CHECK(count > 0);
    const std::size_t first = groups.size();
    for (std::size_t i = 0; i < bucket.size(); ++i) {
      if (i < count)
        groups.push_back({bucket[i].kind,
                          bucket[i].block_size,
                          bucket[i].window,
                          bucket[i].checkpoint,
                          bucket[i].retention,
                          {}});
      groups[first + i % count].entries.push_back(bucket[i]);
    }
  }
  return groups;
}

/// Bytes of one block on the ranks of one stage: any group may own it.
std::int64_t stage_block_bytes(const KvLayout& layout, bool uniform, std::int64_t begin, std::int64_t end) {
  std::int64_t bytes = 0;
  for (const KvLayoutGroup& group : layout.groups) {
    std::int64_t sum = 0, held = 0;
    for (const KvEntry& entry : group.entries) {
      if (entry.layer < begin || entry.layer >= end) continue;
      sum += entry.page_bytes;
      ++held;
    }
    bytes = std::max(bytes, uniform ? sum : held * group.page_bytes_max());
  }
  return bytes;
}

void sum_rank(const ModelSpec& model, const KvOptions& options, std::int64_t begin, std::int64_t end,
              KvLayout& layout) {
  layout.bytes_per_token = layout.state_bytes_per_sequence = 0;
  for (std::int64_t i = begin;
       i < std::min<std::int64_t>(end, static_cast<std::int64_t>(model.layers.size())); ++i) {
    const LayerSpec& layer = model.layers[static_cast<std::size_t>(i)];
    const bool unbounded = (layer.kind == LayerKind::full_attention || layer.kind == LayerKind::mla ||
                            !options.hybrid_manager) &&
                           layer.retention.blocks_max(1) == 0;
    if (unbounded) {
      layout.bytes_per_token +=
          layer_bytes_per_token(layer, options.tensor_parallel, layout.dtype, model.dtype_bytes) +
          index_bytes_per_token(layer.mla);
    }
    if (layer.kind == LayerKind::recurrent) {
      layout.state_bytes_per_sequence +=
          state_bytes(layer.state, options.tensor_parallel, options.speculative_tokens, model.dtype_bytes,
                      state_element_bytes(options));
    }
  }
}

}  // namespace

std::int64_t KvLayoutGroup::page_bytes_max() const {
  std::int64_t page = 0;
  for (const KvEntry& entry : entries) page = std::max(page, entry.page_bytes);
  return page;
}

std::int64_t state_bytes(const RecurrentShape& state, std::int64_t tensor_parallel,
                         std::int64_t speculative_tokens, std::int64_t dtype_bytes,
                         std::int64_t element_bytes) {
  const std::int64_t element = element_bytes > 0 ? element_bytes : state.state_bytes;
  const std::int64_t heads = state.heads / tensor_parallel;
  std::int64_t conv = 0;
  switch (state.family) {
    case StateFamily::mamba1:
      conv = heads;
      break;
    case StateFamily::mamba2: {
      // Groups that the ranks do not divide are raised to one per rank.
      const std::int64_t groups = state.groups % tensor_parallel == 0 ? state.groups / tensor_parallel : 1;
      conv = state.intermediate / tensor_parallel + 2 * groups * state.head_dim_k;
      break;
    }
    case StateFamily::gated_delta_net:
      conv = 2 * (state.key_heads / tensor_parallel) * state.head_dim_k + heads * state.head_dim_v;
      break;
    case StateFamily::kimi_delta:
      conv = 3 * heads * state.head_dim_v;
      break;
    case StateFamily::linear_attention:  // the sums of keys stand beside the matrix as one more column
      return heads * state.head_dim_k * (state.head_dim_v + 1) * element;
    case StateFamily::rwkv:
      conv = 2 * state.shifted;  // whole on every rank
      break;
  }
  return (state.conv_kernel - 1 + speculative_tokens) * conv * dtype_bytes +
         heads * state.head_dim_k * state.head_dim_v * element;
}

std::int64_t layer_bytes_per_token(const LayerSpec& layer, std::int64_t tensor_parallel, KvDtype dtype,
                                   std::int64_t dtype_bytes) {
  if (is_attention(layer.kind)) {
    const AttentionShape& shape = layer.attention;
    const std::int64_t kv_heads = kv_heads_per_rank(shape.kv_heads, tensor_parallel);
    const KvStorage& storage = layer.storage;
    const KvDtype stored = storage.as_model ? KvDtype::model : dtype;
    const bool own = storage.bits > 0 && !storage.as_model;
    const std::int64_t keys = own ? kv_vector_bytes(storage, storage.keys, shape.head_dim_k)
                                  : kv_vector_bytes(stored, shape.head_dim_k, dtype_bytes);
    const std::int64_t values = own ? kv_vector_bytes(storage, storage.values, shape.head_dim_v)
                                    : kv_vector_bytes(stored, shape.head_dim_v, dtype_bytes);
    return kv_heads * (storage.one_vector ? std::max(keys, values) : keys + values) +
           score_cost(layer.retention, shape.heads / tensor_parallel, kv_heads, shape.head_dim_k).stored;
  }
  if (layer.kind != LayerKind::mla) return 0;
  // The packed record keeps the rotary part in 16 bits and a scale per 128 latent values.
  if (dtype == KvDtype::fp8_ds_mla)
    return layer.mla.kv_lora_rank + 4 * ceil_div(layer.mla.kv_lora_rank, 128) + 2 * layer.mla.rope_dim;
  return kv_vector_bytes(dtype, layer.mla.kv_lora_rank + layer.mla.rope_dim, dtype_bytes);
}

std::int64_t kv_bytes_per_token(const ModelSpec& model, std::int64_t tensor_parallel, KvDtype dtype) {
  const KvDtype resolved = resolve_dtype(model, traits_of(model), dtype);
  std::int64_t bytes = 0;
  for (const LayerSpec& layer : model.layers) {
    const bool grows = (layer.kind == LayerKind::full_attention || layer.kind == LayerKind::mla) &&
                       layer.retention.blocks_max(1) == 0;
    if (grows)
      bytes += layer_bytes_per_token(layer, tensor_parallel, resolved, model.dtype_bytes) +
               index_bytes_per_token(layer.mla);
  }
  return bytes;
}

KvLayout make_kv_layout(const ModelSpec& model, const KvOptions& options) {
  const Traits traits = traits_of(model);
  KvLayout layout;
  layout.dtype = resolve_dtype(model, traits, options.dtype);
  if (traits.recurrent && !options.hybrid_manager) {
    throw InputError("disable_hybrid_kv_cache_manager: the recurrent layers of " + model.name +
                     " need the hybrid manager");
  }
  if (options.context_parallel > 1 && traits.sparse && layout.dtype != KvDtype::fp8_ds_mla) {
    throw InputError("decode_context_parallel_size: the sparse latent attention of " + model.name +
                     " needs kv_cache_dtype fp8_ds_mla for it, not " + std::string(to_string(layout.dtype)));
  }
  layout.block_size_resolved = choose_block_size(model, traits, options, layout.dtype);
  if (traits.recurrent)
    layout.block_size_resolved = align_block_size(model, options, layout.dtype, layout.block_size_resolved);
  layout.layers = collect_entries(model, options, layout.dtype, layout.block_size_resolved);
  if (layout.layers.empty()) return layout;
  align_states(options, layout.layers);
  std::vector<KvEntry> entries = layout.layers;
  if (!options.hybrid_manager) widen_windows(entries);
  const bool uniform = is_uniform(entries);
  if (uniform) {
    layout.groups.push_back({entries[0].kind, entries[0].block_size, entries[0].window, entries[0].checkpoint,
                             entries[0].retention, std::move(entries)});
  } else {
    equalize_pages(entries);
    layout.groups = make_groups(entries);
  }
  layout.block_size = layout.groups[0].block_size;
  for (const KvLayoutGroup& group : layout.groups)
    layout.block_size = std::min(layout.block_size, group.block_size);
  for (std::int64_t stage = 0; stage < options.pipeline_parallel; ++stage) {
    const auto [begin, end] = stage_layers(model, options.pipeline_parallel, stage);
    const bool last = stage == options.pipeline_parallel - 1;  // drafters live there
    const auto first_layer = static_cast<std::int64_t>(begin);
    const std::int64_t end_layer =
        last ? std::numeric_limits<std::int64_t>::max() : static_cast<std::int64_t>(end);
    const std::int64_t bytes = stage_block_bytes(layout, uniform, first_layer, end_layer);
    if (bytes > layout.bytes_per_block) {
      layout.bytes_per_block = bytes;
      sum_rank(model, options, first_layer, end_layer, layout);
    }
  }
  return layout;
}

std::int64_t group_blocks(const KvLayoutGroup& group, const KvOptions& options, std::int64_t tokens) {
  const std::int64_t flight = options.in_flight_tokens;
  if (group.retention.blocks_max(group.block_size) > 0)
    return group.retention.blocks(tokens, group.block_size);
  switch (group.kind) {
    case LayerKind::recurrent:
      return 1 + options.speculative_tokens + (options.prefix_caching ? 1 + (group.checkpoint ? 1 : 0) : 0);
    case LayerKind::sliding_window:
      return ceil_div(std::min(group.window - 1 + flight, tokens), group.block_size) + 1;
    case LayerKind::chunked_local:
      return ceil_div(std::min(group.window + flight, tokens), group.block_size);
    case LayerKind::full_attention:
    case LayerKind::mla:
      return ceil_div(ceil_div(tokens, options.context_parallel), group.block_size);
    case LayerKind::shared_kv:
    case LayerKind::no_attention:
      break;
  }
  check_failed("a group holds layers with a cache", __FILE__, __LINE__);
}

std::int64_t request_blocks(const KvLayout& layout, const KvOptions& options, std::int64_t tokens) {
  std::int64_t blocks = 0;
  for (const KvLayoutGroup& group : layout.groups) blocks += group_blocks(group, options, tokens);
  return blocks;
}

}  // namespace kvcast
