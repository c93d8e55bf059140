#include "hwmodels/kv_storage.h"

#include <algorithm>
#include <charconv>

#include "hwmodels/kv_layout.h"
#include "hwmodels/model_spec.h"
#include "hwmodels/weights.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

bool keeps_vectors(const LayerSpec& layer) {
  return layer.kind == LayerKind::full_attention || layer.kind == LayerKind::sliding_window ||
         layer.kind == LayerKind::chunked_local || layer.kind == LayerKind::shared_kv;
}

std::string name_of(KvScales scales) {
  switch (scales) {
    case KvScales::per_tensor:
      return "per tensor";
    case KvScales::per_token_head:
      return "per token and head";
    case KvScales::per_channel:
      return "per channel";
  }
  return "";
}

}  // namespace

std::int64_t kv_vector_bytes(const KvStorage& storage, KvScales scales, std::int64_t elements) {
  const std::int64_t values = ceil_div(elements * storage.bits, 8);
  const std::int64_t scale = storage.zero_point ? 4 : 2;
  switch (scales) {
    case KvScales::per_tensor:
      return values;
    case KvScales::per_token_head:
      return values + scale * (storage.group_size > 0 ? ceil_div(elements, storage.group_size) : 1);
    case KvScales::per_channel:
      return values + ceil_div(scale * elements, storage.group_size);
  }
  return values;
}

std::int64_t residual_bytes(const ModelSpec& model, std::int64_t tensor_parallel) {
  std::int64_t bytes = 0;
  for (const LayerSpec& layer : model.layers) {
    if (layer.storage.residual == 0 || layer.kind == LayerKind::shared_kv) continue;
    const AttentionShape& shape = layer.attention;
    const std::int64_t kept = layer.retention.attended_max();
    const std::int64_t tokens = kept > 0 ? std::min(kept, layer.storage.residual) : layer.storage.residual;
    bytes += tokens * kv_heads_per_rank(shape.kv_heads, tensor_parallel) *
             (shape.head_dim_k + shape.head_dim_v) * model.dtype_bytes;
  }
  return bytes;
}

void apply_storage(ModelSpec& model, const KvStorage& storage, std::int64_t block_size) {
  const bool by_channel = storage.keys == KvScales::per_channel || storage.values == KvScales::per_channel;
  if (by_channel && storage.group_size == 0)
    throw InputError("kv_quantization: scales per channel need a group_size, the tokens that share one");
  if (by_channel && block_size % storage.group_size != 0) {
    throw InputError("kv_quantization: group_size " + std::to_string(storage.group_size) +
                     " does not divide the block size " + std::to_string(block_size) +
                     ": tokens of two blocks would share a scale");
  }
  for (LayerSpec& layer : model.layers) {
    if (layer.kind == LayerKind::mla)
      throw InputError("kv_quantization: " + model.name +
                       " keeps one latent for all heads (MLA); kv_cache_dtype fp8 is possible");
    if (!keeps_vectors(layer) || layer.storage.as_model) continue;
    const bool one_vector = layer.storage.one_vector;
    layer.storage = storage;
    layer.storage.one_vector = one_vector;
  }
}

void skip_layers(ModelSpec& model, const std::vector<std::string>& layers) {
  const auto count = static_cast<std::int64_t>(model.layers.size());
  for (const std::string& text : layers) {
    if (text == "sliding_window") {
      for (LayerSpec& layer : model.layers) layer.storage.as_model |= layer.kind == LayerKind::sliding_window;
      continue;
    }
    std::int64_t index = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc{} || end != text.data() + text.size() || index < 0 || index >= count) {
      throw InputError("kv_cache_dtype_skip_layers: \"" + text +
                       "\" is neither sliding_window nor a layer of " + model.name +
                       ", which count from 0 to " + std::to_string(count - 1));
    }
    model.layers[static_cast<std::size_t>(index)].storage.as_model = true;
  }
}

std::string describe(const KvStorage& storage) {
  std::string text = std::to_string(storage.bits) + " bits, keys " + name_of(storage.keys) + ", values " +
                     name_of(storage.values);
  if (storage.group_size > 0) text += ", groups of " + std::to_string(storage.group_size);
  if (storage.residual > 0) text += ", newest " + std::to_string(storage.residual) + " tokens in 16 bits";
  return text;
}

}  // namespace kvcast
