// Every config.json and field extract of data/models is sized right or refused with the reason.
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <map>

#include "hwmodels/kv_layout.h"
#include "hwmodels/model_spec.h"
#include "sim/base/error.h"
#include "tests/oracles/memory_fields.h"

namespace kvcast::test {
namespace {

/// Bytes per token of the whole model in 16 bits, worked out here from the fields alone, for families without
/// windows or states; -1: others.
std::int64_t expected_bytes_per_token(const JsonValue& root) {
  const JsonValue* nested = root.find("text_config");
  const JsonValue& fields = nested == nullptr ? root : *nested;
  const auto number = [&](const char* key) {
    return fields.find(key) == nullptr ? std::int64_t{0} : fields.find(key)->integer;
  };
  for (const char* key : {"layer_types", "hybrid_override_pattern", "layers_block_type",
                          "hybrid_layer_pattern", "attention_chunk_size", "linear_attn_config"}) {
    if (fields.find(key) != nullptr && number("index_topk") == 0) return -1;
  }
  const std::int64_t layers = number("num_hidden_layers");
  if (number("kv_lora_rank") > 0)
    return layers *
           (2 * (number("kv_lora_rank") + number("qk_rope_head_dim")) + (number("index_topk") > 0 ? 132 : 0));
  std::int64_t head_dim = number("head_dim");
  if (head_dim == 0) {
    const std::int64_t heads = number("num_attention_heads");
    head_dim = heads > 0 ? number("hidden_size") / heads : 0;
  }
  return layers * number("num_key_value_heads") * head_dim * 2 * 2;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(memory_models)

BOOST_AUTO_TEST_CASE(all_config_files) {
  const auto folder = data_folder("models/hf_config");
  if (!folder) return;
  // Bytes per token and rank of the layers that grow, and bytes of one state per sequence, worked out by hand
  // from the files.
  const std::map<std::string, std::pair<std::int64_t, std::int64_t>> expected = {
      {"Qwen--Qwen3-0.6B", {114688, 0}},
      {"Qwen--Qwen3-235B-A22B-FP8", {192512, 0}},
      {"Qwen--Qwen3-30B-A3B", {98304, 0}},
      {"Qwen--Qwen3-32B", {262144, 0}},
      {"Qwen--Qwen3-8B", {147456, 0}},
      {"Qwen--Qwen3.5-27B", {65536, 48 * (3 * 10240 * 2 + 48 * 128 * 128 * 4)}},
      {"Qwen--Qwen3.5-35B-A3B", {20480, 30 * 2146304}},
      {"XiaomiMiMo--MiMo-V2-Flash", {9 * 4 * (192 + 128) * 2, 0}},
      {"deepseek-ai--DeepSeek-R1", {70272, 0}},
      {"deepseek-ai--DeepSeek-V3.2", {61 * (1152 + 132), 0}},
      {"google--gemma-4-26B-A4B", {5 * 2 * 2 * 512 * 2, 0}},
      {"meta-llama--Llama-4-Scout-17B-16E-Instruct", {12 * 4096, 0}},
      {"meta-llama--Meta-Llama-3.1-405B", {516096, 0}},
      {"meta-llama--Meta-Llama-3.1-70B", {327680, 0}},
      {"meta-llama--Meta-Llama-3.1-8B", {131072, 0}},
      {"mistralai--Mixtral-8x22B-v0.1", {229376, 0}},
      {"mistralai--Mixtral-8x7B-v0.1", {131072, 0}},
      {"moonshotai--Kimi-K2-Instruct", {70272, 0}},
      {"moonshotai--Kimi-K3", {24 * 1152, 69 * 6512640}},
      {"nvidia--Llama-3_3-Nemotron-Super-49B-v1", {49 * 4096, 0}},
      {"nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", {6 * 1024, 23 * 2134016}},
      {"nvidia--Nemotron-H-56B-Base-8K", {10 * 4096, 54 * (3 * 20480 * 2 + 256 * 64 * 256 * 4)}},
      {"openai--gpt-oss-120b", {36864, 0}},
      {"openai--gpt-oss-20b", {24576, 0}},
      {"stepfun-ai--Step-3.7-Flash", {12 * 4096, 0}},
      {"zai-org--GLM-5", {78 * (1152 + 132), 0}},
  };
  int sized = 0;
  for (const auto& path : files_in(*folder, ".json")) {
    const std::string name = path.stem().string();
    BOOST_TEST_CONTEXT(name) {
      const ModelSpec model = load_model(path.string());
      std::int64_t states = 0;
      for (const LayerSpec& layer : model.layers) {
        if (layer.kind == LayerKind::recurrent)
          states += state_bytes(layer.state, 1, 0, model.dtype_bytes, 0);
      }
      BOOST_TEST(kv_bytes_per_token(model, 1, KvDtype::model) == expected.at(name).first);
      BOOST_TEST(states == expected.at(name).second);
      if (!model.weights_refused.empty())
        std::printf("%s: weights refused: %s\n", name.c_str(), model.weights_refused.c_str());
    }
    ++sized;
  }
  BOOST_TEST(sized == 26);
}

BOOST_AUTO_TEST_CASE(all_field_extracts) {
  int sized = 0, checked = 0, refused = 0;
  const std::map<std::string, std::string> sets = field_sets();
  if (sets.empty()) return;
  for (const auto& [name, text] : sets) {
    try {
      const ModelSpec model = parse_model(text, name);
      const std::int64_t bytes = kv_bytes_per_token(model, 1, KvDtype::model);
      const std::int64_t expected = expected_bytes_per_token(parse_json(text, name));
      ++sized;
      checked += expected >= 0 ? 1 : 0;
      BOOST_TEST_CONTEXT(name) {
        BOOST_TEST(bytes > 0);
        if (expected >= 0) BOOST_TEST(bytes == expected);
      }
    } catch (const InputError& error) {
      ++refused;
      const std::string reason = error.what();
      std::printf("refused %s\n", reason.c_str());
      BOOST_TEST((error.code() == ExitCode::bad_data));
      const bool known = reason.find("compress_ratios") != std::string::npos ||
                         reason.find("block-sparse attention") != std::string::npos ||
                         reason.find("block_configs: required but missing") != std::string::npos;
      BOOST_TEST_CONTEXT(reason) BOOST_TEST(known);
    }
  }
  std::printf("field extracts: %d sized (%d against the closed form), %d refused with the reason\n", sized,
              checked, refused);
  BOOST_TEST(sized + refused == 87);
  BOOST_TEST(sized >= 78);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::test
