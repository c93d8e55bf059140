// Parsing of config.json: families, their traps, overrides and refusals.
#include "hwmodels/model_spec.h"

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "hwmodels/kv_layout.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

/// A small Llama with extra or replaced members.
std::string llama_json(const std::string& extra = "") {
  return "{\n\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 64, "
         "\"intermediate_size\": 128,\n"
         "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"vocab_size\": "
         "128,\n"
         "\"max_position_embeddings\": 256" +
         extra + "}";
}

std::string message_of(const std::string& json, const ModelOverrides& overrides = {}) {
  try {
    static_cast<void>(parse_model(json, "m.json", overrides));
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::int64_t count_kind(const ModelSpec& model, LayerKind kind) {
  std::int64_t count = 0;
  for (const LayerSpec& layer : model.layers) count += layer.kind == kind ? 1 : 0;
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(model_spec)

BOOST_AUTO_TEST_CASE(defaults_of_the_hugging_face_classes) {
  const ModelSpec model = parse_model(llama_json(), "m.json");
  BOOST_TEST(model.name == "m");
  BOOST_TEST(model.layers.size() == 2U);
  BOOST_TEST(model.layers[0].attention.head_dim_k == 16);  // hidden_size / heads
  BOOST_TEST(model.dtype == "bfloat16");
  BOOST_TEST(!model.tied_embeddings);
  const ModelSpec mha = parse_model(llama_json(), "m.json", {{"num_key_value_heads", "null"}});
  BOOST_TEST(mha.layers[0].attention.kv_heads == 4);  // absent: as many as heads
}

BOOST_AUTO_TEST_CASE(overrides_replace_and_add) {
  const ModelSpec model = parse_model(
      llama_json(), "m.json", {{"num_hidden_layers", "5"}, {"head_dim", "32"}, {"torch_dtype", "float16"}});
  BOOST_TEST(model.layers.size() == 5U);
  BOOST_TEST(model.layers[0].attention.head_dim_v == 32);
  BOOST_TEST(model.dtype == "float16");
  BOOST_TEST(message_of(llama_json(), {{"num_hidden_layers", "[1"}}) ==
             "model_overrides.num_hidden_layers:1:3: expected ',' or ']' in an array");
  BOOST_TEST(message_of(llama_json(), {{"vocab_size.x", "1"}}) ==
             "model_overrides.vocab_size.x: no such place in the model's config");
  BOOST_TEST(message_of(llama_json(), {{"num_hidden_layers", "0"}}) ==
             "m.json: num_hidden_layers: 0 is outside the allowed range 1 to 4096");
}

BOOST_AUTO_TEST_CASE(bad_files_are_refused_with_their_place) {
  BOOST_TEST(message_of("[]") == "m.json:1:1: expected an object, found an array");
  BOOST_TEST(message_of("{\"hidden_size\": 4}") == "m.json:1:1: model_type: required but missing");
  BOOST_TEST(message_of(llama_json(", \"head_dim\": \"x\"")) ==
             "m.json:4:45: head_dim: expected an integer, found a string");
  BOOST_TEST(message_of(llama_json(), {{"num_key_value_heads", "3"}}) ==
             "m.json: num_key_value_heads: 3 does not divide num_attention_heads 4");
  BOOST_TEST(message_of(llama_json(), {{"num_attention_heads", "5"}, {"num_key_value_heads", "5"}}) ==
             "m.json: num_attention_heads: 5 does not divide hidden_size and the file has no head_dim");
  BOOST_TEST(message_of(llama_json(), {{"model_type", "lama"}})
                 .find("m.json: model_type: architecture \"lama\" is not modelled (known: deepseek_v2,") ==
             0U);
  BOOST_TEST(message_of(llama_json(), {{"model_type", "lama"}}).find("did you mean llama?") !=
             std::string::npos);
  BOOST_TEST(message_of(llama_json(), {{"model_type", "deepseek_v4"}})
                 .find("compressed attention (compress_ratios) is not modelled") != std::string::npos);
  BOOST_TEST(message_of(llama_json(), {{"layer_types", "[\"full_attention\"]"}}) ==
             "m.json: layer_types: has 1 entries for 2 layers");
  BOOST_TEST(message_of(llama_json(), {{"layer_types", "[\"full_attention\", \"odd\"]"}})
                 .find("unknown layer type \"odd\"") != std::string::npos);
  BOOST_TEST(message_of(llama_json(), {{"torch_dtype", "int3"}}) ==
             "m.json: torch_dtype: unknown dtype \"int3\" (known: bfloat16, float16, float32)");
}

BOOST_AUTO_TEST_CASE(a_token_has_no_more_experts_than_the_layer) {
  const auto message = [](const char* experts) {
    return message_of(
        R"({"model_type": "qwen3_moe", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,)"
        R"( "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128, "num_experts": 4,)"
        R"( "moe_intermediate_size": 16,)"
        R"( "max_position_embeddings": 256, "num_experts_per_tok": )" +
        std::string(experts) + "}");
  };
  BOOST_TEST(message("4") == "no error");
  BOOST_TEST(message("5").ends_with("num_experts_per_tok: 5 experts for each token, but a layer has 4"));
}

BOOST_AUTO_TEST_CASE(a_missing_model_names_the_nearest) {
  try {
    static_cast<void>(load_model("llama-3.1-8", {}, "s.yaml:1:8"));
    BOOST_FAIL("no error");
  } catch (const InputError& error) {
    BOOST_TEST((error.code() == ExitCode::usage));
    BOOST_TEST(std::string(error.what())
                   .find("s.yaml:1:8: no file, folder or known model \"llama-3.1-8\" (known: ") == 0U);
    BOOST_TEST(std::string(error.what()).find("did you mean llama-3.1-8b?") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_folder_with_a_config_is_a_model) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "kvcast_model_test";
  std::filesystem::create_directories(folder / "tiny-llama");
  std::ofstream(folder / "tiny-llama" / "config.json") << llama_json();
  BOOST_TEST(load_model((folder / "tiny-llama").string()).name == "tiny-llama");
  BOOST_TEST(load_model((folder / "tiny-llama" / "config.json").string()).layers.size() == 2U);
  std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_CASE(windows_apply_where_the_classes_apply_them) {
  const auto kind = [](const ModelOverrides& overrides, std::size_t layer) {
    return parse_model(llama_json(), "m.json", overrides).layers[layer].kind;
  };
  const ModelOverrides mistral = {{"model_type", "mistral"}, {"sliding_window", "32"}};
  BOOST_TEST((kind(mistral, 0) == LayerKind::sliding_window));
  ModelOverrides qwen = {{"model_type", "qwen2"}, {"sliding_window", "32"}, {"max_window_layers", "1"}};
  BOOST_TEST((kind(qwen, 1) == LayerKind::full_attention));  // use_sliding_window is false by default
  qwen["use_sliding_window"] = "true";
  BOOST_TEST((kind(qwen, 0) == LayerKind::full_attention));
  BOOST_TEST((kind(qwen, 1) == LayerKind::sliding_window));
  const ModelOverrides gemma3 = {
      {"model_type", "gemma3_text"}, {"sliding_window", "32"}, {"num_hidden_layers", "12"}};
  const ModelSpec gemma = parse_model(llama_json(), "m.json", gemma3);
  BOOST_TEST(count_kind(gemma, LayerKind::full_attention) == 2);  // every sixth
  BOOST_TEST(gemma.layers[5].attention.window == 0);
  BOOST_TEST(gemma.layers[0].attention.window == 32);
  BOOST_TEST(gemma.layers[0].attention.head_dim_k == 256);  // the class's default, not hidden_size / heads
  BOOST_TEST(gemma.tied_embeddings);
}

BOOST_AUTO_TEST_CASE(latent_attention_ignores_key_value_heads) {
  const ModelSpec model = load_model("deepseek-v3");
  BOOST_TEST(count_kind(model, LayerKind::mla) == 61);
  BOOST_TEST(kv_bytes_per_token(model, 1, KvDtype::model) == 61 * 576 * 2);
  BOOST_TEST(kv_bytes_per_token(model, 8, KvDtype::model) == 61 * 576 * 2);  // the same on every rank
  BOOST_TEST(model.draft_layers.size() == 1U);
  BOOST_TEST(model.layers[2].mlp.experts == 0);
  BOOST_TEST(model.layers[3].mlp.experts == 256);
}

BOOST_AUTO_TEST_CASE(summary_lists_of_field_extracts) {
  const ModelSpec model =
      parse_model(llama_json(), "m.json",
                  {{"layer_types", "\"list[2]:{'sliding_attention': 1, 'full_attention': 1}\""},
                   {"sliding_window", "8"}});
  BOOST_TEST(count_kind(model, LayerKind::sliding_window) == 1);
  BOOST_TEST(message_of(llama_json(), {{"layer_types", "\"list[3]:{'full_attention': 2}\""}}) ==
             "m.json: layer_types: expected a list of strings, found a string");
}

BOOST_AUTO_TEST_CASE(parameter_counts_are_the_published_ones) {
  const auto total = [](const char* name) {
    return static_cast<double>(count_parameters(load_model(name)).total);
  };
  const auto active = [](const char* name) {
    return static_cast<double>(count_parameters(load_model(name)).active);
  };
  // Model cards: 6.74, 68.98, 8.03, 70.55, 405.85, 7.62, 30.5 (3.3 active), 46.7 (12.9), 671 (37), 117 (5.1)
  // billion.
  BOOST_TEST(total("llama-2-7b") == 6'738'415'616.0);
  BOOST_TEST(total("llama-2-70b") == 68'976'648'192.0);
  BOOST_TEST(total("llama-3.1-8b") == 8'030'261'248.0);
  BOOST_TEST(total("llama-3.1-70b") == 70'553'706'496.0);
  BOOST_TEST(total("llama-3.1-405b") == 405'853'388'800.0);
  BOOST_TEST(total("qwen2.5-7b") == 7'615'616'512.0);
  BOOST_TEST(total("mistral-nemo-12b") == 12'247'782'400.0);
  BOOST_TEST(total("mixtral-8x7b") == 46'702'792'704.0);
  BOOST_TEST(active("mixtral-8x7b") == 12.88e9, boost::test_tools::tolerance(0.002));
  BOOST_TEST(total("qwen3-30b-a3b") == 30'532'122'624.0);
  BOOST_TEST(active("qwen3-30b-a3b") == 3.35e9, boost::test_tools::tolerance(0.01));
  BOOST_TEST(total("deepseek-v3") == 671.03e9, boost::test_tools::tolerance(0.0002));
  BOOST_TEST(total("gpt-oss-120b") == 116.83e9, boost::test_tools::tolerance(0.0002));
}

BOOST_AUTO_TEST_CASE(every_embedded_model_loads) {
  BOOST_TEST(list_models().size() >= 14U);
  for (const std::string& name : list_models()) {
    const ModelSpec model = load_model(name);
    BOOST_TEST(model.name == name);
    BOOST_TEST(model.source == "embedded:configs/models/" + name + ".json");
    BOOST_TEST_CONTEXT(name) BOOST_TEST(model.weights_refused == "");
    BOOST_TEST(load_model("configs/models/" + name + ".json").name == name);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
