#include "hwmodels/weights.h"

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kScaleBuffers = 16;  // q, k, v and probability scales of an attention layer, fp32 each
constexpr std::int64_t kBytesMax = std::int64_t{1} << 60;

std::int64_t rounded(std::int64_t value, std::int64_t unit) { return ceil_div(value, unit) * unit; }

/// Counts one stage, layer by layer.
class Counter {
 public:
  Counter(const ModelSpec& model, const WeightSplit& split)
      : model_(model),
        split_(split),
        tp_(split.tensor_parallel),
        bytes_(model.dtype_bytes),
        fp32_(bytes_ == 1 ? 1 : 4) {}

  void add_layer(const LayerSpec& layer, std::int64_t index) {
    index_ = index;
    switch (layer.kind) {
      case LayerKind::full_attention:
      case LayerKind::sliding_window:
      case LayerKind::chunked_local:
      case LayerKind::shared_kv:
        add_attention(layer.attention, layer.projects_kv);
        break;
      case LayerKind::mla:
        add_mla(layer.mla);
        break;
      case LayerKind::recurrent:
        add_recurrent(layer.state);
        break;
      case LayerKind::no_attention:
        break;
    }
    add_mlp(layer.mlp);
    parts_.norm += (layer.norms + layer.residual_norms) * model_.hidden_size * bytes_;
    parts_.attention += layer.residual_vectors * model_.hidden_size * bytes_;
    if (parts_.total() > kBytesMax)
      throw InputError(model_.source + ": the weights exceed 1 EiB: no such model exists",
                       ExitCode::bad_data);
  }

  WeightParts& parts() { return parts_; }
  [[nodiscard]] std::int64_t buffer_bytes() const { return buffer_bytes_; }
  [[nodiscard]] std::int64_t absorbed_bytes() const { return absorbed_bytes_; }
  [[nodiscard]] std::int64_t vocabulary_bytes() const {
    return rounded(model_.vocab_size, 64) / tp_ * model_.hidden_size * bytes_;
  }

 private:
  [[nodiscard]] std::int64_t linear(LinearRole role, const LinearSize& size) const {
    const bool quantized = is_quantized(model_.quantization, role, index_);
    return linear_bytes(model_.quantization, quantized ? model_.quantization.format : WeightFormat::none,
                        size, bytes_);
  }

  void add_attention(const AttentionShape& shape, bool projects_kv) {
    const std::int64_t heads = shape.heads / tp_;
    const std::int64_t kv_heads = projects_kv ? kv_heads_per_rank(shape.kv_heads, tp_) : 0;
    const std::int64_t q_out = heads * shape.head_dim_k * (shape.output_gate ? 2 : 1);
    const std::int64_t qkv_out = q_out + kv_heads * (shape.head_dim_k + shape.head_dim_v);
    parts_.attention += linear(LinearRole::attention, {model_.hidden_size, qkv_out, 3});
    parts_.attention += linear(LinearRole::attention, {heads * shape.head_dim_v, model_.hidden_size, 1});
    if (shape.qkv_bias) parts_.attention += qkv_out * bytes_;
    if (shape.output_bias) parts_.attention += model_.hidden_size * bytes_;
    if (shape.sinks) parts_.attention += heads * bytes_;
    if (shape.qk_norm)
      parts_.norm += (shape.qk_norm_all_heads ? heads + kv_heads : 2) * shape.head_dim_k * bytes_;
    // fp8 checkpoints may carry q, k, v and probability scales, for which parameters are made besides the
    // buffers.
    if (model_.quantization.method == "fp8") parts_.attention += 4 * bytes_;
    buffer_bytes_ += kScaleBuffers;
  }

  void add_mla(const MlaShape& mla) {
    const std::int64_t hidden = model_.hidden_size;
    const std::int64_t heads = mla.heads / tp_;
    const std::int64_t q_out = heads * (mla.nope_dim + mla.rope_dim);
    const std::int64_t kv_a = mla.kv_lora_rank + mla.rope_dim;
    if (mla.q_lora_rank > 0) {  // both down-projections are one linear, whole on every rank
      parts_.attention += linear(LinearRole::attention, {hidden, mla.q_lora_rank + kv_a, 2});
      parts_.attention += linear(LinearRole::attention, {mla.q_lora_rank, q_out, 1});
    } else {
      parts_.attention += linear(LinearRole::attention, {hidden, kv_a, 1});
      parts_.attention += linear(LinearRole::attention, {hidden, q_out, 1});
    }
    parts_.attention +=
        linear(LinearRole::attention, {mla.kv_lora_rank, heads * (mla.nope_dim + mla.v_dim), 1});
    parts_.attention += linear(LinearRole::attention, {heads * mla.v_dim, hidden, 1});
    if (mla.output_gate) parts_.attention += linear(LinearRole::attention, {hidden, heads * mla.v_dim, 1});
    parts_.norm += (mla.q_lora_rank + mla.kv_lora_rank) * bytes_;
    if (mla.index_heads >
        0) {  // key and head-weight projections stay in the model's dtype; the key norm is an fp32 layer norm
      parts_.attention +=
          linear(LinearRole::attention, {mla.q_lora_rank, mla.index_heads * mla.index_head_dim, 1});
      parts_.attention += hidden * (mla.index_head_dim + mla.index_heads) * bytes_;
      parts_.norm += 2 * mla.index_head_dim * fp32_;
    }
    buffer_bytes_ += kScaleBuffers + (mla.output_gate ? 4 : 0);
    absorbed_bytes_ += heads * (mla.nope_dim + mla.v_dim) * mla.kv_lora_rank * bytes_;
  }

  void add_recurrent(const RecurrentShape& state) {
    switch (state.family) {
      case StateFamily::mamba1:
        return add_mamba1(state);
      case StateFamily::mamba2:
        return add_mamba2(state);
      case StateFamily::gated_delta_net:
        return add_gdn(state);
      case StateFamily::kimi_delta:
        return add_kda(state);
      case StateFamily::linear_attention:
        return add_linear_attention(state);
      case StateFamily::rwkv:
        return add_rwkv(state);
    }
  }

  /// The projections of the attention layer that it replaces.
  void add_linear_attention(const RecurrentShape& state) {
    const std::int64_t heads = state.heads / tp_;
    const std::int64_t key_heads = kv_heads_per_rank(state.key_heads, tp_);
    const std::int64_t out = heads * state.head_dim_k + key_heads * (state.head_dim_k + state.head_dim_v);
    parts_.state_layers += linear(LinearRole::state, {model_.hidden_size, out, 3});
    parts_.state_layers += linear(LinearRole::state, {heads * state.head_dim_v, model_.hidden_size, 1});
  }

  /// Receptance, key, value, gate and output, and the channel mixing's receptance. The decay's low-rank parts
  /// and the mixing vectors, about 1 % of a layer, are left out.
  void add_rwkv(const RecurrentShape& state) {
    const std::int64_t inner = state.intermediate / tp_;
    parts_.state_layers += linear(LinearRole::state, {model_.hidden_size, 4 * inner, 4});
    parts_.state_layers += linear(LinearRole::state, {model_.hidden_size, model_.hidden_size / tp_, 1});
    parts_.state_layers += linear(LinearRole::state, {inner, model_.hidden_size, 1});
  }

  void add_mamba1(const RecurrentShape& state) {
    const std::int64_t inner = state.intermediate / tp_;
    const std::int64_t projected = state.dt_rank + 2 * state.head_dim_k;
    std::int64_t& part = parts_.state_layers;
    part += linear(LinearRole::state, {model_.hidden_size, 2 * inner, 2});
    part += inner * (state.conv_kernel + (state.conv_bias ? 1 : 0)) * bytes_;
    part += linear(LinearRole::state, {inner, projected, 1});
    part += linear(LinearRole::state, {state.dt_rank, inner, 1}) + inner * bytes_;
    part += inner * (state.head_dim_k + 1) * fp32_;  // A and D in fp32
    part += linear(LinearRole::state, {inner, model_.hidden_size, 1});
    part += projected * bytes_;  // norms of dt, B and C
    if (state.proj_bias) part += (2 * inner + model_.hidden_size) * bytes_;
  }

  void add_mamba2(const RecurrentShape& state) {
    const std::int64_t inner = state.intermediate / tp_;
    const std::int64_t heads = state.heads / tp_;
    // Groups that the ranks do not divide are raised to one per rank.
    const std::int64_t groups = state.groups % tp_ == 0 ? state.groups / tp_ : 1;
    const std::int64_t conv = inner + 2 * groups * state.head_dim_k;
    std::int64_t& part = parts_.state_layers;
    part += linear(LinearRole::state, {model_.hidden_size, inner + conv + heads, 1});
    part += conv * (state.conv_kernel + (state.conv_bias ? 1 : 0)) * bytes_;
    part += linear(LinearRole::state, {inner, model_.hidden_size, 1});
    part += heads * (fp32_ + 2 * bytes_) + inner * bytes_;  // A in fp32, D, the step's bias, the gated norm
    if (state.proj_bias) part += (inner + conv + heads + model_.hidden_size) * bytes_;
    buffer_bytes_ += conv * state.conv_kernel * bytes_;
  }

  void add_gdn(const RecurrentShape& state) {
    const std::int64_t heads = state.heads / tp_;
    const std::int64_t values = heads * state.head_dim_v;
    const std::int64_t conv = 2 * (state.key_heads / tp_) * state.head_dim_k + values;
    std::int64_t& part = parts_.state_layers;
    part += linear(LinearRole::state, {model_.hidden_size, conv + values, 1});
    part += model_.hidden_size * 2 * heads * bytes_;  // the decay's and the step's projections
    part += conv * state.conv_kernel * bytes_;
    part +=
        heads * (fp32_ + bytes_) + state.head_dim_v * bytes_;  // A in fp32, the step's bias, the gated norm
    part += linear(LinearRole::state, {values, model_.hidden_size, 1});
  }

  void add_kda(const RecurrentShape& state) {
    const std::int64_t hidden = model_.hidden_size;
    const std::int64_t heads = state.heads / tp_;
    const std::int64_t inner = heads * state.head_dim_v;
    std::int64_t& part = parts_.attention;
    part += linear(LinearRole::attention, {hidden, 3 * inner, 3});
    part += linear(LinearRole::attention, {inner, hidden, 1});
    if (state.full_rank_gate) {
      part += linear(LinearRole::attention, {hidden, inner, 1});
    } else {
      part += linear(LinearRole::attention, {hidden, state.head_dim_v, 1}) +
              linear(LinearRole::attention, {state.head_dim_v, inner, 1});
    }
    part += linear(LinearRole::attention, {hidden, state.head_dim_v, 1}) +
            linear(LinearRole::attention, {state.head_dim_v, inner, 1});
    part += linear(LinearRole::attention,
                   {hidden, rounded(heads, 16), 1});  // the step's projection, padded for its kernel
    part += (3 * inner * state.conv_kernel + heads + inner) *
            fp32_;  // convolutions, A and the step's bias in fp32
    parts_.norm += state.head_dim_v * bytes_;
    buffer_bytes_ += 3 * inner * state.conv_kernel * 4 + state.head_dim_v * 4;
  }

  void add_mlp(const MlpShape& mlp) {
    const std::int64_t hidden = model_.hidden_size;
    const std::int64_t ups = mlp.gated ? 2 : 1;
    if (mlp.intermediate > 0) {
      const std::int64_t inner = mlp.intermediate / tp_;
      parts_.mlp_and_router += linear(LinearRole::dense_mlp, {hidden, ups * inner, ups}) +
                               linear(LinearRole::dense_mlp, {inner, hidden, 1});
      if (mlp.bias) parts_.mlp_and_router += (ups * inner + hidden) * bytes_;
    }
    if (mlp.experts == 0) return;
    parts_.mlp_and_router += hidden * mlp.experts * bytes_;
    if (mlp.router_bias) parts_.mlp_and_router += mlp.experts * bytes_;
    if (mlp.router_correction) parts_.mlp_and_router += mlp.experts * fp32_;
    if (mlp.router_scales) {
      parts_.mlp_and_router += (hidden + mlp.experts) * bytes_;
      buffer_bytes_ += 2 * bytes_;  // the router's root and the layer's scalar
    }
    if (mlp.shared_intermediate > 0) {
      const std::int64_t inner = mlp.shared_intermediate / tp_;
      parts_.shared_experts += linear(LinearRole::shared_expert, {hidden, ups * inner, ups});
      parts_.shared_experts += linear(LinearRole::shared_expert, {inner, hidden, 1});
      if (mlp.shared_gate) parts_.shared_experts += hidden * bytes_;
    }
    if (mlp.expert_hidden > 0) {  // latent projections around the routed experts, whole on every rank
      parts_.mlp_and_router += 2 * hidden * mlp.expert_hidden * bytes_;
      if (mlp.latent_norm) parts_.norm += mlp.expert_hidden * bytes_;
    }
    add_experts(mlp, ups);
    if (split_.expert_parallel && tp_ * split_.expert_groups > 1)
      buffer_bytes_ += mlp.experts * 4;  // from global to local expert numbers
  }

  void add_experts(const MlpShape& mlp, std::int64_t ups) {
    std::int64_t hidden = mlp.expert_hidden > 0 ? mlp.expert_hidden : model_.hidden_size;
    std::int64_t inner = split_.expert_parallel ? mlp.expert_intermediate : mlp.expert_intermediate / tp_;
    const bool quantized = is_quantized(model_.quantization, LinearRole::expert, index_);
    if (quantized && model_.quantization.method == "mxfp4") {
      const bool marlin = split_.moe_backend == "marlin";
      inner = rounded(inner, marlin ? 128 : 64);
      if (marlin) hidden = rounded(hidden, 256);
    }
    std::int64_t expert = linear(LinearRole::expert, {hidden, ups * inner, ups}) +
                          linear(LinearRole::expert, {inner, hidden, 1});
    if (quantized && model_.quantization.format == WeightFormat::fp8_block &&
        inner % model_.quantization.block_rows != 0) {
      // Ranks that cut through a block of scales refine them to 32 rows.
      constexpr std::int64_t kRefined = 32;
      const std::int64_t scales =
          ceil_div(inner, kRefined) * ceil_div(hidden, model_.quantization.block_cols);
      expert = (ups + 1) * (inner * hidden + 4 * scales);
    }
    if (mlp.expert_bias) expert += (ups * inner + hidden) * bytes_;
    parts_.experts +=
        (split_.expert_parallel ? mlp.experts / (tp_ * split_.expert_groups) : mlp.experts) * expert;
  }

  const ModelSpec& model_;
  const WeightSplit& split_;
  std::int64_t tp_;
  std::int64_t bytes_;
  std::int64_t fp32_;  // counting elements (1 byte each), fp32 ones are elements too
  std::int64_t index_ = 0;
  WeightParts parts_;
  std::int64_t buffer_bytes_ = 0;
  std::int64_t absorbed_bytes_ = 0;
};

std::int64_t rope_bytes(const ModelSpec& model) {
  std::int64_t bytes = 0;
  for (const RopeTable& table : model.rope_tables) bytes += table.rows * table.dim * table.element_bytes;
  return bytes;
}

/// vLLM's classes of these families create embedding, LM head and last norm on every pipeline stage.
bool keeps_ends_everywhere(const ModelSpec& model) {
  for (const std::string_view type : {"qwen3_moe", "mixtral", "gpt_oss", "nemotron_h"}) {
    if (model.model_type == type) return true;
  }
  return false;
}

void check_countable(const ModelSpec& model) {
  if (!model.weights_refused.empty()) {
    throw InputError(model.source + ": the weights cannot be counted: " + model.weights_refused,
                     ExitCode::bad_data);
  }
}

[[noreturn]] void refuse_split(const ModelSpec& model, std::int64_t tp, const std::string& what) {
  throw InputError("tensor_parallel_size: " + std::to_string(tp) + " does not divide the " + what + " of " +
                   model.name);
}

}  // namespace

std::int64_t WeightParts::total() const {
  return embed + lm_head + attention + state_layers + mlp_and_router + experts + shared_experts + norm +
         vision;
}

std::int64_t kv_heads_per_rank(std::int64_t kv_heads, std::int64_t tensor_parallel) {
  if (kv_heads % tensor_parallel != 0 && tensor_parallel % kv_heads != 0) {
    throw InputError("tensor_parallel_size: " + std::to_string(tensor_parallel) +
                     " neither divides nor is a multiple of the " + std::to_string(kv_heads) + " KV heads");
  }
  return std::max<std::int64_t>(1, kv_heads / tensor_parallel);
}

void check_split(const ModelSpec& model, const WeightSplit& split) {
  const std::int64_t tp = split.tensor_parallel;
  const auto check = [&](std::int64_t count, const char* what) {
    if (count % tp != 0) refuse_split(model, tp, std::to_string(count) + " " + what);
  };
  for (const LayerSpec& layer : model.layers) {
    check(layer.attention.heads, "attention heads");
    if (layer.attention.kv_heads > 0) static_cast<void>(kv_heads_per_rank(layer.attention.kv_heads, tp));
    check(layer.mla.heads, "attention heads");
    check(layer.state.heads, "heads of the recurrent layers");
    if (layer.state.family == StateFamily::gated_delta_net)
      check(layer.state.key_heads, "key heads of the recurrent layers");
    check(layer.mlp.intermediate, "columns of the MLP");
    check(layer.mlp.shared_intermediate, "columns of the shared experts");
    if (split.expert_parallel) {
      const std::int64_t ranks = tp * split.expert_groups;
      if (split.expert_groups == 1) {
        check(layer.mlp.experts, "experts");
      } else if (layer.mlp.experts % ranks != 0) {
        throw InputError("enable_expert_parallel: " + std::to_string(ranks) + " ranks do not divide the " +
                         std::to_string(layer.mlp.experts) + " experts of " + model.name);
      }
    } else {
      check(layer.mlp.expert_intermediate, "columns of an expert");
    }
  }
  if (rounded(model.vocab_size, 64) % tp != 0) refuse_split(model, tp, "padded vocabulary");
  if (split.pipeline_parallel > static_cast<std::int64_t>(model.layers.size())) {
    throw InputError("pipeline_parallel_size: " + std::to_string(split.pipeline_parallel) + " exceeds the " +
                     std::to_string(model.layers.size()) + " layers of " + model.name);
  }
}

std::pair<std::size_t, std::size_t> stage_layers(const ModelSpec& model, std::int64_t stages,
                                                 std::int64_t stage) {
  const auto layers = static_cast<std::int64_t>(model.layers.size());
  const std::int64_t remainder = layers % stages;
  std::int64_t begin = 0;
  std::int64_t size = 0;
  for (std::int64_t i = 0; i <= stage; ++i) {
    begin += size;
    size = layers / stages + (i < stages - 1 && i >= stages - 1 - remainder ? 1 : 0);
  }
  return {static_cast<std::size_t>(begin), static_cast<std::size_t>(begin + size)};
}

StageWeights count_weights(const ModelSpec& model, const WeightSplit& split, std::int64_t stage) {
  check_countable(model);
  check_split(model, split);
  KVCAST_CHECK(stage >= 0 && stage < split.pipeline_parallel);
  Counter counter(model, split);
  const auto [begin, end] = stage_layers(model, split.pipeline_parallel, stage);
  for (std::size_t i = begin; i < end; ++i) counter.add_layer(model.layers[i], static_cast<std::int64_t>(i));
  StageWeights weights;
  weights.parts = counter.parts();
  const bool first = stage == 0;
  const bool last = stage == split.pipeline_parallel - 1;
  const bool everywhere = keeps_ends_everywhere(model);
  const bool embeds_last =
      model.tied_embeddings || model.model_type.rfind("qwen3_5", 0) == 0;  // the latter for its drafter
  if (first || everywhere || (last && embeds_last)) weights.parts.embed = counter.vocabulary_bytes();
  if ((last || everywhere) && !model.tied_embeddings) weights.parts.lm_head = counter.vocabulary_bytes();
  if (last || everywhere || model.model_type == "gemma4_text")
    weights.parts.norm += model.final_vectors * model.hidden_size * model.dtype_bytes;
  if (model.vision.heads > 0) {
    const bool split_tower = model.vision.heads % split.tensor_parallel == 0;
    const std::int64_t ranks = split_tower ? split.tensor_parallel : 1;
    weights.parts.vision =
        (model.vision.parameters + model.vision.parameters_split / ranks) * model.dtype_bytes;
    weights.buffer_bytes += model.vision.buffer_bytes;
  }
  weights.buffer_bytes += counter.buffer_bytes() + rope_bytes(model);
  weights.mla_absorbed_bytes = counter.absorbed_bytes();
  return weights;
}

DraftWeights count_draft_weights(const ModelSpec& model, const WeightSplit& split,
                                 const std::string& method) {
  check_countable(model);
  check_split(model, split);
  DraftWeights draft;
  Counter counter(model, split);
  const std::int64_t hidden_bytes = model.hidden_size * model.dtype_bytes;
  if (method == "eagle") {
    // One layer of the target's shape without its input norm, behind a projection of token and hidden state.
    LayerSpec layer = model.layers.front();
    layer.norms = 1;
    counter.add_layer(layer, 0);
    draft.parts = counter.parts();
    draft.parts.mlp_and_router += 2 * model.hidden_size * hidden_bytes;
    draft.parts.embed = draft.shareable_bytes = counter.vocabulary_bytes();
  } else {
    if (model.draft_layers.empty())
      throw InputError("speculative.method: " + model.name + " has no prediction layers for \"" + method +
                       "\"");
    std::int64_t index = static_cast<std::int64_t>(model.layers.size());
    for (const LayerSpec& layer : model.draft_layers) counter.add_layer(layer, index++);
    draft.parts = counter.parts();
    // Each drafter has norms of token and hidden state, a last norm, and the projection of both to one.
    const bool column_split = model.model_type.rfind("qwen3", 0) == 0;
    draft.parts.norm += 3 * hidden_bytes;
    draft.parts.mlp_and_router +=
        2 * model.hidden_size * hidden_bytes / (column_split ? split.tensor_parallel : 1);
    draft.parts.embed = counter.vocabulary_bytes();
    draft.parts.lm_head = counter.vocabulary_bytes();
    draft.shareable_bytes = draft.parts.embed + draft.parts.lm_head;
  }
  draft.buffer_bytes = counter.buffer_bytes() + rope_bytes(model);
  draft.mla_absorbed_bytes = counter.absorbed_bytes();
  return draft;
}

ParameterCount count_parameters(const ModelSpec& model) {
  ModelSpec elements = model;
  elements.quantization = {};
  elements.vision = {};
  elements.dtype_bytes = 1;
  const WeightParts whole = count_weights(elements, {}, 0).parts;
  for (LayerSpec& layer : elements.layers) layer.mlp.experts = std::min(layer.mlp.experts, layer.mlp.top_k);
  const WeightParts chosen = count_weights(elements, {}, 0).parts;
  return {whole.total(), whole.total() - whole.experts + chosen.experts};
}

}  // namespace kvcast
