// Each tool's results under kvcast's names, and what is refused.
#include <boost/test/unit_test.hpp>

#include "measured/measured.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

MeasuredFile read(const std::string& text, const std::string& name = "result.json") {
  return read_measured(file_in_memory(name, text));
}

std::string refusal(const std::string& text) {
  try {
    (void)read(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

double value(const MeasuredLoad& load, const char* metric, const char* statistic) {
  const auto found = load.find(metric, statistic);
  BOOST_REQUIRE_MESSAGE(found.has_value(), metric << " " << statistic << " was not read");
  return *found;
}

BOOST_AUTO_TEST_SUITE(readers)

BOOST_AUTO_TEST_CASE(vllm_bench_serve) {
  const MeasuredFile file =
      read(R"({"backend": "vllm", "request_rate": 4.0, "burstiness": 1.0, "max_concurrency": null,
    "completed": 100, "failed": 2, "total_input_tokens": 5000, "total_output_tokens": 800, "request_throughput": 3.9,
    "output_throughput": 31.0, "mean_ttft_ms": 20.5, "median_ttft_ms": 19.0, "p99_ttft_ms": 60.0, "mean_tpot_ms": 7.0,
    "mean_itl_ms": 7.1, "p99_itl_ms": 15.0})");
  BOOST_TEST(file.tool == "vllm bench serve");
  BOOST_REQUIRE(file.loads.size() == 1U);
  const MeasuredLoad& load = file.loads.front();
  BOOST_TEST(load.name == "4 requests/s");
  BOOST_TEST(load.rate.value() == 4.0);
  BOOST_TEST(!load.concurrency.has_value());
  BOOST_TEST(load.completed.value() == 100);
  BOOST_TEST(value(load, "ttft", "mean") == 20.5);
  BOOST_TEST(value(load, "ttft", "p50") == 19.0);
  BOOST_TEST(value(load, "itl", "p99") == 15.0);
  BOOST_TEST(value(load, "request_throughput", "") == 3.9);
  BOOST_TEST(load.requests.empty());
}

BOOST_AUTO_TEST_CASE(vllm_bench_serve_in_detail) {
  const MeasuredFile file = read(R"({"request_rate": "inf", "max_concurrency": 8, "mean_ttft_ms": 20.5,
    "input_lens": [10, 20, 0], "output_lens": [5, 6, 0], "start_times": [102.5, 100.0, 101.0]})");
  const MeasuredLoad& load = file.loads.front();
  BOOST_TEST(load.name == "all at once, 8 in flight");
  BOOST_TEST(load.arrivals_known);
  BOOST_REQUIRE(load.requests.size() == 2U);  // the failed one has no tokens
  BOOST_TEST(load.requests[0].input == 20);
  BOOST_TEST(load.requests[0].arrival_s == 0.0);
  BOOST_TEST(load.requests[1].arrival_s == 2.5);
}

BOOST_AUTO_TEST_CASE(sglang_has_a_run_a_line_and_its_own_name_for_the_whole_latency) {
  const std::string line =
      R"({"backend": "sglang", "request_rate": RATE, "completed": 10, "mean_e2e_latency_ms": 900.0,
 "median_e2e_latency_ms": 800.0, "p99_e2e_latency_ms": 1500.0, "mean_ttft_ms": 30.0, "mean_tpot_ms": 8.0, "p95_itl_ms": 9.0})";
  std::string lines;
  for (const char* rate : {"1.0", "2.0"}) {
    std::string one = line;
    one.erase(one.find('\n'), 1);
    lines += one.replace(one.find("RATE"), 4, rate) + "\n";
  }
  const MeasuredFile file = read(lines);
  BOOST_TEST(file.tool == "SGLang bench_serving");
  BOOST_REQUIRE(file.loads.size() == 2U);
  BOOST_TEST(value(file.loads[1], "e2el", "mean") == 900.0);
  BOOST_TEST(value(file.loads[1], "e2el", "p50") == 800.0);
  BOOST_TEST(value(file.loads[1], "itl", "p95") == 9.0);
  BOOST_TEST(file.loads[1].rate.value() == 2.0);
}

BOOST_AUTO_TEST_CASE(guidellm_means_other_things_by_tpot_and_itl) {
  const MeasuredFile file = read(R"({"metadata": {"version": 2}, "benchmarks": [{
    "config": {"strategy": {"type_": "concurrent", "streams": 16}},
    "metrics": {"request_totals": {"successful": 50, "errored": 1},
      "time_to_first_token_ms": {"successful": {"mean": 25.0, "percentiles": {"p50": 24.0, "p99": 70.0}}},
      "inter_token_latency_ms": {"successful": {"mean": 8.0}},
      "time_per_output_token_ms": {"successful": {"mean": 9.0}},
      "request_latency": {"successful": {"mean": 1.25}},
      "requests_per_second": {"successful": {"mean": 12.0}}}}]})");
  BOOST_TEST(file.tool == "GuideLLM");
  BOOST_TEST(!file.note.empty());
  const MeasuredLoad& load = file.loads.front();
  BOOST_TEST(load.concurrency.value() == 16);
  BOOST_TEST(value(load, "tpot", "mean") == 8.0);
  BOOST_TEST(value(load, "ntpot", "mean") == 9.0);
  BOOST_TEST(value(load, "e2el", "mean") == 1250.0);
  BOOST_TEST(value(load, "ttft", "p99") == 70.0);
  BOOST_TEST(!load.find("itl", "mean").has_value());
}

BOOST_AUTO_TEST_CASE(aiperf_totals_and_records) {
  const MeasuredFile totals = read(R"({"request_latency": {"unit": "ms", "avg": 900.0, "p99": 1200.0},
    "inter_token_latency": {"unit": "ms", "avg": 8.0}, "inter_chunk_latency": {"unit": "ms", "avg": 8.5},
    "time_to_first_token": {"unit": "s", "avg": 0.03}, "request_count": {"unit": "requests", "avg": 40},
    "input_sequence_length": {"unit": "tokens", "avg": 100}, "input_config": {"loadgen": {"concurrency": 4}}})");
  BOOST_TEST(totals.tool == "AIPerf");
  const MeasuredLoad& load = totals.loads.front();
  BOOST_TEST(load.concurrency.value() == 4);
  BOOST_TEST(value(load, "tpot", "mean") == 8.0);
  BOOST_TEST(value(load, "itl", "mean") == 8.5);
  BOOST_TEST(value(load, "ttft", "mean") == 30.0);
  BOOST_TEST(load.input_tokens.value() == 4000.0);

  const MeasuredFile records = read(
      "{\"metadata\": {}, \"metrics\": {\"time_to_first_token\": {\"value\": 10, \"unit\": \"ms\"}, "
      "\"inter_chunk_latency\": {\"value\": [1, 3], \"unit\": \"ms\"}}, \"error\": null}\n"
      "{\"metadata\": {}, \"metrics\": {\"time_to_first_token\": {\"value\": 20, \"unit\": \"ms\"}}, "
      "\"error\": null}\n"
      "{\"metadata\": {}, \"metrics\": {}, \"error\": {\"code\": 500}}\n");
  BOOST_TEST(value(records.loads.front(), "ttft", "mean") == 15.0);
  BOOST_TEST(value(records.loads.front(), "itl", "mean") == 2.0);
  BOOST_TEST(records.loads.front().failed.value() == 1);
}

BOOST_AUTO_TEST_CASE(inference_perf_counts_in_seconds_and_names_the_stage_in_the_file_name) {
  const MeasuredFile file =
      read(R"({"load_summary": {"requested_rate": 2.5}, "failures": {"count": 0}, "successes": {"count": 10,
    "latency": {"request_latency": {"mean": 4.5, "p90": 5.0}, "normalized_time_per_output_token": {"mean": 0.018},
      "time_per_output_token": {"mean": 0.017}, "time_to_first_token": {"mean": 0.058, "median": 0.05},
      "inter_token_latency": {"mean": 0.0175}},
    "throughput": {"requests_per_sec": 2.4}, "prompt_len": {"mean": 547}}})",
           "out/stage_3_lifecycle_metrics.json");
  const MeasuredLoad& load = file.loads.front();
  BOOST_TEST(load.stage.value() == 3U);
  BOOST_TEST(value(load, "e2el", "mean") == 4500.0);
  BOOST_TEST(value(load, "ntpot", "mean") == 18.0);
  BOOST_TEST(value(load, "ttft", "p50") == 50.0);
  BOOST_TEST(load.input_tokens.value() == 5470.0);
  BOOST_TEST(load.rate.value() == 2.5);
}

BOOST_AUTO_TEST_CASE(own_request_rows) {
  const MeasuredFile file = read(
      "{\"id\": \"0\", \"arrival_us\": 0, \"input_tokens\": 10, \"output_tokens\": 3, \"first_token_us\": "
      "1000, "
      "\"last_token_us\": 5000, \"outcome\": \"completed\"}\n"
      "{\"id\": \"1\", \"arrival_us\": 1000, \"input_tokens\": 10, \"output_tokens\": 1, \"first_token_us\": "
      "null, "
      "\"last_token_us\": null, \"outcome\": \"rejected_too_long\"}\n");
  const MeasuredLoad& load = file.loads.front();
  BOOST_TEST(value(load, "ttft", "mean") == 1.0);
  BOOST_TEST(value(load, "tpot", "p99") == 2.0);
  BOOST_TEST(value(load, "e2el", "mean") == 5.0);
  BOOST_TEST(load.completed.value() == 1);
  BOOST_TEST(load.failed.value() == 1);
  const MeasuredFile csv = read(
      "id,arrival_us,input_tokens,output_tokens,first_token_us,last_token_us,outcome\n0,0,10,3,1000,5000,"
      "completed\n");
  BOOST_TEST(value(csv.loads.front(), "tpot", "mean") == 2.0);
}

BOOST_AUTO_TEST_CASE(refusals_name_the_place_or_the_known_tools) {
  BOOST_TEST(refusal("") == "result.json:1:1: the file is empty");
  BOOST_TEST(refusal("hello").find("known: the JSON of vllm bench serve") != std::string::npos);
  BOOST_TEST(refusal("{\"a\": 1}").find("no result file that kvcast knows") != std::string::npos);
  BOOST_TEST(refusal("{\"mean_ttft_ms\": 1,\n \"p99_ttft_ms\": \"fast\"}")
                 .starts_with("result.json:2:17: p99_ttft_ms: a number is needed"));
  BOOST_TEST(refusal("{\"mean_ttft_ms\": 1,\n \"completed\": 1.5}").starts_with("result.json:2:"));
  BOOST_TEST(refusal("{\"mean_ttft_ms\": 1, \"input_lens\": [1, 2], \"output_lens\": [1]}")
                 .find("as many elements as input_lens") != std::string::npos);
  BOOST_TEST(refusal("{\"mean_ttft_ms\": 1, \"input_lens\": [-1], \"output_lens\": [1]}")
                 .find("input_lens: a number from 0") != std::string::npos);
  BOOST_TEST(
      refusal("{\"request_latency\": {\"unit\": \"hours\", \"avg\": 1}}").find("known: ms, s, us, ns") !=
      std::string::npos);
  BOOST_TEST(refusal("{\"benchmarks\": []}").find("no run in it") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
