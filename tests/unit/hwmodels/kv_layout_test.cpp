// KV bytes, blocks and groups against closed forms, and every worked example of the requirements that
// concerns memory.
#include "hwmodels/kv_layout.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "hwmodels/kv_capacity.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kGiB = 1 << 30;

std::int64_t bytes_per_token(const char* name, KvDtype dtype = KvDtype::model) {
  return kv_bytes_per_token(load_model(name), 1, dtype);
}

std::string refusal_of(const ModelSpec& model, const KvOptions& options) {
  try {
    static_cast<void>(make_kv_layout(model, options));
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

EngineProfile vllm() { return load_engine_profile("vllm-0.32", find_gpu("h100-sxm", "test")); }

}  // namespace

BOOST_AUTO_TEST_SUITE(kv_worked_examples)

BOOST_AUTO_TEST_CASE(llama_2_7b_costs_half_a_mebibyte_a_token) {
  const std::int64_t token = bytes_per_token("llama-2-7b");
  BOOST_TEST(token == 524'288);
  BOOST_TEST(1024 * token == 512 * kMiB);
  BOOST_TEST(2048 * token == kGiB);
  BOOST_TEST(64 * 1024 * token == 32 * kGiB);
  BOOST_TEST(64 * 4096 * token == 128 * kGiB);
  BOOST_TEST(128 * kGiB > find_gpu("h100-sxm", "test").memory_bytes());
}

BOOST_AUTO_TEST_CASE(values_per_token_without_bytes) {
  const ModelSpec model = load_model("llama-2-7b");
  BOOST_TEST(layer_bytes_per_token(model.layers[0], 1, KvDtype::model, 2) / 2 == 8192);
  BOOST_TEST(bytes_per_token("llama-2-7b") / 2 == 262'144);
}

BOOST_AUTO_TEST_CASE(one_kv_head_of_32_costs_a_thirty_second) {
  const ModelSpec mqa = load_model("llama-2-7b", {{"num_key_value_heads", "1"}});
  BOOST_TEST(32 * kv_bytes_per_token(mqa, 1, KvDtype::model) == bytes_per_token("llama-2-7b"));
}

BOOST_AUTO_TEST_CASE(seventy_billion_with_and_without_grouped_queries) {
  const ModelSpec mha = load_model("llama-3-70b", {{"num_key_value_heads", "64"}});
  BOOST_TEST(2 * kv_bytes_per_token(mha, 1, KvDtype::model) == 5 * kMiB);  // 2.5 MiB a token
  BOOST_TEST(4096 * kv_bytes_per_token(mha, 1, KvDtype::model) == 10 * kGiB);
  BOOST_TEST(4 * 4096 * bytes_per_token("llama-3-70b") == 5 * kGiB);  // 1.25 GiB: 87.5 % less
  BOOST_TEST(8 * bytes_per_token("llama-3-70b") == kv_bytes_per_token(mha, 1, KvDtype::model));
}

BOOST_AUTO_TEST_CASE(four_bits_are_a_quarter_plus_scales) {
  const std::int64_t wide = bytes_per_token("llama-2-7b");
  const std::int64_t vectors = 32L * 32 * 2;  // heads, layers, sides
  BOOST_TEST(bytes_per_token("llama-2-7b", KvDtype::int4) == wide / 4 + vectors * 4);
  BOOST_TEST(bytes_per_token("llama-2-7b", KvDtype::nf4) == wide / 4 + vectors * 4);
  BOOST_TEST(bytes_per_token("llama-2-7b", KvDtype::int4_per_token_head) == wide / 4 + vectors * 4);
  BOOST_TEST(bytes_per_token("llama-2-7b", KvDtype::int8) == wide / 2 + vectors * 2);
  BOOST_TEST(bytes_per_token("llama-2-7b", KvDtype::int8_per_token_head) == wide / 2 + vectors * 4);
  BOOST_TEST(bytes_per_token("llama-2-7b", KvDtype::fp8_e4m3) == wide / 2);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(kv_layout)

BOOST_AUTO_TEST_CASE(dtype_names_round_trip) {
  for (const std::string& name : kv_dtype_names()) {
    const KvDtype dtype = parse_kv_dtype(name, "x");
    BOOST_TEST(to_string(dtype) == (name == "fp8" ? "fp8_e4m3" : name));
    BOOST_TEST(!kv_dtype_scheme(dtype).empty());
  }
  BOOST_CHECK_EXCEPTION(
      static_cast<void>(parse_kv_dtype("fp9", "s.yaml:3:5")), InputError, [](const InputError& error) {
        const std::string text = error.what();
        return text.find("s.yaml:3:5: unknown KV cache dtype \"fp9\" (known: auto, ") == 0 &&
               text.find("did you mean fp8?") != std::string::npos;
      });
}

BOOST_AUTO_TEST_CASE(blocks_are_tokens_over_block_size_rounded_up) {
  std::mt19937_64 random(1);
  const ModelSpec model = load_model("llama-3.1-8b");
  for (int round = 0; round < 200; ++round) {
    KvOptions options;
    options.block_size = static_cast<std::int64_t>(random() % 4096) + 1;
    const KvLayout layout = make_kv_layout(model, options);
    const std::int64_t tokens = static_cast<std::int64_t>(random() % 200'000) + 1;
    BOOST_REQUIRE(request_blocks(layout, options, tokens) == ceil_div(tokens, options.block_size));
    BOOST_REQUIRE(layout.bytes_per_block == options.block_size * 131072);
    BOOST_REQUIRE(layout.bytes_per_token == 131072);
  }
}

BOOST_AUTO_TEST_CASE(heads_split_over_ranks_until_they_run_out) {
  const ModelSpec model = load_model("llama-3.1-70b");
  for (const std::int64_t tp : {1, 2, 4, 8})
    BOOST_TEST(kv_bytes_per_token(model, tp, KvDtype::model) * tp == 327'680);
  BOOST_TEST(kv_bytes_per_token(model, 16, KvDtype::model) == 327'680 / 8);  // each head twice
  KvOptions odd;
  odd.tensor_parallel = 6;
  BOOST_TEST(refusal_of(model, odd) ==
             "tensor_parallel_size: 6 neither divides nor is a multiple of the 8 KV heads");
}

BOOST_AUTO_TEST_CASE(windows_hold_their_width_and_the_batches_in_flight) {
  const ModelSpec model = load_model("gpt-oss-20b");
  KvOptions options;
  options.in_flight_tokens = 8192;
  const KvLayout layout = make_kv_layout(model, options);
  BOOST_TEST(layout.groups.size() == 2U);
  BOOST_TEST(layout.bytes_per_block ==
             12 * 16 * 8 * 2 * 64 * 2);          // twelve layers share an id; either group may own it
  BOOST_TEST(layout.bytes_per_token == 24'576);  // only the full layers grow
  BOOST_TEST(request_blocks(layout, options, 100'000) == 6250 + ceil_div(127 + 8192, 16) + 1);
  BOOST_TEST(request_blocks(layout, options, 100) == 7 + 8);
  options.hybrid_manager = false;
  const KvLayout one = make_kv_layout(model, options);
  BOOST_TEST(one.groups.size() == 1U);
  BOOST_TEST(one.bytes_per_block == 2 * layout.bytes_per_block);
  BOOST_TEST(request_blocks(one, options, 100'000) == 6250);
}

BOOST_AUTO_TEST_CASE(kernels_refuse_what_they_cannot_read) {
  const ModelSpec latent = load_model("deepseek-v3");
  KvOptions options;
  options.dtype = KvDtype::int8;
  BOOST_TEST(refusal_of(latent, options) ==
             "kv_cache_dtype: no latent-attention kernel reads int8 (deepseek-v3 takes auto, bfloat16, "
             "float16, fp8)");
  options.dtype = KvDtype::fp8_ds_mla;
  BOOST_TEST(refusal_of(load_model("llama-3.1-8b"), options) ==
             "kv_cache_dtype: fp8_ds_mla needs sparse latent attention, which llama-3.1-8b does not have");
  const ModelSpec sparse =
      load_model("deepseek-v3", {{"index_topk", "2048"}, {"index_n_heads", "64"}, {"index_head_dim", "128"}});
  options.dtype = KvDtype::fp8_e4m3;
  BOOST_TEST((make_kv_layout(sparse, options).dtype == KvDtype::fp8_ds_mla));
  BOOST_TEST(make_kv_layout(sparse, options).bytes_per_token == 61 * (656 + 132));
  options.block_size = 32;
  BOOST_TEST(refusal_of(sparse, options).find("block_size: 32 is not a multiple of 64") == 0U);
  options.spec_method = "mtp";
  options.block_size = 0;
  options.dtype = KvDtype::model;
  BOOST_TEST(refusal_of(load_model("llama-3.1-8b"), options) ==
             "speculative.method: llama-3.1-8b has no prediction layers (mtp)");
}

BOOST_AUTO_TEST_CASE(the_longest_fit_is_the_border) {
  std::mt19937_64 random(3);
  for (const char* name : {"llama-3.1-8b", "gpt-oss-20b", "deepseek-v3"}) {
    const ModelSpec model = load_model(name);
    KvOptions options;
    options.in_flight_tokens = 2048;
    const KvLayout layout = make_kv_layout(model, options);
    for (int round = 0; round < 100; ++round) {
      const std::int64_t bytes = static_cast<std::int64_t>(random() % 4'000'000'000ULL);
      const KvCapacity capacity = size_kv_pool(layout, options, vllm(), bytes, 200'000, 0);
      const auto fits = [&](std::int64_t tokens) {
        return size_kv_pool(layout, options, vllm(), bytes, tokens, 0).fits;
      };
      BOOST_REQUIRE(capacity.blocks_total == bytes / layout.bytes_per_block);
      if (capacity.fits_max_model_len > 0) BOOST_REQUIRE(fits(capacity.fits_max_model_len));
      if (capacity.fits_max_model_len < 200'000) BOOST_REQUIRE(!fits(capacity.fits_max_model_len + 1));
      BOOST_REQUIRE(capacity.fits == (capacity.fits_max_model_len == 200'000));
    }
  }
}

BOOST_AUTO_TEST_CASE(pipeline_stages_share_the_layers) {
  const ModelSpec model = load_model("llama-2-7b", {{"num_hidden_layers", "31"}});
  KvOptions options;
  options.pipeline_parallel = 2;
  BOOST_TEST(make_kv_layout(model, options).bytes_per_token ==
             16 * 16384);  // the larger stage has 16 of 31 layers
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
