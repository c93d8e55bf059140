// A GPU's calibration as kvcast-bench writes it: which models it can time, latent attention and experts,
// widths that were not measured, and what an engine adds.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>

#include "hwmodels/bench_facts.h"
#include "hwmodels/bench_model.h"
#include "hwmodels/bench_sizes.h"
#include "sim/base/error.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

using Shape = std::vector<std::pair<const char*, std::int64_t>>;

MeasurementRecord record(const std::string& op, const std::string& kernel, const std::string& dtype,
                         const Shape& shape, double us) {
  std::string members;
  for (const auto& [name, value] : shape)
    members += std::string(members.empty() ? "" : ", ") + "\"" + name + "\": " + std::to_string(value);
  const std::string line =
      "{\"op\": \"" + op + "\", \"kernel\": \"" + kernel + "\", \"shape\": {" + members + "}, \"dtype\": \"" +
      dtype + "\", \"device\": {\"name\": \"NVIDIA H100 80GB HBM3\"}, \"ns\": {\"n\": 9, \"median\": " +
      std::to_string(us * 1e3) + "}}";
  return read_measurement_record(parse_json(line, "test"), "test");
}

double real(std::int64_t value) { return static_cast<double>(value); }

constexpr double kGb = 2.7e3;    // bytes per microsecond and GB/s / 1000: 2.7 TB/s
constexpr double kFlop = 500e6;  // per microsecond
double gemm_us(double m, double n, double k) { return 4 + 2 * n * k / (kGb * 1e3) + 2 * m * n * k / kFlop; }
double row_us(double rows, double bytes) { return 2 + rows * bytes / (kGb * 1e3); }

/// What a device of 2.7 TB/s and 500 TFLOP/s would write, with the types and shapes of the GPU suite.
std::vector<MeasurementRecord> gpu_records() {
  std::vector<MeasurementRecord> records;
  const auto put = [&records](const std::string& op, const std::string& dtype, const Shape& shape,
                              double us) {
    records.push_back(record(op,
                             op == "sample" ? "greedy"
                             : op == "gemm" ? "cublaslt"
                                            : "",
                             dtype, shape, us));
  };
  const std::pair<std::int64_t, std::int64_t> sites[] = {
      {6144, 4096}, {4096, 4096}, {28672, 4096}, {4096, 14336}, {2560, 8192}};
  for (const auto& [n, k] : sites)
    for (const std::int64_t m : {1, 8, 16, 64, 256, 1024, 4096})
      put("gemm", "bfloat16", {{"m", m}, {"n", n}, {"k", k}}, gemm_us(real(m), real(n), real(k)));
  for (const std::int64_t batch : {1, 4, 16, 64}) {
    for (const std::int64_t context : {256, 1024, 4096, 16384}) {
      const double tokens = real(batch * context);
      put("decode_attention", "bfloat16",
          {{"heads", 32},
           {"kv_heads", 8},
           {"head_size", 128},
           {"batch", batch},
           {"context_sum", batch * context},
           {"q_len", 1}},
          6 + tokens * 4096 / (kGb * 1e3));
      // Speculative verification is another kernel: it must not bend the fit.
      put("decode_attention", "bfloat16",
          {{"heads", 32},
           {"kv_heads", 8},
           {"head_size", 128},
           {"batch", batch},
           {"context_sum", batch * context},
           {"q_len", 8}},
          60 + 3 * tokens * 4096 / (kGb * 1e3));
      put("mla_decode", "bfloat16",
          {{"heads", 16},
           {"kv_heads", 1},
           {"head_size", 576},
           {"batch", batch},
           {"context_sum", batch * context}},
          7 + tokens * 1152 / (kGb * 1e3));
    }
  }
  for (const std::int64_t q : {128, 512, 2048, 8192}) {
    for (const std::int64_t past : {0, 4096, 32768}) {
      const double pairs = real(q * past + q * (q + 1) / 2);
      put("prefill_attention", "bfloat16",
          {{"heads", 32}, {"kv_heads", 8}, {"head_size", 128}, {"batch", 1}, {"q_len", q}, {"past", past}},
          8 + pairs * 4 * 32 * 128 / kFlop);
      put("mla_prefill", "bfloat16",
          {{"heads", 16}, {"head_size", 576}, {"batch", 1}, {"q_len", q}, {"past", past}},
          8 + pairs * 2 * 16 * 1088 / kFlop);
    }
  }
  for (const std::int64_t n : {1, 8, 64, 256, 1024, 4096}) {
    put("append", "bfloat16", {{"heads", 32}, {"kv_heads", 8}, {"head_size", 128}, {"tokens", n}},
        row_us(real(n), 2 * 12288));
    for (const std::int64_t width : {4096, 8192})
      put("rms_norm", "bfloat16", {{"rows", n}, {"width", width}}, row_us(real(n), 8.0 * real(width)));
    for (const std::int64_t width : {14336, 28672})
      put("silu_mul", "bfloat16", {{"rows", n}, {"width", width}}, row_us(real(n), 6.0 * real(width)));
    put("embed", "bfloat16", {{"rows", n}, {"width", 4096}}, row_us(real(n), 4.0 * 4096));
    put("sample", "float32", {{"rows", n}, {"vocabulary", 128256}}, row_us(real(n), 4.0 * 128256));
  }
  return records;
}

const std::vector<BenchFit>& gpu_fits() {
  static const std::vector<BenchFit> fits = fit_bench_records(gpu_records(), "test").fits;
  return fits;
}

double us(const StepCost& cost) { return static_cast<double>(cost.time.count()) / (1e3 * (1 << kFineBits)); }

StepShape decode_shape(std::int64_t n, std::int64_t context) {
  return {.tokens = n, .sampled = n, .decode_seqs = n, .decode_context = context};
}

/// The shapes of DeepSeek-V2-Lite (its config.json): one dense layer, 26 with 64 experts and two shared ones.
ModelSpec deepseek_v2_lite() {
  return parse_model(
      R"({"architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "hidden_size": 2048,
          "intermediate_size": 10944, "moe_intermediate_size": 1408, "num_hidden_layers": 27,
          "num_attention_heads": 16, "num_key_value_heads": 16, "q_lora_rank": null, "kv_lora_rank": 512,
          "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 64,
          "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1, "moe_layer_freq": 1,
          "vocab_size": 102400, "max_position_embeddings": 163840, "rms_norm_eps": 1e-06, "hidden_act": "silu",
          "topk_method": "greedy", "scoring_func": "softmax", "tie_word_embeddings": false,
          "torch_dtype": "bfloat16"})",
      "deepseek-v2-lite");
}

BOOST_AUTO_TEST_SUITE(bench_gpu)

BOOST_AUTO_TEST_CASE(a_gpu_calibration_times_a_model_of_its_shapes) {
  const auto timer = make_bench_timer(gpu_fits(), load_model("llama-3.1-8b"), 1, "bfloat16");
  BOOST_TEST(timer->notes().empty());
  const double n = 16, context = 40'000;
  const double rows =
      65 * row_us(n, 8 * 4096) + 32 * row_us(n, 2 * 12288) + 32 * row_us(n, 6 * 14336) + row_us(n, 4 * 4096);
  const double gemms = 32 * (gemm_us(n, 6144, 4096) + gemm_us(n, 4096, 4096) + gemm_us(n, 28672, 4096) +
                             gemm_us(n, 4096, 14336)) +
                       gemm_us(n, 128256, 4096);
  const double expected = rows + gemms + row_us(n, 4.0 * 128256) + 32 * (6 + context * 4096 / (kGb * 1e3));
  BOOST_TEST(std::abs(us(timer->step(decode_shape(16, 40'000))) / expected - 1) < 0.02);
}

BOOST_AUTO_TEST_CASE(other_widths_are_taken_by_their_bytes) {
  // Qwen3 14B: hidden 5120 between 4096 and 8192, intermediate 17408 between 14336 and 28672, another
  // vocabulary.
  ModelSpec model = load_model("llama-3.1-8b");
  model.hidden_size = 5120;
  model.vocab_size = 151936;
  for (LayerSpec& layer : model.layers) layer.mlp.intermediate = 17408;
  const auto timer = make_bench_timer(gpu_fits(), model, 1, "bfloat16");
  BOOST_TEST(timer->notes().size() == 4U);  // norm, activation, embedding, sampler
  const double n = 512;
  const double rows =
      65 * row_us(n, 8 * 5120) + 32 * row_us(n, 2 * 12288) + 32 * row_us(n, 6 * 17408) + row_us(n, 4 * 5120);
  const double gemms = 32 * (gemm_us(n, 6144, 5120) + gemm_us(n, 5120, 4096) + gemm_us(n, 2 * 17408, 5120) +
                             gemm_us(n, 5120, 17408)) +
                       gemm_us(n, 151936, 5120);
  const double expected = rows + gemms + row_us(n, 4.0 * 151936) + 32 * (6 + 600'000.0 * 4096 / (kGb * 1e3));
  BOOST_TEST(std::abs(us(timer->step(decode_shape(512, 600'000))) / expected - 1) < 0.03);
}

BOOST_AUTO_TEST_CASE(sizes_between_and_beyond) {
  const auto fit = [](std::int64_t width, double call, double row) {
    BenchFit one;
    one.op = "rms_norm";
    one.constants = {{"width", width}};
    one.us = {call, row};
    one.relative_error = 0.03;
    return one;
  };
  const BenchFit small = fit(4096, 2, 0.01), large = fit(8192, 4, 0.03);
  const SizedFit between = fit_of_size({&large, &small}, 6144);
  BOOST_TEST(between.fit.us[0] == 3, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(between.fit.us[1] == 0.02, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(between.from == "width 4096 and width 8192");
  // Per byte the two differ by 0.01 / 4096 to 0.03 / 8192: half of that is 20 % of their mean.
  BOOST_TEST(between.fit.relative_error == std::hypot(0.03, 0.2), boost::test_tools::tolerance(1e-9));
  const SizedFit beyond = fit_of_size({&small, &large}, 16384);
  BOOST_TEST(beyond.fit.us[0] == 4, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(beyond.fit.us[1] == 0.06, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(beyond.fit.relative_error == std::hypot(0.03, 0.2), boost::test_tools::tolerance(1e-9));
  const SizedFit below = fit_of_size({&small}, 1024);
  BOOST_TEST(below.fit.us[1] == 0.0025, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(below.fit.relative_error == std::hypot(0.03, 0.2), boost::test_tools::tolerance(1e-9));
}

BOOST_AUTO_TEST_CASE(latent_attention_and_experts) {
  const ModelSpec model = deepseek_v2_lite();
  const auto timer = make_bench_timer(gpu_fits(), model, 1, "bfloat16");
  const StepShape shape = decode_shape(8, 80'000);
  // One expert is 2048 x 2816 + 1408 x 2048 weights; 8 tokens with 6 of 64 experts each touch 64 (1 -
  // (58/64)^8) of them.
  const double distinct = 64 * (1 - std::pow(58.0 / 64, 8));
  const double experts = 26 * distinct * 3 * 2048 * 1408 * 2 / (kGb * 1e3);
  const double attention = 27 * (7 + 80'000.0 * 1152 / (kGb * 1e3));
  const double time = us(timer->step(shape));
  BOOST_TEST(time > experts + attention);
  BOOST_TEST(time < 3 * (experts + attention));
  // The context's part is the kernel's own.
  const double slope = (us(timer->step(decode_shape(8, 180'000))) - time) / 100'000;
  BOOST_TEST(slope == 27 * 1152 / (kGb * 1e3), boost::test_tools::tolerance(0.01));
  // Every weight is read at most once, and the latent rows of the context.
  const std::int64_t bytes = timer->step(shape).hbm_bytes;
  BOOST_TEST(bytes < 2 * count_parameters(model).total + std::int64_t{80'008} * 27 * 1152);
  BOOST_TEST(bytes > 2 * count_parameters(model).active + std::int64_t{80'000} * 27 * 1152);
  const StepShape prompt{.tokens = 2048,
                         .sampled = 1,
                         .prefill_seqs = 1,
                         .prefill_context = 2048,
                         .prefill_pairs = 2048 * 2049 / 2};
  BOOST_TEST(us(timer->step(prompt)) > 27 * 2048.0 * 2049 / 2 * 2 * 16 * 1088 / kFlop);
  BOOST_TEST(timer->notes().size() >= 2U);
}

BOOST_AUTO_TEST_CASE(what_an_engine_adds) {
  const ModelSpec model = load_model("llama-3.1-8b");
  const auto bare = make_bench_timer(gpu_fits(), model, 1, "bfloat16");
  const auto padded = make_bench_timer(gpu_fits(), model, 1, "bfloat16",
                                       {.host_added_us = 100, .capture_sizes = {1, 2, 4, 8, 16}});
  BOOST_TEST(us(padded->step(decode_shape(8, 8000))) == us(bare->step(decode_shape(8, 8000))) + 100,
             boost::test_tools::tolerance(1e-9));
  // Rows are padded to 8, contexts are not.
  const double attention = us(bare->step(decode_shape(8, 5000))) - us(bare->step(decode_shape(8, 0)));
  BOOST_TEST(us(padded->step(decode_shape(5, 5000))) > us(bare->step(decode_shape(5, 5000))) + 100);
  BOOST_TEST(us(padded->step(decode_shape(5, 5000))) < us(bare->step(decode_shape(8, 0))) + attention + 101);
}

BOOST_AUTO_TEST_CASE(lines_equal_steps_while_the_host_hides_and_after) {
  const double floor = us(
      make_bench_timer(gpu_fits(), load_model("llama-3.1-8b"), 1, "bfloat16")->step(decode_shape(4, 50'000)));
  const auto timer =
      make_bench_timer(gpu_fits(), load_model("llama-3.1-8b"), 1, "bfloat16",
                       {.host_added_us = 50, .host_hidden_us = floor, .capture_sizes = {1, 2, 4, 8}});
  RandomStream random(7, "contexts");
  bool hidden = false, open = false;
  for (int i = 0; i < 300; ++i) {
    const std::int64_t n = random.integer(1, 9), context = random.integer(n, 200'000);
    const DecodeLine line = timer->decode(n, context);
    BOOST_TEST_REQUIRE(context <= line.context_max);
    for (const std::int64_t at : {context, std::min(line.context_max, context + 1000)}) {
      const StepCost step = timer->step(decode_shape(n, at));
      BOOST_TEST((line.base.time + line.per_context_token.time * at == step.time));
      BOOST_TEST(line.base.hbm_bytes + at * line.per_context_token.hbm_bytes == step.hbm_bytes);
    }
    (line.per_context_token.time.count() == 0 ? hidden : open) = true;
  }
  BOOST_TEST(hidden);
  BOOST_TEST(open);
}

BOOST_AUTO_TEST_CASE(what_the_device_can_do) {
  const auto moved = [](const char* op, const char* kernel, std::int64_t bytes, double us) {
    MeasurementRecord one = record(op, kernel, "bytes", {{"bytes", bytes}}, us);
    one.bytes = real(bytes);
    return one;
  };
  std::vector<MeasurementRecord> records = {
      moved("memory", "read", 1'000'000, 0.2), moved("memory", "read", 300'000'000, 100),
      moved("memory", "l2_read", 8'000'000, 1.6), moved("pcie", "h2d", 55'000'000, 1000),
      record("launch", "stream", "none", {{"kernels", 64}}, 128)};
  for (const std::int64_t part : {0, 1, 2})
    records.push_back(record("overlap", "decode+swap_dma", "bfloat16", {{"part", part}},
                             part == 0   ? 210
                             : part == 1 ? 200
                                         : 150));
  records.push_back(
      record("overlap", "decode+prefill", "bfloat16", {{"part", 0}}, 10));  // not alone: says nothing
  std::vector<std::pair<std::string, double>> values;
  for (const BenchFact& fact : bench_facts(records))
    values.emplace_back(fact.key, std::round(fact.value * 1000) / 1000);
  const std::vector<std::pair<std::string, double>> expected = {
      {"memory_read_gb_per_s", 3000},  // of the largest array
      {"cache_read_gb_per_s", 5000},
      {"pcie_to_device_gb_per_s", 55},
      {"launch_stream_us", 2},
      {"overlap_decode+swap_dma", 1.05}};
  BOOST_TEST((values == expected));
  BOOST_TEST(format_bench_facts({{"a", 1.5, ""}, {"b", 2, ""}}) == "{\"a\": 1.5, \"b\": 2}");
}

BOOST_AUTO_TEST_CASE(weights_that_no_kernel_multiplies_are_refused) {
  ModelSpec model = load_model("llama-3.1-8b");
  model.quantization.format = WeightFormat::mxfp4;
  BOOST_CHECK_THROW(static_cast<void>(make_bench_timer(gpu_fits(), model, 1, "bfloat16")), InputError);
  model.quantization.format = WeightFormat::fp8_channel;  // its products are looked for in fp8
  BOOST_CHECK_THROW(static_cast<void>(make_bench_timer(gpu_fits(), model, 1, "bfloat16")), InputError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
