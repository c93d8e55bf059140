#include "hwmodels/model_sharing.h"

#include "sim/base/error.h"

namespace kvcast {
namespace {

bool attends(const LayerSpec& layer) {
  return layer.kind == LayerKind::full_attention || layer.kind == LayerKind::sliding_window ||
         layer.kind == LayerKind::chunked_local;
}

bool same_shape(const LayerSpec& a, const LayerSpec& b) {
  return a.kind == b.kind && a.attention.kv_heads == b.attention.kv_heads &&
         a.attention.head_dim_k == b.attention.head_dim_k && a.attention.head_dim_v == b.attention.head_dim_v;
}

void share(LayerSpec& layer) {
  layer.kind = LayerKind::shared_kv;
  layer.projects_kv = false;
}

void share_across(const FamilyInput& input) {
  const std::int64_t factor = input.text.integer("cross_layer_sharing", 1, 64);
  std::int64_t behind = factor;  // layers since the last that keeps its own
  const LayerSpec* owner = nullptr;
  for (LayerSpec& layer : input.spec->layers) {
    if (!attends(layer)) continue;
    if (owner != nullptr && behind < factor && same_shape(*owner, layer)) {
      share(layer);
      ++behind;
    } else {
      owner = &layer;
      behind = 1;
    }
  }
}

void decode_twice(const FamilyInput& input) {
  std::vector<LayerSpec>& layers = input.spec->layers;
  const std::int64_t window = input.text.integer("yoco_window", 1, HfConfig::kPositionsMax);
  const std::size_t half = layers.size() / 2;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].kind != LayerKind::full_attention)
      input.text.fail("yoco_window", "needs a model whose layers are all full attention");
    if (i < half) {
      layers[i].kind = LayerKind::sliding_window;
      layers[i].attention.window = window;
    } else if (i > half) {
      share(layers[i]);
    }
  }
}

/// The attention layers that a key lists.
std::vector<LayerSpec*> listed(const FamilyInput& input, std::string_view key) {
  std::vector<LayerSpec>& layers = input.spec->layers;
  std::vector<LayerSpec*> found;
  for (const std::int64_t index : input.text.integers(key, 0, static_cast<std::int64_t>(layers.size()) - 1)) {
    LayerSpec& layer = layers[static_cast<std::size_t>(index)];
    if (!attends(layer))
      input.text.fail(key, "layer " + std::to_string(index) + " has no attention to replace");
    found.push_back(&layer);
  }
  return found;
}

void linearise(const FamilyInput& input) {
  for (LayerSpec* layer : listed(input, "linear_attention_layers")) {
    const AttentionShape& shape = layer->attention;
    layer->kind = LayerKind::recurrent;
    layer->state = {};
    layer->state.family = StateFamily::linear_attention;
    layer->state.heads = shape.heads;
    layer->state.key_heads = shape.kv_heads;
    layer->state.head_dim_k = shape.head_dim_k;
    layer->state.head_dim_v = shape.head_dim_v;
  }
}

void stream(const FamilyInput& input) {
  const std::int64_t sinks = input.text.integer_or("streaming_sinks", 4, 1, 1 << 16);
  const std::int64_t window = input.text.integer("streaming_window", 1, HfConfig::kPositionsMax);
  for (LayerSpec* layer : listed(input, "streaming_layers"))
    layer->retention = {.form = RetentionForm::sinks, .sinks = sinks, .window = window};
}

}  // namespace

void read_sharing(const FamilyInput& input) {
  const HfConfig& text = input.text;
  if (text.has("linear_attention_layers")) linearise(input);
  if (text.has("streaming_layers")) stream(input);
  if (text.has("yoco_window")) decode_twice(input);
  if (text.has("cross_layer_sharing")) share_across(input);
  if (!text.boolean_or("key_value_sharing", false)) return;
  for (LayerSpec& layer : input.spec->layers) {
    if (!attends(layer) && layer.kind != LayerKind::shared_kv) continue;
    if (layer.attention.head_dim_k != layer.attention.head_dim_v)
      text.fail("key_value_sharing", "needs keys and values of one width");
    layer.storage.one_vector = true;
  }
}

}  // namespace kvcast
