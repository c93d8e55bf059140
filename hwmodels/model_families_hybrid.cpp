/// Families with latent attention or recurrent layers.
#include <algorithm>
#include <set>

#include "hwmodels/model_families.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kCountMax = HfConfig::kCountMax;

/// Multi-head latent attention. num_key_value_heads and head_dim of such files must be ignored: the cache
/// holds one latent per token.
MlaShape read_mla(const FamilyInput& input) {
  const HfConfig& text = input.text;
  MlaShape mla;
  mla.heads = text.integer("num_attention_heads", 1, kCountMax);
  mla.q_lora_rank = text.integer_or("q_lora_rank", 0);
  if (!text.has("q_lora_rank") && !text.has("vocab_size"))
    static_cast<void>(weights_integer(input, text, "q_lora_rank"));
  mla.kv_lora_rank = text.integer("kv_lora_rank", 1);
  mla.rope_dim = text.integer("qk_rope_head_dim", 1, kCountMax);
  mla.nope_dim = text.integer("qk_nope_head_dim", 1, kCountMax);
  mla.v_dim = text.integer("v_head_dim", 1, kCountMax);
  return mla;
}

/// Which layers compute their own sparse-attention index. GLM-5.2 names them; DeepSeek-V3.2 has one in each.
std::vector<bool> indexer_layers(const FamilyInput& input, std::int64_t layers) {
  std::vector<bool> own(static_cast<std::size_t>(layers), true);
  if (!input.text.has("indexer_types")) return own;
  const std::vector<std::string> types = input.text.strings("indexer_types");
  if (static_cast<std::int64_t>(types.size()) != layers)
    input.text.fail("indexer_types", "must have one entry per layer");
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] != "full" && types[i] != "shared")
      input.text.fail("indexer_types", "unknown type \"" + types[i] + "\" (known: full, shared)");
    own[i] = types[i] == "full";
  }
  return own;
}

RecurrentShape read_kda(const FamilyInput& input, const HfConfig& linear) {
  RecurrentShape state;
  state.family = StateFamily::kimi_delta;
  state.heads = state.key_heads = linear.integer("num_heads", 1, kCountMax);
  state.head_dim_k = state.head_dim_v = linear.integer("head_dim", 1, kCountMax);
  state.conv_kernel = linear.integer("short_conv_kernel_size", 1, 64);
  state.full_rank_gate = linear.boolean_or("use_full_rank_gate", false);
  static_cast<void>(input);
  return state;
}

/// Layer numbers of linear_attn_config count from 1.
std::set<std::int64_t> read_numbers(const HfConfig& linear, std::string_view key, std::int64_t layers) {
  const std::vector<std::int64_t> numbers = linear.integers(key, 1, layers);
  return {numbers.begin(), numbers.end()};
}

std::int64_t state_element_bytes(const FamilyInput& input, std::string_view key) {
  const std::string dtype = input.text.text_or(key, "float32");
  if (dtype == "float32") return 4;
  if (dtype == "bfloat16" || dtype == "float16") return 2;
  input.text.fail(key, "unknown dtype \"" + dtype + "\" (known: float32, bfloat16, float16)");
}

RecurrentShape nemotron_state(const FamilyInput& input) {
  const HfConfig& text = input.text;
  RecurrentShape state;
  state.family = StateFamily::mamba2;
  state.heads = text.integer("mamba_num_heads", 1, kCountMax);
  state.head_dim_v = text.integer("mamba_head_dim", 1, kCountMax);
  state.head_dim_k = text.integer("ssm_state_size", 1, kCountMax);
  state.groups = text.integer("n_groups", 1, state.heads);
  state.conv_kernel = text.integer("conv_kernel", 1, 64);
  state.intermediate = state.heads * state.head_dim_v;
  state.conv_bias = text.boolean_or("use_conv_bias", true);
  state.proj_bias = text.boolean_or("mamba_proj_bias", text.boolean_or("use_bias", false));
  state.state_bytes = state_element_bytes(input, "mamba_ssm_cache_dtype");
  return state;
}

/// Nemotron-H's kinds of layers, one letter each: M Mamba-2, * attention, E experts, - MLP.
std::string nemotron_pattern(const FamilyInput& input) {
  const HfConfig& text = input.text;
  if (text.has("hybrid_override_pattern")) return text.text("hybrid_override_pattern");
  std::string pattern;
  for (const std::string& type : text.strings("layers_block_type")) {
    if (type == "mamba") {
      pattern += 'M';
    } else if (type == "attention") {
      pattern += '*';
    } else if (type == "moe") {
      pattern += 'E';
    } else if (type == "mlp") {
      pattern += '-';
    } else {
      text.fail("layers_block_type", "unknown layer type \"" + type + "\"" +
                                         known_names(type, {"mamba", "attention", "moe", "mlp"}));
    }
  }
  return pattern;
}

/// The four layers a Nemotron-H pattern is made of.
struct NemotronLayers {
  LayerSpec mamba, attention, moe, mlp;
};

NemotronLayers nemotron_layers(const FamilyInput& input, const std::string& pattern) {
  const HfConfig& text = input.text;
  NemotronLayers layers;
  const auto uses = [&pattern](char kind) { return pattern.find(kind) != std::string::npos; };
  layers.mamba.kind = LayerKind::recurrent;
  if (uses('M')) layers.mamba.state = nemotron_state(input);
  if (uses('*')) {
    AttentionShape& shape = layers.attention.attention;
    shape.heads = text.integer("num_attention_heads", 1, kCountMax);
    shape.kv_heads = text.integer("num_key_value_heads", 1, shape.heads);
    // Older files call it attention_head_dim; the class default is 128.
    shape.head_dim_k = shape.head_dim_v =
        text.integer_or("head_dim", text.integer_or("attention_head_dim", 128, 1, kCountMax), 1, kCountMax);
    shape.qkv_bias = shape.output_bias = text.boolean_or("attention_bias", false);
  }
  layers.moe.kind = layers.mlp.kind = LayerKind::no_attention;
  if (uses('-')) {
    layers.mlp.mlp = read_dense_mlp(input);
    layers.mlp.mlp.bias = text.boolean_or("mlp_bias", false);
  }
  if (uses('E')) {
    MlpShape& moe = layers.moe.mlp;
    moe.experts = text.integer("n_routed_experts", 1, kCountMax);
    moe.top_k = weights_integer(input, text, "num_experts_per_tok");
    moe.expert_intermediate = weights_integer(input, text, "moe_intermediate_size");
    moe.expert_hidden = text.integer_or("moe_latent_size", 0);
    moe.shared_intermediate = text.integer_or("moe_shared_expert_intermediate_size", 0) *
                              text.integer_or("n_shared_experts", 1, 0, kCountMax);
    moe.router_correction = true;
  }
  for (LayerSpec* layer : {&layers.mamba, &layers.attention, &layers.moe, &layers.mlp}) {
    layer->norms = 1;
    layer->mlp.gated = false;  // squared ReLU
  }
  return layers;
}

const LayerSpec& nemotron_layer(const FamilyInput& input, const NemotronLayers& layers, char kind) {
  switch (kind) {
    case 'M':
      return layers.mamba;
    case '*':
      return layers.attention;
    case 'E':
      return layers.moe;
    case '-':
      return layers.mlp;
    default:
      input.text.fail("hybrid_override_pattern",
                      std::string("unknown layer '") + kind + "' (known: M, *, E, -)");
  }
}

RecurrentShape read_gdn(const FamilyInput& input) {
  const HfConfig& text = input.text;
  RecurrentShape state;
  state.family = StateFamily::gated_delta_net;
  state.heads = text.integer("linear_num_value_heads", 1, kCountMax);
  state.key_heads = text.integer("linear_num_key_heads", 1, state.heads);
  state.head_dim_k = text.integer("linear_key_head_dim", 1, kCountMax);
  state.head_dim_v = text.integer("linear_value_head_dim", 1, kCountMax);
  state.conv_kernel = text.integer("linear_conv_kernel_dim", 1, 64);
  state.state_bytes = state_element_bytes(input, "mamba_ssm_dtype");
  return state;
}

/// The MLP of Qwen3-Next and Qwen3.5: experts with a gated shared expert, or dense.
MlpShape read_gated_delta_mlp(const FamilyInput& input) {
  const HfConfig& text = input.text;
  if (!text.has("num_experts")) return read_dense_mlp(input);
  MlpShape moe;
  moe.experts = text.integer("num_experts", 1, kCountMax);
  moe.top_k = weights_integer(input, text, "num_experts_per_tok");
  moe.expert_intermediate = weights_integer(input, text, "moe_intermediate_size");
  moe.shared_intermediate = text.integer_or("shared_expert_intermediate_size", 0);
  moe.shared_gate = moe.shared_intermediate > 0;
  return moe;
}

}  // namespace

void read_deepseek(const FamilyInput& input) {
  const HfConfig& text = input.text;
  const std::int64_t layers = layer_count(input);
  LayerSpec layer;
  layer.kind = LayerKind::mla;
  layer.mla = read_mla(input);
  layer.mlp = read_dense_mlp(input);
  input.spec->layers.assign(static_cast<std::size_t>(layers), layer);
  if (text.has("n_routed_experts")) {
    MlpShape moe;
    moe.experts = text.integer("n_routed_experts", 1, kCountMax);
    moe.top_k = weights_integer(input, text, "num_experts_per_tok");
    moe.expert_intermediate = weights_integer(input, text, "moe_intermediate_size");
    moe.shared_intermediate = text.integer_or("n_shared_experts", 0, 0, kCountMax) * moe.expert_intermediate;
    moe.router_correction = text.text_or("topk_method", "noaux_tc") == "noaux_tc";
    const std::int64_t dense = text.integer_or("first_k_dense_replace", 0);
    const std::int64_t frequency = text.integer_or("moe_layer_freq", 1, 1);
    for (std::int64_t i = dense; i < layers; ++i) {
      if (i % frequency == 0) input.spec->layers[static_cast<std::size_t>(i)].mlp = moe;
    }
  }
  add_rope_table(input, layer.mla.rope_dim);
  if (text.has("index_topk")) {
    const std::vector<bool> own = indexer_layers(input, layers);
    for (std::size_t i = 0; i < own.size(); ++i) {
      MlaShape& mla = input.spec->layers[i].mla;
      mla.index_topk = text.integer("index_topk", 1);
      mla.index_heads = own[i] ? text.integer("index_n_heads", 1, kCountMax) : 0;
      mla.index_head_dim = own[i] ? text.integer("index_head_dim", 1, kCountMax) : 0;
    }
    add_rope_table(input, layer.mla.rope_dim);  // the indexer rotates in another order
  }
  const std::int64_t drafts = text.integer_or("num_nextn_predict_layers", 0, 0, 64);
  input.spec->draft_layers.assign(static_cast<std::size_t>(drafts), input.spec->layers.back());
}

void read_kimi_linear(const FamilyInput& input) {
  const HfConfig& text = input.text;
  const std::int64_t layers = layer_count(input);
  const std::optional<HfConfig> linear = text.child("linear_attn_config");
  if (!linear) text.fail("linear_attn_config", "required but missing");
  const std::set<std::int64_t> kda = read_numbers(*linear, "kda_layers", layers);
  const std::set<std::int64_t> full = read_numbers(*linear, "full_attn_layers", layers);
  LayerSpec attention;
  attention.kind = LayerKind::mla;
  attention.mla = read_mla(input);
  attention.mla.output_gate = text.boolean_or("mla_use_output_gate", false);
  attention.mlp = read_dense_mlp(input);
  if (text.has("attn_res_block_size")) {
    attention.residual_norms = 2;
    attention.residual_vectors = 2;
    input.spec->final_vectors = 3;  // the last norm, and one more mix of residuals with its norm
  }
  MlpShape moe;
  moe.experts = text.integer("num_experts", 1, kCountMax);
  moe.top_k = weights_integer(input, text, "num_experts_per_token");
  moe.expert_intermediate = weights_integer(input, text, "moe_intermediate_size");
  moe.shared_intermediate = text.integer_or("num_shared_experts", 0, 0, kCountMax) * moe.expert_intermediate;
  moe.expert_hidden = text.integer_or("routed_expert_hidden_size", 0);
  moe.latent_norm = moe.expert_hidden > 0 && text.boolean_or("latent_moe_use_norm", false);
  moe.router_correction = true;
  const std::int64_t dense = text.integer_or("first_k_dense_replace", 0);
  for (std::int64_t i = 0; i < layers; ++i) {
    if (kda.contains(i + 1) == full.contains(i + 1)) {
      linear->fail("kda_layers", "layer " + std::to_string(i + 1) +
                                     " must be in exactly one of kda_layers and full_attn_layers");
    }
    LayerSpec layer = attention;
    if (kda.contains(i + 1)) {
      layer.kind = LayerKind::recurrent;
      layer.mla = {};
      layer.state = read_kda(input, *linear);
    }
    if (i >= dense) layer.mlp = moe;
    input.spec->layers.push_back(layer);
  }
  if (!text.boolean_or("mla_use_nope", true)) add_rope_table(input, attention.mla.rope_dim);
  const std::int64_t drafts = text.integer_or("num_nextn_predict_layers", 0, 0, 64);
  if (drafts > 0)
    text.fail("num_nextn_predict_layers", "prediction layers of this architecture are not modelled");
}

void read_gated_delta(const FamilyInput& input) {
  const HfConfig& text = input.text;
  const std::int64_t interval = text.integer_or("full_attention_interval", 4, 1);
  const std::vector<std::string> types = read_layer_types(input);
  LayerSpec full;
  full.attention = read_attention(input);
  full.attention.qk_norm = true;
  full.attention.qkv_bias = text.boolean_or("attention_bias", false);
  full.attention.output_gate = text.boolean_or("attn_output_gate", true);
  full.mlp = read_gated_delta_mlp(input);
  LayerSpec linear;
  linear.kind = LayerKind::recurrent;
  linear.state = read_gdn(input);
  linear.mlp = full.mlp;
  for (std::int64_t i = 0; i < layer_count(input); ++i) {
    bool is_linear = (i + 1) % interval != 0;
    if (!types.empty()) {
      const std::string& type = types[static_cast<std::size_t>(i)];
      is_linear = type == "linear_attention";
      if (!is_linear && type != "full_attention") {
        text.fail("layer_types", "unknown layer type \"" + type + "\"" +
                                     known_names(type, {"full_attention", "linear_attention"}));
      }
    }
    input.spec->layers.push_back(is_linear ? linear : full);
  }
  add_rope_table(input, rotary_dim(input, full.attention.head_dim_k));
  const std::int64_t drafts =
      text.integer_or("mtp_num_hidden_layers", text.integer_or("num_nextn_predict_layers", 0, 0, 64), 0, 64);
  input.spec->draft_layers.assign(static_cast<std::size_t>(drafts), full);
}

void read_nemotron_h(const FamilyInput& input) {
  const HfConfig& text = input.text;
  const std::string pattern = nemotron_pattern(input);
  if (pattern.empty() || pattern.size() > 4096)
    text.fail("hybrid_override_pattern", "must describe 1 to 4096 layers");
  if (text.has("num_hidden_layers") && layer_count(input) != static_cast<std::int64_t>(pattern.size())) {
    text.fail("num_hidden_layers",
              "differs from the " + std::to_string(pattern.size()) + " layers of the pattern");
  }
  const NemotronLayers layers = nemotron_layers(input, pattern);
  for (const char kind : pattern) input.spec->layers.push_back(nemotron_layer(input, layers, kind));
  // One prediction layer is an attention and an expert layer, as the class's default pattern "*E" has it.
  const std::int64_t drafts = text.integer_or("num_nextn_predict_layers", 0, 0, 64);
  for (std::int64_t i = 0; i < drafts; ++i) {
    for (const char kind : text.text_or("mtp_hybrid_override_pattern", "*E")) {
      input.spec->draft_layers.push_back(nemotron_layer(input, layers, kind));
    }
  }
}

void read_jamba(const FamilyInput& input) {
  const HfConfig& text = input.text;
  LayerSpec attention;
  attention.attention = read_attention(input);
  attention.mlp = read_dense_mlp(input);
  LayerSpec mamba;
  mamba.kind = LayerKind::recurrent;
  mamba.state.family = StateFamily::mamba1;
  mamba.state.intermediate = mamba.state.heads =
      text.integer_or("mamba_expand", 2, 1, 64) * input.spec->hidden_size;
  mamba.state.head_dim_k = text.integer_or("mamba_d_state", 16, 1, kCountMax);
  mamba.state.head_dim_v = 1;
  mamba.state.conv_kernel = text.integer_or("mamba_d_conv", 4, 1, 64);
  mamba.state.conv_bias = text.boolean_or("mamba_conv_bias", true);
  mamba.state.proj_bias = text.boolean_or("mamba_proj_bias", false);
  const JsonValue* rank = text.find("mamba_dt_rank");
  const bool automatic = rank == nullptr || rank->type == JsonValue::Type::string;
  mamba.state.dt_rank = automatic ? ceil_div(input.spec->hidden_size, 16) : text.integer("mamba_dt_rank", 1);
  mamba.state.state_bytes = input.spec->dtype_bytes;
  MlpShape moe;
  moe.experts = text.integer_or("num_experts", 16, 1, kCountMax);
  moe.top_k = text.integer_or("num_experts_per_tok", 2, 1, moe.experts);
  moe.expert_intermediate = attention.mlp.intermediate;
  const std::int64_t attention_period = text.integer_or("attn_layer_period", 8, 1);
  const std::int64_t attention_offset = text.integer_or("attn_layer_offset", 4);
  const std::int64_t expert_period = text.integer_or("expert_layer_period", 2, 1);
  const std::int64_t expert_offset = text.integer_or("expert_layer_offset", 1);
  for (std::int64_t i = 0; i < layer_count(input); ++i) {
    LayerSpec layer = i % attention_period == attention_offset ? attention : mamba;
    layer.mlp = moe.experts > 1 && i % expert_period == expert_offset ? moe : attention.mlp;
    input.spec->layers.push_back(layer);
  }
}

}  // namespace kvcast
