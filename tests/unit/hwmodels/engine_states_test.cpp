// Layers that no model of the data has, against what engines' own code allocates for them. The shapes are
// those of
// - vllm 0.32.0, vllm/model_executor/layers/mamba/mamba_utils.py
// (MambaStateShapeCalculator.mamba1_state_shape and
//   linear_attention_state_shape; dtypes from mamba1_state_dtype: both parts the model's with
//   mamba_cache_dtype and mamba_ssm_cache_dtype auto), v1/worker/gpu/attn_utils.py (get_kv_cache_spec: a
//   layer with a kv_sharing_target_layer_name has no spec), v1/kv_cache_interface.py
//   (AttentionSpec.real_page_size_bytes)
// - rwkv 0.8.32, rwkv/model.py, lines 1466 to 1471 (the state of versions 5 and 6)
// - pytorch-fast-transformers at 7ee816c, recurrent/attention/self_attention/linear_attention.py (Si and Zi)
// all of them Apache-2.0 or MIT; written down here as products, so that no formula of kvcast's is its own
// judge.
#include <boost/test/unit_test.hpp>

#include "hwmodels/kv_layout.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

ModelSpec model_of(const std::string& json) { return parse_model(json, "m.json"); }

std::int64_t state_of(const ModelSpec& model, std::int64_t ranks, std::int64_t element_bytes = 0) {
  for (const LayerSpec& layer : model.layers) {
    if (layer.kind == LayerKind::recurrent)
      return state_bytes(layer.state, ranks, 0, model.dtype_bytes, element_bytes);
  }
  return -1;
}

KvOptions options_of(std::int64_t ranks) {
  KvOptions options;
  options.tensor_parallel = ranks;
  options.max_model_len = 4096;
  return options;
}

/// state-spaces/mamba-2.8b-hf.
const char* const kMamba =
    R"({"architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 2560,
  "intermediate_size": 5120, "num_hidden_layers": 64, "state_size": 16, "conv_kernel": 4, "expand": 2,
  "time_step_rank": 160, "vocab_size": 50280, "torch_dtype": "bfloat16"})";

/// ai21labs/Jamba-v0.1.
const char* const kJamba =
    R"({"architectures": ["JambaForCausalLM"], "model_type": "jamba", "hidden_size": 4096,
  "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
  "attn_layer_period": 8, "attn_layer_offset": 4, "expert_layer_period": 2, "expert_layer_offset": 1,
  "num_experts": 16, "num_experts_per_tok": 2, "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_dt_rank": 256,
  "mamba_expand": 2, "mamba_conv_bias": true, "mamba_proj_bias": false, "vocab_size": 65536,
  "max_position_embeddings": 262144, "torch_dtype": "bfloat16"})";

/// RWKV/v6-Finch-7B-HF.
const char* const kFinch =
    R"({"architectures": ["Rwkv6ForCausalLM"], "model_type": "rwkv6", "hidden_size": 4096,
  "attention_hidden_size": 4096, "num_hidden_layers": 32, "head_size": 64, "vocab_size": 65536,
  "torch_dtype": "bfloat16"})";

std::string llama(const std::string& more) {
  return R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
    "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 128256, "max_position_embeddings": 8192, "torch_dtype": "bfloat16")" +
         more + "}";
}

BOOST_AUTO_TEST_SUITE(engine_states)

/// vLLM: (intermediate / tp, conv_kernel - 1) and (intermediate / tp, state_size), both in the model's dtype.
BOOST_AUTO_TEST_CASE(mamba_1_as_vllm_shapes_it) {
  const ModelSpec model = model_of(kMamba);
  for (const std::int64_t tp : {1, 2, 4, 8})
    BOOST_TEST(state_of(model, tp) == (5120 / tp) * 3 * 2 + (5120 / tp) * 16 * 2);
  BOOST_TEST(state_of(model, 1, 4) == 5120 * 3 * 2 + 5120 * 16 * 4);  // mamba_ssm_cache_dtype float32
  BOOST_TEST(make_kv_layout(model, options_of(1)).state_bytes_per_sequence ==
             64 * (5120 * 3 * 2 + 5120 * 16 * 2));
}

/// In a hybrid the attention block grows until its page holds a state: 16 * cdiv(state, 16 * bytes a token).
BOOST_AUTO_TEST_CASE(mamba_1_beside_attention) {
  const ModelSpec model = model_of(kJamba);
  const std::int64_t state = 8192 * 3 * 2 + 8192 * 16 * 2;  // 311,296
  const std::int64_t token = 2 * 8 * 128 * 2;               // K and V of 8 heads of 128
  BOOST_TEST(state_of(model, 1) == state);
  const KvLayout layout = make_kv_layout(model, options_of(1));
  BOOST_TEST(layout.block_size_resolved == 80);  // 4.75 blocks of 16 tokens
  for (const KvEntry& entry : layout.layers)
    BOOST_TEST(entry.page_bytes == 80 * token);  // a state is padded to the attention's page
  BOOST_TEST(layout.state_bytes_per_sequence == 28 * state);
}

/// RWKV's own runtime: in each layer the token before, of time mixing and of channel mixing, hidden_size
/// values each in the model's dtype, and heads x head_size x head_size in fp32.
BOOST_AUTO_TEST_CASE(rwkv_as_its_runtime_allocates_it) {
  BOOST_TEST(state_of(model_of(kFinch), 1) == 2 * 4096 * 2 + 64 * 64 * 64 * 4);
  const std::string narrow =
      R"({"architectures": ["Rwkv6ForCausalLM"], "model_type": "rwkv6", "hidden_size": 2048,
    "attention_hidden_size": 1024, "num_hidden_layers": 24, "head_size": 64, "vocab_size": 65536,
    "torch_dtype": "bfloat16"})";
  BOOST_TEST(state_of(model_of(narrow), 1) == 2 * 2048 * 2 + 16 * 64 * 64 * 4);
}

/// Linear attention: heads x D x M of the products and heads x D of the keys' sum, without which the output
/// cannot be normalised. vLLM's MiniMax layers, which normalise by a norm instead, keep heads x D x D alone:
/// those are not what `linear_attention_layers` makes.
BOOST_AUTO_TEST_CASE(linear_attention_as_fast_transformers_allocates_it) {
  const ModelSpec model = model_of(llama(R"(, "linear_attention_layers": [0, 1, 2, 3])"));
  for (const std::int64_t tp : {1, 2, 4})
    BOOST_TEST(state_of(model, tp, 2) == (32 / tp) * (128 * 128 + 128) * 2);
}

/// A layer that reads another's cache has no spec, so a block holds a page of each of the others: K and V of
/// block_size x heads x 128.
BOOST_AUTO_TEST_CASE(layers_that_share_a_cache_have_none) {
  const ModelSpec all = model_of(llama(""));
  const ModelSpec half = model_of(llama(R"(, "cross_layer_sharing": 2)"));
  for (const std::int64_t tp : {1, 2, 8}) {
    const std::int64_t page = 16 * (8 / tp) * 2 * 128 * 2;
    BOOST_TEST(make_kv_layout(all, options_of(tp)).bytes_per_block == 32 * page);
    BOOST_TEST(make_kv_layout(half, options_of(tp)).bytes_per_block == 16 * page);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
