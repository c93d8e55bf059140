// vLLM's metrics of a run: names, labels, buckets, and that counts add up.
#include "reports/prometheus.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <sstream>

#include "tests/unit/reports/synthetic.h"

namespace kvcast {
namespace {

using namespace std::chrono_literals;

Instant at(std::int64_t ms) { return kStart + std::chrono::milliseconds(ms); }

RequestRow row(std::uint32_t replica, std::int64_t output, std::int64_t limit) {
  RequestRow row;
  row.replica = ReplicaId{replica};
  row.arrival = at(1000);
  row.received = at(1010);
  row.scheduled = at(1400);
  row.first_token = at(1700);
  row.last_token = at(3700);
  row.input = Tokens{600};
  row.output = Tokens{output};
  row.output_limit = Tokens{limit};
  row.cached = Tokens{128};
  row.preemptions = 1;
  return row;
}

/// Samples by their name and labels.
std::map<std::string, double> samples_of(const std::string& text) {
  std::map<std::string, double> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const std::size_t space = line.rfind(' ');
    BOOST_TEST(samples.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second,
               line << " stands twice");
  }
  return samples;
}

BOOST_AUTO_TEST_SUITE(prometheus)

BOOST_AUTO_TEST_CASE(a_bound_belongs_to_its_bucket) {
  const std::vector<double> bounds = {1, 2, 5};
  BucketCounts counts(bounds);
  for (const double value : {0.5, 1.0, 1.5, 5.0, 9.0}) counts.add(value);
  BOOST_TEST(counts.up_to(0) == 2);
  BOOST_TEST(counts.up_to(1) == 3);
  BOOST_TEST(counts.up_to(2) == 4);
  BOOST_TEST(counts.count() == 5);
  BOOST_TEST(counts.sum() == 17.0);
}

BOOST_AUTO_TEST_CASE(text_of_two_engines) {
  const auto run = synthetic_run(1000);
  PrometheusMetrics metrics(2, 1000, {{"block_size", "16"}, {"cache_dtype", "auto"}});
  metrics.on_steps(ReplicaId{0}, 40, 8);
  metrics.on_steps(ReplicaId{0}, 1, 2048);
  metrics.on_request(row(0, 101, 101));
  metrics.on_request(row(0, 51, 0));
  metrics.on_request(row(1, 51, 900));
  RequestRow refused;
  refused.replica = ReplicaId{1};
  refused.outcome = Outcome::rejected_too_long;
  metrics.on_request(refused);
  const std::map<std::string, double> samples = samples_of(metrics.text(run->forecast));
  const auto value = [&](const std::string& name, const std::string& engine, const std::string& more = "") {
    const std::string key =
        "vllm:" + name + "{engine=\"" + engine + "\"" + more + ",model_name=\"Llama-3.1-8B\"}";
    const auto found = samples.find(key);
    BOOST_TEST((found != samples.end()), key << " is missing");
    return found == samples.end() ? -1 : found->second;
  };
  BOOST_TEST(value("time_to_first_token_seconds_bucket", "0", ",le=\"0.5\"") == 0);
  BOOST_TEST(value("time_to_first_token_seconds_bucket", "0", ",le=\"0.75\"") == 2);
  BOOST_TEST(value("time_to_first_token_seconds_bucket", "1", ",le=\"+Inf\"") == 1);
  BOOST_TEST(value("time_to_first_token_seconds_sum", "0") == 1.4, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(value("e2e_request_latency_seconds_bucket", "0", ",le=\"5.0\"") == 2);
  BOOST_TEST(value("e2e_request_latency_seconds_bucket", "0", ",le=\"2.5\"") == 0);
  BOOST_TEST(value("request_queue_time_seconds_sum", "1") == 0.39, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(value("request_prefill_time_seconds_sum", "1") == 0.3, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(value("request_decode_time_seconds_sum", "1") == 2.0, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(value("request_time_per_output_token_seconds_bucket", "0", ",le=\"0.025\"") == 1);
  BOOST_TEST(value("request_generation_tokens_bucket", "0", ",le=\"100.0\"") == 1);
  BOOST_TEST(value("request_generation_tokens_bucket", "0", ",le=\"200.0\"") == 2);
  BOOST_TEST(value("iteration_tokens_total_bucket", "0", ",le=\"1.0\"") == 0);
  BOOST_TEST(value("iteration_tokens_total_bucket", "0", ",le=\"8.0\"") == 40);
  BOOST_TEST(value("iteration_tokens_total_sum", "0") == 40 * 8 + 2048);
  BOOST_TEST(value("iteration_tokens_total_count", "1") == 0);
  BOOST_TEST(value("request_params_n_bucket", "0", ",le=\"1.0\"") == 2);
  BOOST_TEST(value("request_num_preemptions_sum", "0") == 2);
  BOOST_TEST(value("request_prefill_kv_computed_tokens_sum", "0") == 2 * (600 - 128));
  BOOST_TEST(samples.at("vllm:cache_config_info{block_size=\"16\",cache_dtype=\"auto\",engine=\"1\"}") == 1);
  BOOST_TEST(value("prompt_tokens_total", "0") == 1200);
  BOOST_TEST(value("generation_tokens_total", "0") == 152);
  BOOST_TEST(value("num_preemptions_total", "0") == 2);
  // The gaps of a run are pooled over its replicas.
  BOOST_TEST(value("inter_token_latency_seconds_count", "all") ==
             static_cast<double>(run->record.itl.total()));
  const std::string reason = ",model_name=\"Llama-3.1-8B\",finished_reason=\"";
  const auto finished = [&](const char* engine, const char* why) {
    return samples.at(std::string("vllm:request_success_total{engine=\"") + engine + "\"" + reason + why +
                      "\"}");
  };
  BOOST_TEST(finished("0", "length") == 1);
  BOOST_TEST(finished("0", "stop") == 1);
  BOOST_TEST(finished("1", "stop") == 1);
  BOOST_TEST(finished("1", "abort") == 1);
  // Buckets of token counts end at max_model_len.
  BOOST_TEST(
      samples.count(
          "vllm:request_prompt_tokens_bucket{engine=\"0\",le=\"1000.0\",model_name=\"Llama-3.1-8B\"}") == 1U);
  BOOST_TEST(
      samples.count(
          "vllm:request_prompt_tokens_bucket{engine=\"0\",le=\"2000.0\",model_name=\"Llama-3.1-8B\"}") == 0U);
}

BOOST_AUTO_TEST_CASE(every_metric_is_declared_once) {
  const auto run = synthetic_run(1000);
  const PrometheusMetrics metrics(1, 4096, {});
  std::istringstream lines(metrics.text(run->forecast));
  std::map<std::string, int> types;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) ++types[line.substr(7, line.find(' ', 7) - 7)];
  }
  BOOST_TEST(types.size() >= 18U);
  for (const auto& [name, times] : types)
    BOOST_TEST(times == 1, name << " is declared " << times << " times");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
