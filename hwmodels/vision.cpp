/// Vision towers of the multimodal families: their weights and their part of the profiling run take the KV
/// cache's memory.
#include <algorithm>

#include "hwmodels/model_families.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kCountMax = HfConfig::kCountMax;

/// A linear with its bias; column-parallel layers split both, row-parallel ones keep the bias whole.
struct Linear {
  std::int64_t in, out;
  bool bias;
};

void add_column(VisionShape& vision, const Linear& linear, std::int64_t times = 1) {
  vision.parameters_split += times * (linear.in * linear.out + (linear.bias ? linear.out : 0));
}

void add_row(VisionShape& vision, const Linear& linear, std::int64_t times = 1) {
  vision.parameters_split += times * linear.in * linear.out;
  if (linear.bias) vision.parameters += times * linear.out;
}

/// A tower of attention (queries, keys, values, output) and an MLP of two linears.
void set_widest(VisionShape& vision, std::int64_t hidden, std::int64_t intermediate) {
  vision.hidden = hidden;
  vision.widest_split = std::max(4 * hidden, 2 * intermediate);
}

/// Qwen3-VL and Qwen3.5: a ViT with learnt and rotary positions, 2x2 patches merged into one token, one
/// merger per DeepStack level.
VisionShape qwen_vision(const HfConfig& config, std::int64_t dtype_bytes) {
  VisionShape vision;
  vision.heads = config.integer("num_heads", 1, kCountMax);
  const std::int64_t depth = config.integer("depth", 1, 4096);
  const std::int64_t hidden = config.integer("hidden_size", 1);
  const std::int64_t intermediate = config.integer("intermediate_size", 1);
  const std::int64_t out = config.integer("out_hidden_size", 1);
  const std::int64_t patch = config.integer("patch_size", 1, 256);
  const std::int64_t patch_volume =
      config.integer("in_channels", 1, 64) * config.integer("temporal_patch_size", 1, 64) * patch * patch;
  const std::int64_t merge = config.integer("spatial_merge_size", 1, 64);
  const std::int64_t merged = hidden * merge * merge;
  const std::int64_t deepstack =
      config.has("deepstack_visual_indexes")
          ? static_cast<std::int64_t>(config.integers("deepstack_visual_indexes", 0).size())
          : 0;
  add_column(vision, {hidden, 3 * hidden, true}, depth);
  add_row(vision, {hidden, hidden, true}, depth);
  add_column(vision, {hidden, intermediate, true}, depth);
  add_row(vision, {intermediate, hidden, true}, depth);
  vision.parameters += depth * 4 * hidden;  // two layer norms with bias
  add_column(vision, {merged, merged, true}, 1 + deepstack);
  add_row(vision, {merged, out, true}, 1 + deepstack);
  vision.parameters += 2 * hidden + deepstack * 2 * merged;  // DeepStack mergers norm after merging
  vision.parameters += patch_volume * hidden + hidden + config.integer("num_position_embeddings", 1) * hidden;
  constexpr std::int64_t kRotaryRows = 8192;  // positions of a grid's side for which vLLM builds the table
  vision.buffer_bytes = kRotaryRows * (hidden / vision.heads / 2) * dtype_bytes;
  // The image processor's longest_edge, in pixels of the whole image (Qwen3-VL's preprocessor_config.json).
  constexpr std::int64_t kPixelsMax = 16'777'216;
  set_widest(vision, hidden, intermediate);
  vision.item_patches = kPixelsMax / (patch * patch);
  vision.item_tokens = vision.item_embeddings = vision.item_patches / (merge * merge);
  return vision;
}

/// Gemma 4: not split over the ranks.
VisionShape gemma4_vision(const HfConfig& config, std::int64_t text_hidden) {
  VisionShape vision;
  vision.heads = config.integer("num_attention_heads", 1, kCountMax);
  const std::int64_t layers = config.integer("num_hidden_layers", 1, 4096);
  const std::int64_t hidden = config.integer("hidden_size", 1);
  const std::int64_t head_dim = config.integer_or("head_dim", hidden / vision.heads, 1, kCountMax);
  const std::int64_t kv_heads = config.integer_or("num_key_value_heads", vision.heads, 1, vision.heads);
  const std::int64_t intermediate = config.integer("intermediate_size", 1);
  const std::int64_t patch = config.integer("patch_size", 1, 256);
  vision.parameters = layers * (hidden * head_dim * 2 * (vision.heads + kv_heads) + 2 * head_dim +
                                3 * hidden * intermediate + 4 * hidden);
  vision.parameters += 3 * patch * patch * hidden +
                       2 * config.integer("position_embedding_size", 1) * hidden + hidden * text_hidden;
  constexpr std::int64_t kLayerBuffers = 176;  // as vLLM 0.32's tower has them; and one embedding scale
  vision.buffer_bytes = layers * kLayerBuffers + 2;
  // A video of 32 frames, 70 vectors each and 8 tokens of time stamps between them, is larger than an image.
  constexpr std::int64_t kFrames = 32, kVectorsPerFrame = 70, kStampTokens = 8;
  vision.item_embeddings = kFrames * kVectorsPerFrame;
  vision.item_tokens = kFrames * (kVectorsPerFrame + kStampTokens);
  return vision;
}

/// Llama 4; files leave out the tower where it is the class's default, which these fallbacks are.
VisionShape llama4_vision(const std::optional<HfConfig>& config, std::int64_t text_hidden) {
  const auto get = [&config](const char* key, std::int64_t fallback) {
    return config ? config->integer_or(key, fallback, 1, kCountMax) : fallback;
  };
  VisionShape vision;
  vision.heads = get("num_attention_heads", 16);
  const std::int64_t layers = get("num_hidden_layers", 34);
  const std::int64_t hidden = get("hidden_size", 768);
  const std::int64_t intermediate = get("intermediate_size", 5632);
  const std::int64_t patch = get("patch_size", 14);
  const std::int64_t side = get("image_size", 448) / patch;
  const std::int64_t positions = side * side + 1;
  const std::int64_t projector_in = get("projector_input_dim", 4096);
  const std::int64_t projector_out = get("projector_output_dim", 4096);
  add_column(vision, {hidden, 3 * hidden, true}, layers);
  add_row(vision, {hidden, hidden, true}, layers);
  add_column(vision, {hidden, intermediate, true}, layers);
  add_row(vision, {intermediate, hidden, true}, layers);
  vision.parameters += layers * 4 * hidden + hidden + positions * hidden +
                       4 * hidden;  // norms, class token, positions, outer norms
  add_column(vision, {3 * patch * patch, hidden, false});
  add_column(vision, {intermediate, projector_in, false});
  add_row(vision, {projector_in, projector_out, false});
  add_column(vision, {get("vision_output_dim", 7680), text_hidden, false});
  vision.buffer_bytes = positions * (hidden / vision.heads / 2) * 8;  // complex rotations
  // Up to 16 tiles and the whole image once more (max_patches of the image processor); four patches make one
  // vector.
  constexpr std::int64_t kTiles = 16 + 1, kPatchesPerVector = 4;
  set_widest(vision, hidden, intermediate);
  vision.item_patches = kTiles * positions;
  vision.item_tokens = vision.item_embeddings = kTiles * (side * side / kPatchesPerVector);
  return vision;
}

/// Kimi-K2.5/K3's MoonViT with the patch-merger projector.
VisionShape kimi_vision(const HfConfig& config) {
  VisionShape vision;
  vision.heads = config.integer("vt_num_attention_heads", 1, kCountMax);
  const std::int64_t layers = config.integer("vt_num_hidden_layers", 1, 4096);
  const std::int64_t hidden = config.integer("vt_hidden_size", 1);
  const std::int64_t qkv = config.integer_or("qkv_hidden_size", hidden, 1);
  const std::int64_t intermediate = config.integer("vt_intermediate_size", 1);
  const std::int64_t patch = config.integer("patch_size", 1, 256);
  const bool attention_bias = config.boolean_or("attn_bias", true);
  const bool linear_bias = config.boolean_or("linear_bias", true);
  const std::vector<std::int64_t> merge = config.integers("merge_kernel_size", 1, 64);
  if (merge.size() != 2) config.fail("merge_kernel_size", "must hold two numbers");
  const std::int64_t merged = config.integer("mm_hidden_size", 1) * merge[0] * merge[1];
  const std::int64_t text_hidden = config.integer("text_hidden_size", 1);
  add_column(vision, {hidden, 3 * qkv, attention_bias}, layers);
  add_row(vision, {qkv, hidden, attention_bias}, layers);
  add_column(vision, {hidden, intermediate, linear_bias}, layers);
  add_row(vision, {intermediate, hidden, linear_bias}, layers);
  vision.parameters += layers * 2 * hidden + hidden;
  vision.parameters +=
      3 * patch * patch * hidden + (config.boolean_or("patch_embed_proj_bias", true) ? hidden : 0);
  vision.parameters += config.integer("init_pos_emb_height", 1, kCountMax) *
                       config.integer("init_pos_emb_width", 1, kCountMax) * hidden;
  vision.parameters += merged * merged + merged * text_hidden + text_hidden;
  vision.buffer_bytes = config.integer_or("init_pos_emb_time", 0, 0, kCountMax) * hidden * 4;
  return vision;
}

}  // namespace

void read_vision(const FamilyInput& input) {
  ModelSpec& spec = *input.spec;
  const std::optional<HfConfig> config = input.root.child("vision_config");
  if (spec.model_type == "llama4_text" && spec.architecture == "Llama4ForConditionalGeneration") {
    spec.vision = llama4_vision(config, spec.hidden_size);
    return;
  }
  const bool multimodal = spec.architecture.find("ForConditionalGeneration") != std::string::npos;
  if (!config) {
    if (multimodal && spec.weights_refused.empty()) spec.weights_refused = "vision_config is not in the file";
    return;
  }
  if (spec.model_type.rfind("qwen3_5", 0) == 0 || spec.model_type.rfind("qwen3_vl", 0) == 0) {
    spec.vision = qwen_vision(*config, spec.dtype_bytes);
  } else if (spec.model_type == "gemma4_text") {
    spec.vision = gemma4_vision(*config, spec.hidden_size);
  } else if (config->has("mm_projector_type") && config->text("mm_projector_type") == "patchmergerv2") {
    spec.vision = kimi_vision(*config);
  } else if (spec.weights_refused.empty()) {
    spec.weights_refused = "the vision tower of " + spec.architecture + " is not modelled";
  }
}

}  // namespace kvcast
