/// Families without attention: what they keep of the past has one size.
#include "hwmodels/model_families.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kCountMax = HfConfig::kCountMax;

void fill(const FamilyInput& input, const RecurrentShape& state, const MlpShape& mlp, std::int64_t norms) {
  LayerSpec layer;
  layer.kind = LayerKind::recurrent;
  layer.state = state;
  layer.mlp = mlp;
  layer.norms = norms;
  input.spec->layers.assign(static_cast<std::size_t>(layer_count(input)), layer);
}

}  // namespace

/// Gu and Dao 2023, "Mamba" (arXiv 2312.00752); fields and defaults of the Hugging Face class.
void read_mamba(const FamilyInput& input) {
  const HfConfig& text = input.text;
  RecurrentShape state;
  state.family = StateFamily::mamba1;
  const std::int64_t expanded = text.integer_or("expand", 2, 1, 64) * input.spec->hidden_size;
  state.intermediate = state.heads = text.integer_or("intermediate_size", expanded, 1);
  state.head_dim_k = text.integer_or("state_size", 16, 1, kCountMax);
  state.head_dim_v = 1;
  state.conv_kernel = text.integer_or("conv_kernel", 4, 1, 64);
  state.conv_bias = text.boolean_or("use_conv_bias", true);
  state.proj_bias = text.boolean_or("use_bias", false);
  const JsonValue* rank = text.find("time_step_rank");
  const bool automatic = rank == nullptr || rank->type == JsonValue::Type::string;
  state.dt_rank = automatic ? ceil_div(input.spec->hidden_size, 16) : text.integer("time_step_rank", 1);
  state.state_bytes = input.spec->dtype_bytes;
  fill(input, state, {}, 1);
}

/// Dao and Gu 2024, "Transformers are SSMs" (arXiv 2405.21060); fields and defaults of the Hugging Face
/// class.
void read_mamba2(const FamilyInput& input) {
  const HfConfig& text = input.text;
  RecurrentShape state;
  state.family = StateFamily::mamba2;
  state.head_dim_v = text.integer_or("head_dim", 64, 1, kCountMax);
  const std::int64_t expanded = text.integer_or("expand", 2, 1, 64) * input.spec->hidden_size;
  state.heads = text.integer_or("num_heads", expanded / state.head_dim_v, 1, kCountMax);
  state.head_dim_k = text.integer_or("state_size", 128, 1, kCountMax);
  state.groups = text.integer_or("n_groups", 8, 1, state.heads);
  state.conv_kernel = text.integer_or("conv_kernel", 4, 1, 64);
  state.intermediate = state.heads * state.head_dim_v;
  state.conv_bias = text.boolean_or("use_conv_bias", true);
  state.proj_bias = text.boolean_or("use_bias", false);
  fill(input, state, {}, 1);
}

/// Peng et al. 2024, "Eagle and Finch" (arXiv 2404.05892): RWKV-5 and 6. A head keeps head_size x head_size
/// values in fp32; token shift keeps the last token's input of the time mixing and of the channel mixing.
void read_rwkv(const FamilyInput& input) {
  const HfConfig& text = input.text;
  RecurrentShape state;
  state.family = StateFamily::rwkv;
  state.head_dim_k = state.head_dim_v = text.integer_or("head_size", 64, 1, kCountMax);
  state.intermediate = text.integer_or("attention_hidden_size", input.spec->hidden_size, 1);
  state.shifted = input.spec->hidden_size;
  if (state.intermediate % state.head_dim_k != 0)
    text.fail("head_size", "does not divide attention_hidden_size");
  state.heads = state.key_heads = state.intermediate / state.head_dim_k;
  state.conv_kernel = 2;  // the token before
  MlpShape mlp;
  mlp.gated = false;  // squared ReLU; its receptance counts with the time mixing
  const std::int64_t widened = (input.spec->hidden_size * 7 / 2) / 32 * 32;
  mlp.intermediate = text.integer_or("intermediate_size", widened, 1);
  fill(input, state, mlp, 2);
}

}  // namespace kvcast
