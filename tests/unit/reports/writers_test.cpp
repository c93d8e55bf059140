#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "reports/report.h"
#include "tests/unit/reports/synthetic.h"

using namespace kvcast;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t longest_line(const std::string& text) {
  std::size_t longest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

MemoryForecast memory() {
  MemoryForecast report;
  report.title = "Llama-3.1-8B on NVIDIA H100 SXM5 80 GB";
  report.max_model_len = 32768;
  report.fits_max_model_len = 32768;
  report.weights = {8'030'261'248, 16'060'522'496, 1000, 2000, 0, 16'060'525'496};
  report.kv = {"bfloat16", 131072, 2097152, 0,     27127,
               27126,      434032, 434016,  13.25, {{"full_attention", 32, 16, 65536}},
               {}};
  report.budget = {{"GPU memory", 85'017'493'504, "measured: CUDA"},
                   {"weights", -16'060'525'496, "formula: architecture"}};
  report.version = "0.1.0";
  return report;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(writers)

BOOST_AUTO_TEST_CASE(verdict_says_whether_the_slo_is_met) {
  const auto run = synthetic_run(500);
  Forecast& forecast = run->forecast;
  forecast.metrics.failed = forecast.metrics.preemptions = 0;
  forecast.metrics.request_throughput = 5.022;
  forecast.metrics.output_throughput = 1071.27;
  forecast.slo = {{"ttft", "p99", 500, 568.2, false}, {"tpot", "p99", 50, 11.87, true}};
  BOOST_TEST(!slo_met(forecast));
  BOOST_TEST(verdict_of(forecast) ==
             "Misses the SLO at 5.02 req/s (1,071 output tok/s): p99 TTFT 568 ms (above 500 ms); within it: "
             "p99 TPOT "
             "11.9 ms (limit 50 ms).");
  forecast.slo.erase(forecast.slo.begin());
  BOOST_TEST(slo_met(forecast));
  BOOST_TEST(verdict_of(forecast) ==
             "Meets the SLO at 5.02 req/s (1,071 output tok/s): p99 TPOT 11.9 ms (limit 50 ms).");
  forecast.slo.clear();
  BOOST_TEST(contains(verdict_of(forecast), "no SLO was set"));
  forecast.metrics.failed = 3;
  forecast.metrics.rejected_never_fits = 0;
  forecast.metrics.rejected_too_long = 1;
  forecast.metrics.unfinished = 2;
  forecast.metrics.preemptions = 1;
  BOOST_TEST(contains(
      verdict_of(forecast),
      " 3 of 503 requests failed: 1 longer than max_model_len allows, 2 unfinished at the cut-off. The KV "
      "cache ran full: 1 preemption."));
  forecast.metrics.stuck = true;
  forecast.metrics.stuck_request = 17;
  BOOST_TEST(contains(verdict_of(forecast), "Stuck: request 17 can never be scheduled"));
}

BOOST_AUTO_TEST_CASE(table_reads_like_vllm_bench_serve) {
  const auto run = synthetic_run();
  const std::string text = to_table(run->forecast, false);
  BOOST_TEST(contains(text, "============ Serving Benchmark Result ============"));
  BOOST_TEST(contains(text, "Successful requests:                     19366\n"));
  BOOST_TEST(contains(text, "---------------Time to First Token----------------"));
  BOOST_TEST(contains(text, "-----Time per Output Token (excl. 1st token)------"));
  BOOST_TEST(contains(text, "---------------Inter-token Latency----------------"));
  for (const char* metric : {"TTFT", "TPOT", "ITL", "E2EL"}) {
    for (const char* statistic : {"Mean ", "Median ", "P99 "}) {
      BOOST_TEST(contains(text, std::string("\n") + statistic + metric + " (ms):"));
    }
  }
  BOOST_TEST(contains(text, "uncalibrated: "));
  BOOST_TEST(contains(text, "percentiles within 0.05 %"));
  BOOST_TEST(longest_line(text) <= 100U);
  BOOST_TEST(!contains(text, "\033"));
  BOOST_TEST(contains(to_table(run->forecast, true), "\033["));
  run->forecast.calibrated = true;
  BOOST_TEST(!contains(to_table(run->forecast, false), "uncalibrated"));
}

BOOST_AUTO_TEST_CASE(colour_changes_no_text) {
  const auto run = synthetic_run(300);
  std::string coloured = to_table(run->forecast, true);
  std::string plain;
  for (std::size_t i = 0; i < coloured.size(); ++i) {
    if (coloured[i] == '\033') {
      i = coloured.find('m', i);
    } else {
      plain += coloured[i];
    }
  }
  BOOST_TEST(plain == to_table(run->forecast, false));
}

BOOST_AUTO_TEST_CASE(json_has_every_key) {
  const auto run = synthetic_run();
  const auto json = nlohmann::json::parse(to_json(run->forecast));
  for (const char* key :
       {"schema_version", "completed", "failed", "duration", "total_input_tokens", "total_output_tokens",
        "request_throughput", "output_throughput", "total_token_throughput", "request_goodput",
        "max_concurrent_requests", "kv", "gpu", "cost", "assumptions", "seed", "version", "inputs"}) {
    BOOST_TEST(json.contains(key), key);
  }
  for (const char* statistic : {"mean", "median", "std", "p50", "p90", "p95", "p99"}) {
    for (const char* metric : {"ttft", "tpot", "itl", "e2el", "queue"}) {
      const std::string key = std::string(statistic) + "_" + metric + "_ms";
      BOOST_REQUIRE_MESSAGE(json.contains(key), key);
      BOOST_TEST(json[key].get<double>() == statistic_ms(run->forecast.metrics, metric, statistic));
    }
  }
  for (const char* key : {"bytes_per_token", "blocks_total", "tokens_total", "usage_mean", "usage_peak",
                          "preemptions", "prefix_hit_rate_tokens", "tiers"}) {
    BOOST_TEST(json["kv"].contains(key), key);
  }
  for (const char* key : {"busy_fraction", "hbm_fraction", "flop_fraction"})
    BOOST_TEST(json["gpu"].contains(key), key);
  BOOST_TEST(json["completed"].get<int>() == 19366);
  BOOST_TEST(json["failed"].get<int>() == 7);
  BOOST_TEST(json["kv"]["tokens_total"].get<int>() == 434016);
  BOOST_TEST(json["duration"].get<double>() == run->forecast.metrics.duration_s);
  BOOST_TEST(json["timer"]["calibrated"].get<bool>() == false);
  BOOST_TEST(json["inputs"]["azure_conv.csv"].get<std::string>() == "0123456789abcdef");
  BOOST_TEST(!json.contains("explain"));
  // 4 GPUs at 2.50 for the duration.
  BOOST_TEST(json["cost"]["total"].get<double>() == 10.0 * run->forecast.metrics.duration_s / 3600,
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(json_tells_unknown_from_zero) {
  auto run = synthetic_run(0);
  run->forecast.facts.hbm_bytes_per_s = 0;
  run->forecast.metrics.has_slo = false;
  run->forecast.price.reset();
  const auto json = nlohmann::json::parse(to_json(run->forecast));
  for (const char* key :
       {"p99_ttft_ms", "mean_tpot_ms", "std_itl_ms", "request_goodput", "max_concurrent_requests"}) {
    BOOST_TEST(json[key].is_null(), key);
  }
  BOOST_TEST(json["gpu"]["hbm_fraction"].is_null());
  BOOST_TEST(json["kv"]["usage_mean"].is_null());
  BOOST_TEST(!json.contains("cost"));
}

BOOST_AUTO_TEST_CASE(equal_runs_write_equal_bytes) {
  const auto a = synthetic_run(400);
  const auto b = synthetic_run(400);
  BOOST_TEST(to_json(a->forecast) == to_json(b->forecast));
  BOOST_TEST(to_html(a->forecast) == to_html(b->forecast));
  BOOST_TEST(to_markdown(a->forecast) == to_markdown(b->forecast));
  BOOST_TEST(to_table(a->forecast, true) == to_table(b->forecast, true));
}

BOOST_AUTO_TEST_CASE(json_survives_paths_that_are_not_utf8) {
  const auto run = synthetic_run(10);
  run->forecast.inputs.push_back({"bad\xff.csv", "0"});
  BOOST_TEST(nlohmann::json::parse(to_json(run->forecast))["inputs"].size() == 3U);
}

BOOST_AUTO_TEST_CASE(markdown_escapes_what_would_break_a_table) {
  const auto run = synthetic_run(10);
  run->forecast.model = "a|b <c>\nd";
  const std::string text = to_markdown(run->forecast);
  BOOST_TEST(contains(text, "| Model | a\\|b \\<c> d |\n"));
  BOOST_TEST(contains(text, "**Uncalibrated**"));
}

BOOST_AUTO_TEST_CASE(memory_json_has_the_contracts_keys) {
  MemoryForecast report = memory();
  auto json = nlohmann::json::parse(to_json(report));
  BOOST_TEST(json["status"].get<std::string>() == "ok");
  BOOST_TEST(json["fits_max_model_len"].get<int>() == 32768);
  BOOST_TEST(json["weights"]["parameters"].get<std::int64_t>() == 8'030'261'248);
  BOOST_TEST(json["weights"]["bytes_per_rank"].get<std::int64_t>() == 16'060'522'496);
  BOOST_TEST(json["weights"]["buffer_bytes"].get<int>() == 1000);
  BOOST_TEST(json["weights"]["mla_absorbed_bytes"].get<int>() == 2000);
  BOOST_TEST(json["weights"]["loaded_bytes"].get<std::int64_t>() == 16'060'525'496);
  BOOST_TEST(json["kv"]["bytes_per_token"].get<int>() == 131072);
  BOOST_TEST(json["kv"]["bytes_per_block"].get<int>() == 2097152);
  BOOST_TEST(json["kv"]["blocks_total"].get<int>() == 27127);
  BOOST_TEST(json["kv"]["blocks_usable"].get<int>() == 27126);
  BOOST_TEST(json["kv"]["tokens_total"].get<int>() == 434032);
  BOOST_TEST(json["kv"]["tokens_capacity"].get<int>() == 434016);
  BOOST_TEST(json["kv"]["max_concurrency"].get<double>() == 13.25);
  BOOST_TEST(json["kv"]["groups"][0] ==
             nlohmann::json(
                 {{"kind", "full_attention"}, {"layers", 32}, {"block_size", 16}, {"page_bytes", 65536}}));
  BOOST_TEST(json["budget"][1]["bytes"].get<std::int64_t>() == -16'060'525'496);
  BOOST_TEST(json["budget"][1]["item"].get<std::string>() == "weights");
  report.fits = false;
  report.message = "weights alone need more";
  json = nlohmann::json::parse(to_json(report));
  BOOST_TEST(json["status"].get<std::string>() == "refused");
}

BOOST_AUTO_TEST_CASE(memory_table_is_a_waterfall_with_sources) {
  MemoryForecast report = memory();
  report.budget.push_back(
      {"a very long item name that leaves no room at all", -1 << 30,
       "assumption: a source so long that it has to be broken over several lines of its own column"});
  std::string text = to_table(report, false);
  BOOST_TEST(contains(text, "GPU memory                                   79.179 measured: CUDA\n"));
  BOOST_TEST(contains(text, "= KV cache                                   63.221 what remains\n"));
  BOOST_TEST(contains(text, "434,032"));
  BOOST_TEST(contains(text, "Fits: "));
  BOOST_TEST(longest_line(text) <= 100U);
  report.fits = false;
  report.message = "needs TP 2";
  text = to_table(report, false);
  BOOST_TEST(contains(text, "Does not fit: needs TP 2"));
  BOOST_TEST(!contains(text, "Fits: "));
}

BOOST_AUTO_TEST_SUITE_END()
