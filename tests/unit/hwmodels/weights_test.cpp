// Stored bytes of quantised linears against each format's definition, and splits over ranks.
#include "hwmodels/weights.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/error.h"

namespace kvcast {
namespace {

ModelSpec quantized(const char* config) {
  return load_model("llama-3.1-8b", {{"quantization_config", config}});
}

std::int64_t bytes_of(const char* config, const LinearSize& size) {
  const Quantization quantization = quantized(config).quantization;
  return linear_bytes(quantization, quantization.format, size, 2);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(weights)

BOOST_AUTO_TEST_CASE(scales_are_counted) {
  const LinearSize size{4096, 14336, 2};
  const std::int64_t elements = size.in * size.out;
  BOOST_TEST(bytes_of("null", size) == 2 * elements);
  BOOST_TEST(bytes_of(R"({"quant_method": "fp8", "weight_block_size": [128, 128]})", size) ==
             elements + 4L * 32 * 112);
  BOOST_TEST(bytes_of(R"({"quant_method": "fp8"})", size) == elements + 4L * 2);
  BOOST_TEST(bytes_of(R"({"quant_method": "fbgemm_fp8"})", size) == elements + 4L * 14336);
  // AWQ: packed values, fp16 scales and packed zero points per 128 inputs. GPTQ: 32-bit group numbers
  // besides.
  BOOST_TEST(bytes_of(R"({"quant_method": "awq", "bits": 4, "group_size": 128})", size) ==
             elements / 2 + 32L * 14336 * 2 + 32L * 14336 / 2);
  BOOST_TEST(bytes_of(R"({"quant_method": "gptq", "bits": 4, "group_size": 128})", size) ==
             elements / 2 + 32L * 14336 * 2 + 32L * 14336 / 2 + 4L * 4096);
  BOOST_TEST(bytes_of(R"({"quant_method": "gptq", "bits": 8, "group_size": -1})", size) ==
             elements + 14336L * 2 + 14336 + 4L * 4096);
  BOOST_TEST(bytes_of(R"({"quant_method": "modelopt", "quant_algo": "NVFP4"})", size) ==
             elements / 2 + elements / 16 + 8L * 2);
  const char* const mxfp4 =
      R"({"quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized", "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32}}}})";
  BOOST_TEST(bytes_of(mxfp4, size) == elements / 2 + elements / 32);
  const char* const w8 =
      R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "int", "strategy": "channel"}}}})";
  BOOST_TEST(bytes_of(w8, size) == elements + 4L * 14336);
}

BOOST_AUTO_TEST_CASE(ignored_modules_keep_the_dtype) {
  const Quantization quantization =
      quantized(
          R"({"quant_method": "fp8", "modules_to_not_convert": ["lm_head", "model.layers.3.self_attn.q_proj", "re:.*shared_experts.*", "model.layers.0.mlp.gate"]})")
          .quantization;
  BOOST_TEST(is_quantized(quantization, LinearRole::attention, 2));
  BOOST_TEST(!is_quantized(quantization, LinearRole::attention, 3));
  BOOST_TEST(!is_quantized(quantization, LinearRole::shared_expert, 0));
  BOOST_TEST(is_quantized(quantization, LinearRole::expert, 0));
  BOOST_TEST(is_quantized(quantization, LinearRole::dense_mlp, 0));  // a router is not an MLP
  const Quantization experts_only = load_model("gpt-oss-20b").quantization;
  BOOST_TEST(is_quantized(experts_only, LinearRole::expert, 0));
  BOOST_TEST(!is_quantized(experts_only, LinearRole::attention, 0));
}

BOOST_AUTO_TEST_CASE(unknown_schemes_refuse_the_weights_but_not_the_cache) {
  const ModelSpec model = quantized(R"({"quant_method": "bitsandbytes"})");
  BOOST_TEST(model.weights_refused.find("quant_method \"bitsandbytes\" is not modelled (known: fp8, ") == 0U);
  BOOST_CHECK_EXCEPTION(
      static_cast<void>(count_weights(model, {}, 0)), InputError, [](const InputError& error) {
        return error.code() == ExitCode::bad_data &&
               std::string(error.what()).find("the weights cannot be counted: quant_method") !=
                   std::string::npos;
      });
  BOOST_TEST(quantized("\"fp8\"").weights_refused ==
             "quantization_config only names the method \"fp8\", not its scales");
}

BOOST_AUTO_TEST_CASE(ranks_share_what_divides_and_copy_the_rest) {
  const ModelSpec model = load_model("llama-3.1-8b");
  const std::int64_t whole = count_weights(model, {}, 0).parts.total();
  for (const std::int64_t tp : {2, 4, 8}) {
    const WeightParts part = count_weights(model, {tp, 1, false, ""}, 0).parts;
    BOOST_TEST(part.norm == 65L * 4096 * 2);
    BOOST_TEST((part.total() - part.norm) * tp + part.norm == whole);
  }
  BOOST_TEST(count_weights(model, {16, 1, false, ""}, 0).parts.attention >
             count_weights(model, {8, 1, false, ""}, 0).parts.attention / 2);
  BOOST_CHECK_EXCEPTION(
      static_cast<void>(count_weights(model, {3, 1, false, ""}, 0)), InputError, [](const InputError& error) {
        return std::string(error.what()) ==
               "tensor_parallel_size: 3 does not divide the 32 attention heads of llama-3.1-8b";
      });
}

BOOST_AUTO_TEST_CASE(stages_add_up_to_the_model) {
  for (const char* name : {"llama-3.1-8b", "deepseek-v3"}) {
    const ModelSpec model = load_model(name);
    std::int64_t sum = 0;
    for (std::int64_t stage = 0; stage < 4; ++stage)
      sum += count_weights(model, {1, 4, false, ""}, stage).parts.total();
    BOOST_TEST(sum == count_weights(model, {}, 0).parts.total());
  }
  BOOST_CHECK_THROW(static_cast<void>(count_weights(load_model("llama-3.1-8b"), {1, 33, false, ""}, 0)),
                    InputError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
