// The waterfall: it sums, it moves the right way, and what does not fit says what would.
#include "hwmodels/memory_report.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "hwmodels/memory_budget.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

MemoryOptions options_for(const char* gpu, const char* profile = "vllm-0.32") {
  MemoryOptions options;
  options.profile = load_engine_profile(profile, find_gpu(gpu, "test"));
  return options;
}

MemoryReport report_of(const char* model, const char* gpu, const MemoryOptions& options) {
  return memory_report(load_model(model), find_gpu(gpu, "test"), options);
}

std::int64_t item(const MemoryReport& report, const std::string& name) {
  for (const BudgetItem& entry : report.budget) {
    if (entry.item == name) return entry.bytes;
  }
  return 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(memory_reports)

BOOST_AUTO_TEST_CASE(items_sum_to_the_cache_and_name_their_sources) {
  const MemoryReport report = report_of("llama-3.1-8b", "h100-sxm", options_for("h100-sxm"));
  std::int64_t sum = 0;
  for (const BudgetItem& entry : report.budget) {
    sum += entry.bytes;
    const std::string kind = entry.source.substr(0, entry.source.find(':'));
    BOOST_TEST((kind == "measured" || kind == "formula" || kind == "assumption"));
  }
  BOOST_TEST((report.status == MemoryStatus::ok));
  BOOST_TEST(sum == report.available_kv_bytes);
  BOOST_TEST(report.kv.blocks_total == sum / (16L * 131072));
  BOOST_TEST(report.kv.blocks_usable == report.kv.blocks_total - 1);
  BOOST_TEST(report.kv.tokens_total == report.kv.blocks_total * 16);
  BOOST_TEST(report.kv.tokens_capacity == report.kv.blocks_usable * 16);
  BOOST_TEST(report.weights.loaded_bytes == report.weights.bytes_per_rank + report.weights.buffer_bytes);
  BOOST_TEST(item(report, "weights") == -2 * 8'030'261'248);
  BOOST_TEST(report.fits_max_model_len == 131072);
}

BOOST_AUTO_TEST_CASE(published_activation_peaks) {
  // vLLM issue 10517: 2.07 GiB for a profiling run of 20,000 tokens and 2.99 GiB for 29,000.
  MemoryOptions options = options_for("h100-sxm");
  const ModelSpec model = load_model("llama-3.1-8b");
  const auto gib = [&](std::int64_t tokens) {
    return static_cast<double>(activation_peak(model, options, tokens, 1).bytes()) / 0x1p30;
  };
  BOOST_TEST(gib(20'000) == 2.07, boost::test_tools::tolerance(0.01));
  BOOST_TEST(gib(29'000) == 2.99, boost::test_tools::tolerance(0.01));
}

BOOST_AUTO_TEST_CASE(the_levers_move_the_right_way) {
  const MemoryOptions base = options_for("h100-sxm");
  const std::int64_t bytes = report_of("llama-3.1-8b", "h100-sxm", base).available_kv_bytes;
  const auto changed = [&](auto change) {
    MemoryOptions options = base;
    change(options);
    return report_of("llama-3.1-8b", "h100-sxm", options);
  };
  BOOST_TEST(changed([](MemoryOptions& o) { o.gpu_memory_utilization = 0.5; }).available_kv_bytes < bytes);
  BOOST_TEST(changed([](MemoryOptions& o) { o.max_num_batched_tokens = 65536; }).available_kv_bytes < bytes);
  BOOST_TEST(changed([](MemoryOptions& o) { o.max_num_seqs = 64; }).available_kv_bytes > bytes);
  BOOST_TEST(changed([](MemoryOptions& o) { o.enforce_eager = true; }).available_kv_bytes > bytes);
  BOOST_TEST(changed([](MemoryOptions& o) { o.tensor_parallel_size = 2; }).available_kv_bytes > bytes);
  const MemoryReport fp8 = changed([](MemoryOptions& o) { o.kv_cache_dtype = KvDtype::fp8_e4m3; });
  BOOST_TEST(fp8.available_kv_bytes == bytes);
  BOOST_TEST(fp8.kv.blocks_total == bytes / (16L * 65536));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_says_what_would) {
  const MemoryReport large = report_of("llama-3.1-70b", "h100-sxm", options_for("h100-sxm"));
  BOOST_TEST((large.status == MemoryStatus::refused));
  BOOST_TEST(large.message.find("nothing is left for the KV cache: ") == 0U);
  BOOST_TEST(large.message.find("tensor_parallel_size 4") != std::string::npos);
  BOOST_TEST(large.message.find("gpu mi300x") != std::string::npos);
  const MemoryReport lengthy = report_of("llama-3.1-8b", "l4", options_for("l4"));
  BOOST_TEST((lengthy.status == MemoryStatus::refused));
  BOOST_TEST(lengthy.message.find("one request of max_model_len 131072 needs 16.00 GiB of KV cache") == 0U);
  BOOST_TEST(lengthy.message.find("max_model_len " + std::to_string(lengthy.fits_max_model_len)) !=
             std::string::npos);
  MemoryOptions shorter = options_for("l4");
  shorter.max_model_len = lengthy.fits_max_model_len;
  BOOST_TEST((report_of("llama-3.1-8b", "l4", shorter).status == MemoryStatus::ok));
  ++shorter.max_model_len;
  BOOST_TEST((report_of("llama-3.1-8b", "l4", shorter).status == MemoryStatus::refused));
}

BOOST_AUTO_TEST_CASE(given_bytes_skip_the_budget) {
  MemoryOptions options = options_for("h100-sxm");
  options.available_kv_bytes = std::int64_t{4} << 30;
  options.max_model_len = 8192;
  const MemoryReport report = report_of("qwen3-0.6b", "h100-sxm", options);
  BOOST_TEST(report.budget.empty());
  BOOST_TEST(report.kv.blocks_total == 2340);
  BOOST_TEST(report.kv.tokens_total == 37440);
  BOOST_TEST(report.kv.max_concurrency == 4.5703125);
}

BOOST_AUTO_TEST_CASE(a_pool_set_outright_warns) {
  MemoryOptions options = options_for("h100-sxm");
  options.num_gpu_blocks_override = 100'000;
  const MemoryReport beyond = report_of("llama-3.1-8b", "h100-sxm", options);
  BOOST_TEST((beyond.status == MemoryStatus::ok));
  BOOST_TEST(beyond.kv.blocks_total == 100'000);
  BOOST_TEST(beyond.warnings.size() == 1U);
  BOOST_TEST(beyond.warnings.at(0).find("num_gpu_blocks_override takes 195.31 GiB") == 0U);
  options.num_gpu_blocks_override = 100;
  const MemoryReport tiny = report_of("llama-3.1-8b", "h100-sxm", options);
  BOOST_TEST(tiny.warnings.at(0).find(
                 "a request of max_model_len 131072 needs 8192 blocks and only 99 can be handed out") == 0U);
  options.num_gpu_blocks_override = 1;  // the null block alone
  BOOST_TEST((report_of("llama-3.1-8b", "h100-sxm", options).status == MemoryStatus::refused));
}

BOOST_AUTO_TEST_CASE(a_pool_of_exactly_one_request_warns_of_the_hang) {
  MemoryOptions options =
      options_for("h100-sxm", "vllm-0.24");  // its check does not put the null block aside
  options.max_model_len = 16'000;
  options.available_kv_bytes = 1000 * 16 * 131072;
  const MemoryReport report = report_of("llama-3.1-8b", "h100-sxm", options);
  BOOST_TEST((report.status == MemoryStatus::ok));
  BOOST_TEST(report.warnings.size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_dtype_can_be_set) {
  MemoryOptions options = options_for("h100-sxm");
  options.dtype = "float32";
  const MemoryReport report = report_of("llama-3.1-8b", "h100-sxm", options);
  BOOST_TEST(item(report, "weights") == -4 * 8'030'261'248);
  BOOST_TEST(report.kv.bytes_per_token == 2 * 131072);
  options.dtype = "float61";
  BOOST_CHECK_THROW(static_cast<void>(report_of("llama-3.1-8b", "h100-sxm", options)), InputError);
}

BOOST_AUTO_TEST_CASE(encoder_runs_before_the_text_model) {
  ModelSpec model = load_model("llama-3.1-8b");
  MemoryOptions options = options_for("h100-sxm");
  options.tensor_parallel_size = 2;
  const ActivationPeak text = activation_peak(model, options, 8192, 1);
  model.vision.heads = 16;
  model.vision.hidden = 1000;
  model.vision.widest_split = 8000;
  model.vision.item_patches = 10'000;
  model.vision.item_tokens = 3000;
  model.vision.item_embeddings = 2500;
  const ActivationPeak both = activation_peak(model, options, 8192, 1);
  BOOST_TEST(both.encoder_bytes == 2 * 10'000 * (3 * 1000 + 4000) * 2);  // two items of 3,000 tokens
  BOOST_TEST(both.encoded_bytes == 2 * 2500 * 4096 * 2);
  BOOST_TEST(both.bytes() == std::max(both.encoder_bytes, text.bytes() + both.encoded_bytes));
  const ActivationPeak small = activation_peak(model, options, 100, 1);
  BOOST_TEST(small.bytes() == 10'000 * 7000 * 2);  // at least one item, wider than a run of 100 tokens
  model.vision.heads = 15;                         // two ranks do not divide it: whole on each
  BOOST_TEST(activation_peak(model, options, 100, 1).encoder_bytes == 10'000 * (3000 + 8000) * 2);
}

BOOST_AUTO_TEST_CASE(marlin_pads_the_experts_activations) {
  const ModelSpec model = load_model("gpt-oss-20b");
  MemoryOptions options = options_for("h100-sxm");
  options.moe_backend = "marlin";
  // 4 experts of 2 x 2944 and 2944 elements, an input and an output row of 3072, and 3 x 2880 beside them.
  BOOST_TEST(activation_peak(model, options, 1000, 1).forward_bytes ==
             1000 * (4 * 3 * 2944 + 2 * 3072 + 3 * 2880) * 2);
  options.moe_backend = "triton";  // 2880 is a multiple of 64
  BOOST_TEST(activation_peak(model, options, 1000, 1).forward_bytes ==
             1000 * (4 * 3 * 2880 + 2880 + 3 * 2880) * 2);
}

BOOST_AUTO_TEST_CASE(settings_that_engines_refuse) {
  const auto message = [](auto change) {
    MemoryOptions options = options_for("h100-sxm");
    change(options);
    try {
      static_cast<void>(report_of("llama-3.1-8b", "h100-sxm", options));
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  BOOST_TEST(message([](MemoryOptions& o) { o.tensor_parallel_size = 0; }) ==
             "tensor_parallel_size: must be at least 1, is 0");
  BOOST_TEST(message([](MemoryOptions& o) {
               o.tensor_parallel_size = 3;
             }).find("tensor_parallel_size: 3 does not divide") == 0U);
  BOOST_TEST(message([](MemoryOptions& o) {
               o.tensor_parallel_size = 8;
               o.decode_context_parallel_size = 2;
             }).find("decode_context_parallel_size: needs copies of the KV heads") == 0U);
  BOOST_TEST(message([](MemoryOptions& o) {
               o.tensor_parallel_size = 16;
               o.decode_context_parallel_size = 4;
             }).find("decode_context_parallel_size: 4 exceeds the 2 copies of a KV head") == 0U);
  BOOST_TEST(message([](MemoryOptions& o) { o.spec_method = "mtp"; }).find("has no prediction layers") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
