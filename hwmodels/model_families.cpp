#include "hwmodels/model_families.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kLayersMax = 4096;

/// The layer kind behind a name in layer_types.
LayerKind kind_of_type(const FamilyInput& input, const std::string& type) {
  if (type == "full_attention" || type == "attention") return LayerKind::full_attention;
  if (type == "sliding_attention") return LayerKind::sliding_window;
  if (type == "chunked_attention") return LayerKind::chunked_local;
  input.text.fail("layer_types",
                  "unknown layer type \"" + type + "\"" +
                      known_names(type, {"full_attention", "sliding_attention", "chunked_attention"}));
}

/// Sets kinds and windows from layer_types, or from `is_local` where the file has none.
template <class IsLocal>
void set_kinds(const FamilyInput& input, LayerKind local, std::string_view window_key, IsLocal is_local) {
  const std::vector<std::string> types = read_layer_types(input);
  for (std::size_t i = 0; i < input.spec->layers.size(); ++i) {
    LayerSpec& layer = input.spec->layers[i];
    if (types.empty()) {
      layer.kind = is_local(static_cast<std::int64_t>(i)) ? local : LayerKind::full_attention;
    } else {
      layer.kind = kind_of_type(input, types[i]);
    }
    if (layer.kind != LayerKind::full_attention)
      layer.attention.window = input.text.integer(window_key, 1, HfConfig::kPositionsMax);
  }
}

void fill_layers(const FamilyInput& input, const AttentionShape& attention, const MlpShape& mlp) {
  LayerSpec layer;
  layer.attention = attention;
  layer.mlp = mlp;
  input.spec->layers.assign(static_cast<std::size_t>(layer_count(input)), layer);
  add_rope_table(input, rotary_dim(input, attention.head_dim_k));
}

/// A uniform window as Mistral's and Phi-3's classes have it: every layer, unless use_sliding_window is
/// false.
void set_uniform_window(const FamilyInput& input) {
  const bool windowed = input.text.has("sliding_window") && input.text.boolean_or("use_sliding_window", true);
  set_kinds(input, LayerKind::sliding_window, "sliding_window", [&](std::int64_t) { return windowed; });
}

/// Qwen's window: off by default, and only from layer max_window_layers on.
void set_qwen_window(const FamilyInput& input) {
  const bool windowed =
      input.text.boolean_or("use_sliding_window", false) && input.text.has("sliding_window");
  const std::int64_t first = windowed ? input.text.integer("max_window_layers", 0) : 0;
  set_kinds(input, LayerKind::sliding_window, "sliding_window",
            [&](std::int64_t i) { return windowed && i >= first; });
}

void read_llama(const FamilyInput& input) {
  AttentionShape attention = read_attention(input);
  attention.qkv_bias = attention.output_bias = input.text.boolean_or("attention_bias", false);
  MlpShape mlp = read_dense_mlp(input);
  mlp.bias = input.text.boolean_or("mlp_bias", false);
  fill_layers(input, attention, mlp);
  set_uniform_window(input);
}

void read_qwen2(const FamilyInput& input) {
  AttentionShape attention = read_attention(input);
  attention.qkv_bias = true;
  fill_layers(input, attention, read_dense_mlp(input));
  set_qwen_window(input);
}

void read_mimo(const FamilyInput& input) {
  read_qwen2(input);
  const std::int64_t drafts = input.text.integer_or("num_nextn_predict_layers", 0, 0, kLayersMax);
  input.spec->draft_layers.assign(static_cast<std::size_t>(drafts), input.spec->layers.back());
}

AttentionShape qwen3_attention(const FamilyInput& input) {
  AttentionShape attention = read_attention(input);
  attention.qkv_bias = attention.output_bias = input.text.boolean_or("attention_bias", false);
  attention.qk_norm = true;
  return attention;
}

void read_qwen3(const FamilyInput& input) {
  fill_layers(input, qwen3_attention(input), read_dense_mlp(input));
  set_qwen_window(input);
}

void read_gemma2(const FamilyInput& input) {
  AttentionShape attention = read_attention(input);
  fill_layers(input, attention, read_dense_mlp(input));
  for (LayerSpec& layer : input.spec->layers) layer.norms = 4;
  set_kinds(input, LayerKind::sliding_window, "sliding_window", [](std::int64_t i) { return i % 2 == 0; });
}

void read_gemma3(const FamilyInput& input) {
  // The text class has defaults that files leave out: 8 heads, 4 KV heads, head width 256.
  AttentionShape attention;
  attention.heads = input.text.integer_or("num_attention_heads", 8, 1, HfConfig::kCountMax);
  attention.kv_heads = input.text.integer_or("num_key_value_heads", 4, 1, HfConfig::kCountMax);
  attention.head_dim_k = attention.head_dim_v =
      input.text.integer_or("head_dim", 256, 1, HfConfig::kCountMax);
  attention.qk_norm = true;
  fill_layers(input, attention, read_dense_mlp(input));
  for (LayerSpec& layer : input.spec->layers) layer.norms = 4;
  add_rope_table(input, attention.head_dim_k);  // sliding layers rotate with another base
  const std::int64_t pattern = input.text.integer_or("sliding_window_pattern", 6, 1);
  set_kinds(input, LayerKind::sliding_window, "sliding_window",
            [&](std::int64_t i) { return (i + 1) % pattern != 0; });
}

void read_gemma4(const FamilyInput& input) {
  const HfConfig& text = input.text;
  AttentionShape sliding = read_attention(input);
  sliding.qk_norm = true;
  sliding.qkv_bias = sliding.output_bias = text.boolean_or("attention_bias", false);
  AttentionShape full = sliding;
  full.kv_heads = text.integer_or("num_global_key_value_heads", sliding.kv_heads, 1, sliding.heads);
  full.head_dim_k = full.head_dim_v =
      text.integer_or("global_head_dim", sliding.head_dim_k, 1, HfConfig::kCountMax);
  MlpShape mlp = read_dense_mlp(input);
  const bool moe = text.boolean_or("enable_moe_block", text.has("num_experts"));
  if (moe) {
    mlp.experts = text.integer("num_experts", 1, HfConfig::kCountMax);
    mlp.top_k = weights_integer(input, text, "top_k_experts");
    mlp.expert_intermediate = weights_integer(input, text, "moe_intermediate_size");
    mlp.router_scales = true;
  }
  fill_layers(input, sliding, mlp);
  input.spec->rope_tables.clear();
  add_rope_table(input, sliding.head_dim_k);
  add_rope_table(input, full.head_dim_k);
  set_kinds(input, LayerKind::sliding_window, "sliding_window",
            [](std::int64_t i) { return (i + 1) % 6 != 0; });
  const auto layers = static_cast<std::int64_t>(input.spec->layers.size());
  const std::int64_t shared = text.integer_or("num_kv_shared_layers", 0, 0, layers - 1);
  if (text.integer_or("hidden_size_per_layer_input", 0) > 0 && input.spec->weights_refused.empty()) {
    input.spec->weights_refused = "per-layer input embeddings (hidden_size_per_layer_input) are not modelled";
  }
  for (std::int64_t i = 0; i < layers; ++i) {
    LayerSpec& layer = input.spec->layers[static_cast<std::size_t>(i)];
    layer.norms = moe ? 7 : 4;
    if (layer.kind == LayerKind::full_attention) layer.attention = full;
    if (i >= layers - shared) layer.kind = LayerKind::shared_kv;
  }
}

void read_gpt_oss(const FamilyInput& input) {
  AttentionShape attention = read_attention(input);
  attention.qkv_bias = attention.output_bias = input.text.boolean_or("attention_bias", true);
  attention.sinks = true;
  MlpShape mlp;
  mlp.experts = input.text.integer("num_local_experts", 1, HfConfig::kCountMax);
  mlp.top_k = weights_integer(input, input.text, "num_experts_per_tok");
  mlp.expert_intermediate = weights_integer(input, input.text, "intermediate_size");
  mlp.expert_bias = mlp.router_bias = true;
  fill_layers(input, attention, mlp);
  set_kinds(input, LayerKind::sliding_window, "sliding_window", [](std::int64_t i) { return i % 2 == 0; });
}

void read_llama4(const FamilyInput& input) {
  const HfConfig& text = input.text;
  AttentionShape attention = read_attention(input);
  attention.qkv_bias = attention.output_bias = text.boolean_or("attention_bias", false);
  MlpShape dense = read_dense_mlp(input, "intermediate_size_mlp");
  MlpShape moe;
  moe.experts = text.integer("num_local_experts", 1, HfConfig::kCountMax);
  moe.top_k = weights_integer(input, text, "num_experts_per_tok");
  moe.expert_intermediate = weights_integer(input, text, "intermediate_size");
  moe.shared_intermediate = moe.expert_intermediate;
  fill_layers(input, attention, moe);
  // Layers without rotary positions attend to everything; the others stay within their chunk.
  const std::int64_t no_rope_interval = text.integer_or("no_rope_layer_interval", 4, 1);
  std::vector<std::int64_t> rope;
  if (text.has("no_rope_layers")) rope = text.integers("no_rope_layers", 0, 1);
  const bool given = rope.size() == input.spec->layers.size();
  if (!rope.empty() && !given) text.fail("no_rope_layers", "must have one entry per layer");
  set_kinds(input, LayerKind::chunked_local, "attention_chunk_size", [&](std::int64_t i) {
    return given ? rope[static_cast<std::size_t>(i)] == 1 : (i + 1) % no_rope_interval != 0;
  });
  const std::int64_t step = text.integer_or("interleave_moe_layer_step", 1, 1);
  for (std::size_t i = 0; i < input.spec->layers.size(); ++i) {
    if ((static_cast<std::int64_t>(i) + 1) % step != 0) input.spec->layers[i].mlp = dense;
  }
}

void read_mixtral(const FamilyInput& input) {
  MlpShape mlp;
  mlp.experts = input.text.integer("num_local_experts", 1, HfConfig::kCountMax);
  mlp.top_k = input.text.integer_or("num_experts_per_tok", 2, 1, mlp.experts);
  mlp.expert_intermediate = weights_integer(input, input.text, "intermediate_size");
  fill_layers(input, read_attention(input), mlp);
  set_uniform_window(input);
}

/// Qwen2/3-MoE: experts on every decoder_sparse_step-th layer that mlp_only_layers does not name.
void set_qwen_moe(const FamilyInput& input) {
  const HfConfig& text = input.text;
  MlpShape dense = text.has("intermediate_size") ? read_dense_mlp(input) : MlpShape{};
  MlpShape moe;
  moe.experts = text.integer("num_experts", 1, HfConfig::kCountMax);
  moe.top_k = weights_integer(input, text, "num_experts_per_tok");
  moe.expert_intermediate = weights_integer(input, text, "moe_intermediate_size");
  moe.shared_intermediate = text.integer_or("shared_expert_intermediate_size", 0);
  moe.shared_gate = moe.shared_intermediate > 0;
  const std::int64_t step = text.integer_or("decoder_sparse_step", 1, 1);
  const std::vector<std::int64_t> only = text.has("mlp_only_layers")
                                             ? text.integers("mlp_only_layers", 0, kLayersMax)
                                             : std::vector<std::int64_t>{};
  for (std::size_t i = 0; i < input.spec->layers.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    const bool is_dense = std::find(only.begin(), only.end(), index) != only.end() || (index + 1) % step != 0;
    if (is_dense && !text.has("intermediate_size"))
      text.fail("intermediate_size", "required by the dense layers but missing");
    input.spec->layers[i].mlp = is_dense ? dense : moe;
  }
}

void read_qwen2_moe(const FamilyInput& input) {
  AttentionShape attention = read_attention(input);
  attention.qkv_bias = input.text.boolean_or("qkv_bias", true);
  fill_layers(input, attention, {});
  set_qwen_moe(input);
  set_qwen_window(input);
}

void read_qwen3_moe(const FamilyInput& input) {
  fill_layers(input, qwen3_attention(input), {});
  set_qwen_moe(input);
  set_qwen_window(input);
}

void read_minimax_m2(const FamilyInput& input) {
  AttentionShape attention = read_attention(input);
  attention.qk_norm = attention.qk_norm_all_heads = true;
  MlpShape mlp;
  mlp.experts = input.text.integer("num_local_experts", 1, HfConfig::kCountMax);
  mlp.top_k = weights_integer(input, input.text, "num_experts_per_tok");
  mlp.expert_intermediate = weights_integer(input, input.text, "intermediate_size");
  mlp.router_correction = input.text.boolean_or("use_routing_bias", true);
  fill_layers(input, attention, mlp);
  if (input.text.has("attn_type_list")) {
    for (const std::int64_t type : input.text.integers("attn_type_list", 0, 1)) {
      if (type != 1) input.text.fail("attn_type_list", "linear-attention layers (type 0) are not modelled");
    }
  }
}

/// DeepSeek's way to name experts: first_k_dense_replace dense layers, then routed and shared experts.
MlpShape read_routed_mlp(const FamilyInput& input, std::string_view experts_key) {
  const HfConfig& text = input.text;
  MlpShape moe;
  moe.experts = text.integer(experts_key, 1, HfConfig::kCountMax);
  moe.top_k = weights_integer(input, text, "num_experts_per_tok");
  moe.expert_intermediate = weights_integer(input, text, "moe_intermediate_size");
  moe.shared_intermediate =
      text.integer_or("n_shared_experts", 0, 0, HfConfig::kCountMax) * moe.expert_intermediate;
  moe.router_correction = true;
  return moe;
}

void read_glm4_moe(const FamilyInput& input) {
  const HfConfig& text = input.text;
  AttentionShape attention = read_attention(input);
  attention.qkv_bias = text.boolean_or("attention_bias", false);
  attention.qk_norm = text.boolean_or("use_qk_norm", false);
  fill_layers(input, attention, read_dense_mlp(input));
  const MlpShape moe = read_routed_mlp(input, "n_routed_experts");
  const std::int64_t dense = text.integer_or("first_k_dense_replace", 0);
  for (std::size_t i = 0; i < input.spec->layers.size(); ++i) {
    if (static_cast<std::int64_t>(i) >= dense) input.spec->layers[i].mlp = moe;
  }
  const std::int64_t drafts = text.integer_or("num_nextn_predict_layers", 0, 0, kLayersMax);
  input.spec->draft_layers.assign(static_cast<std::size_t>(drafts), input.spec->layers.back());
}

void read_mimo_v2(const FamilyInput& input) {
  const HfConfig& text = input.text;
  AttentionShape full = read_attention(input);
  full.head_dim_v = text.integer_or("v_head_dim", full.head_dim_k, 1, HfConfig::kCountMax);
  full.sinks = text.boolean_or("add_full_attention_sink_bias", false);
  AttentionShape sliding = full;
  sliding.heads = text.integer_or("swa_num_attention_heads", full.heads, 1, HfConfig::kCountMax);
  sliding.kv_heads = text.integer("swa_num_key_value_heads", 1, sliding.heads);
  sliding.head_dim_k = text.integer_or("swa_head_dim", full.head_dim_k, 1, HfConfig::kCountMax);
  sliding.head_dim_v = text.integer_or("swa_v_head_dim", full.head_dim_v, 1, HfConfig::kCountMax);
  sliding.window = text.integer("sliding_window", 1, HfConfig::kPositionsMax);
  sliding.sinks = text.boolean_or("add_swa_attention_sink_bias", false);
  fill_layers(input, full, read_dense_mlp(input));
  std::vector<LayerSpec>& layers = input.spec->layers;
  const std::vector<std::int64_t> pattern = text.integers("hybrid_layer_pattern", 0, 1);
  if (pattern.size() != layers.size()) text.fail("hybrid_layer_pattern", "must have one entry per layer");
  std::vector<std::int64_t> moe_layers(layers.size(), 1);
  if (text.has("moe_layer_freq")) moe_layers = text.integers("moe_layer_freq", 0, 1);
  if (moe_layers.size() != layers.size()) text.fail("moe_layer_freq", "must have one entry per layer");
  const MlpShape moe = read_routed_mlp(input, "n_routed_experts");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (pattern[i] == 1) {
      layers[i].kind = LayerKind::sliding_window;
      layers[i].attention = sliding;
    }
    if (moe_layers[i] == 1) layers[i].mlp = moe;
  }
  add_rope_table(input, rotary_dim(input, sliding.head_dim_k));
}

void read_step3(const FamilyInput& input) {
  const HfConfig& text = input.text;
  fill_layers(input, read_attention(input), read_dense_mlp(input));
  set_kinds(input, LayerKind::sliding_window, "sliding_window", [](std::int64_t i) { return i % 4 != 0; });
  MlpShape moe;
  moe.experts = text.integer("num_experts", 1, HfConfig::kCountMax);
  moe.top_k = weights_integer(input, text, "num_experts_per_tok");
  moe.expert_intermediate = weights_integer(input, text, "moe_intermediate_size");
  moe.shared_intermediate = text.integer_or("share_expert_dim", 0);
  const std::int64_t dense = text.integer_or("first_k_dense_replace", 0);
  for (std::size_t i = 0; i < input.spec->layers.size(); ++i) {
    if (static_cast<std::int64_t>(i) >= dense) input.spec->layers[i].mlp = moe;
  }
  if (input.spec->weights_refused.empty()) {
    input.spec->weights_refused =
        "the attention gates of this architecture are not described in its config.json";
  }
}

/// Nemotron-NAS: a search chose attention and MLP of every layer.
void read_nemotron_nas(const FamilyInput& input) {
  const HfConfig& text = input.text;
  const std::vector<HfConfig> blocks = text.children("block_configs");
  if (static_cast<std::int64_t>(blocks.size()) != layer_count(input))
    text.fail("block_configs", "must have one entry per layer");
  const std::int64_t heads = text.integer("num_attention_heads", 1, HfConfig::kCountMax);
  const std::int64_t hidden = input.spec->hidden_size;
  const std::int64_t head_dim = text.integer_or("head_dim", hidden / heads, 1, HfConfig::kCountMax);
  for (const HfConfig& block : blocks) {
    const std::optional<HfConfig> attention = block.child("attention");
    const std::optional<HfConfig> ffn = block.child("ffn");
    if (!attention || !ffn) block.fail("attention", "block_configs entries need \"attention\" and \"ffn\"");
    if (attention->boolean_or("replace_with_linear", false) ||
        ffn->boolean_or("replace_with_linear", false)) {
      block.fail("attention", "replace_with_linear is not modelled");
    }
    LayerSpec layer;
    layer.norms = 0;
    layer.kind = LayerKind::no_attention;
    if (!attention->boolean_or("no_op", false)) {
      layer.kind = attention->has("window_length") ? LayerKind::sliding_window : LayerKind::full_attention;
      if (layer.kind == LayerKind::sliding_window)
        layer.attention.window = attention->integer("window_length", 1, HfConfig::kPositionsMax);
      layer.attention.heads = heads;
      const std::int64_t group = attention->integer("n_heads_in_group", 1, heads);
      if (heads % group != 0) attention->fail("n_heads_in_group", "must divide num_attention_heads");
      layer.attention.kv_heads = heads / group;
      layer.attention.head_dim_k = layer.attention.head_dim_v = head_dim;
      layer.attention.qkv_bias = layer.attention.output_bias = text.boolean_or("attention_bias", false);
      ++layer.norms;
    }
    if (!ffn->boolean_or("no_op", false)) {
      // Rounded up to a multiple of 256 as the architecture's published code does.
      const double width = 2 * ffn->real_or("ffn_mult", 0) * static_cast<double>(hidden) / 3;
      if (!ffn->has("intermediate_size") && !(width >= 1 && width < 0x1p20))
        ffn->fail("ffn_mult", "must be positive, and the MLP no wider than 1048576");
      layer.mlp.intermediate = ffn->has("intermediate_size")
                                   ? ffn->integer("intermediate_size", 1)
                                   : ceil_div(static_cast<std::int64_t>(width), 256) * 256;
      ++layer.norms;
    }
    input.spec->layers.push_back(layer);
  }
  add_rope_table(input, head_dim);
}

constexpr const char* kDeepseekV4Refusal =
    "compressed attention (compress_ratios) is not modelled: its cache is not a fixed number of bytes per "
    "token and layer";
constexpr const char* kMinimaxM3Refusal =
    "block-sparse attention is not modelled: its index-key cache is not described by the fields of "
    "config.json";

constexpr Family kFamilies[] = {
    {"deepseek_ref", nullptr, kDeepseekV4Refusal},
    {"deepseek_v2", read_deepseek, nullptr},
    {"deepseek_v3", read_deepseek, nullptr},
    {"deepseek_v32", read_deepseek, nullptr},
    {"deepseek_v4", nullptr, kDeepseekV4Refusal},
    {"gemma2", read_gemma2, nullptr},
    {"gemma3", read_gemma3, nullptr},
    {"gemma3_text", read_gemma3, nullptr},
    {"gemma4_text", read_gemma4, nullptr},
    {"glm4_moe", read_glm4_moe, nullptr},
    {"glm_moe_dsa", read_deepseek, nullptr},
    {"gpt_oss", read_gpt_oss, nullptr},
    {"jamba", read_jamba, nullptr},
    {"kimi_k2", read_deepseek, nullptr},
    {"kimi_linear", read_kimi_linear, nullptr},
    {"llama", read_llama, nullptr},
    {"llama4_text", read_llama4, nullptr},
    {"mamba", read_mamba, nullptr, true},
    {"mamba2", read_mamba2, nullptr, true},
    {"mimo", read_mimo, nullptr},
    {"mimo_v2_flash", read_mimo_v2, nullptr},
    {"minimax_m2", read_minimax_m2, nullptr},
    {"minimax_m3", nullptr, kMinimaxM3Refusal},
    {"minimax_m3_vl", nullptr, kMinimaxM3Refusal},
    {"mistral", read_llama, nullptr},
    {"mixtral", read_mixtral, nullptr},
    {"nemotron-nas", read_nemotron_nas, nullptr},
    {"nemotron_h", read_nemotron_h, nullptr},
    {"phi3", read_llama, nullptr},
    {"qwen2", read_qwen2, nullptr},
    {"qwen2_moe", read_qwen2_moe, nullptr},
    {"qwen3", read_qwen3, nullptr},
    {"qwen3_5_moe_text", read_gated_delta, nullptr},
    {"qwen3_5_text", read_gated_delta, nullptr},
    {"qwen3_moe", read_qwen3_moe, nullptr},
    {"qwen3_next", read_gated_delta, nullptr},
    {"qwen3_vl_moe_text", read_qwen3_moe, nullptr},
    {"qwen3_vl_text", read_qwen3, nullptr},
    {"rwkv5", read_rwkv, nullptr, true},
    {"rwkv6", read_rwkv, nullptr, true},
    {"step3p7", read_step3, nullptr},
};

}  // namespace

const Family& find_family(const FamilyInput& input, const std::string& model_type) {
  std::vector<std::string> known;
  for (const Family& family : kFamilies) {
    if (model_type == family.model_type) {
      if (family.refusal != nullptr) input.text.fail("model_type", model_type + ": " + family.refusal);
      return family;
    }
    if (family.refusal == nullptr) known.emplace_back(family.model_type);
  }
  input.text.fail("model_type",
                  "architecture \"" + model_type + "\" is not modelled" + known_names(model_type, known));
}

std::int64_t weights_integer(const FamilyInput& input, const HfConfig& config, std::string_view key) {
  if (config.has(key)) return config.integer(key, 1);
  if (input.spec->weights_refused.empty())
    input.spec->weights_refused = std::string(key) + " is not in the file";
  return 0;
}

std::int64_t layer_count(const FamilyInput& input) {
  return input.text.integer("num_hidden_layers", 1, kLayersMax);
}

AttentionShape read_attention(const FamilyInput& input) {
  const HfConfig& text = input.text;
  AttentionShape attention;
  attention.heads = text.integer("num_attention_heads", 1, HfConfig::kCountMax);
  attention.kv_heads = text.integer_or("num_key_value_heads", attention.heads, 1, attention.heads);
  if (attention.heads % attention.kv_heads != 0) {
    text.fail("num_key_value_heads", std::to_string(attention.kv_heads) +
                                         " does not divide num_attention_heads " +
                                         std::to_string(attention.heads));
  }
  if (!text.has("head_dim") && input.spec->hidden_size % attention.heads != 0) {
    text.fail("num_attention_heads",
              std::to_string(attention.heads) + " does not divide hidden_size and the file has no head_dim");
  }
  attention.head_dim_k = attention.head_dim_v =
      text.integer_or("head_dim", input.spec->hidden_size / attention.heads, 1, HfConfig::kCountMax);
  return attention;
}

MlpShape read_dense_mlp(const FamilyInput& input, std::string_view key) {
  MlpShape mlp;
  mlp.intermediate = weights_integer(input, input.text, key);
  return mlp;
}

std::vector<std::string> read_layer_types(const FamilyInput& input) {
  if (!input.text.has("layer_types")) return {};
  std::vector<std::string> types = input.text.strings("layer_types");
  if (static_cast<std::int64_t>(types.size()) != layer_count(input)) {
    input.text.fail("layer_types", "has " + std::to_string(types.size()) + " entries for " +
                                       std::to_string(layer_count(input)) + " layers");
  }
  return types;
}

std::int64_t rotary_dim(const FamilyInput& input, std::int64_t head_dim) {
  double factor = input.text.real_or("partial_rotary_factor", 1);
  if (const std::optional<HfConfig> rope = input.text.child("rope_parameters"))
    factor = rope->real_or("partial_rotary_factor", factor);
  if (!(factor > 0 && factor <= 1)) input.text.fail("partial_rotary_factor", "must be above 0 and at most 1");
  return static_cast<std::int64_t>(static_cast<double>(head_dim) * factor);
}

void add_rope_table(const FamilyInput& input, std::int64_t dim) {
  RopeTable table;
  table.rows = input.spec->max_position_embeddings;
  table.dim = dim;
  table.element_bytes = input.spec->dtype_bytes;
  if (const std::optional<HfConfig> scaling = input.text.child("rope_scaling")) {
    const std::string type = scaling->text_or("rope_type", scaling->text_or("type", "default"));
    if (type == "yarn") {
      table.element_bytes = 4;
      const double factor = scaling->real_or("factor", 1);
      if (!(factor > 0 && factor <= 1e6)) scaling->fail("factor", "must be above 0 and at most 1000000");
      const std::int64_t original =
          scaling->integer_or("original_max_position_embeddings", table.rows, 1, HfConfig::kPositionsMax);
      table.rows = static_cast<std::int64_t>(factor * static_cast<double>(original));
    }
  }
  input.spec->rope_tables.push_back(table);
}

}  // namespace kvcast
