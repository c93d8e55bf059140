// Errors, their summaries, coverage, and what an error is put down to.
#include "sim/metrics/validation.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "sim/metrics/uncertainty.h"

namespace kvcast {
namespace {

ValidatedLoad load_of(std::vector<ValidatedValue> values) {
  ValidatedLoad load;
  load.values = std::move(values);
  return load;
}

BOOST_AUTO_TEST_SUITE(validation)

BOOST_AUTO_TEST_CASE(errors_are_relative_to_the_measurement) {
  const ValidatedValue value{"ttft", "mean", 50, 40, ErrorBand{35, 55}};
  BOOST_TEST(value.error() == -0.2, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(value.covered());
  BOOST_TEST(!(ValidatedValue{"ttft", "mean", 60, 40, ErrorBand{35, 55}}).covered());
  BOOST_TEST(!(ValidatedValue{"ttft", "mean", 40, 40, {}}).covered());
}

BOOST_AUTO_TEST_CASE(summaries_by_metric) {
  Validation validation;
  validation.loads.push_back(
      load_of({{"ttft", "mean", 100, 110, ErrorBand{90, 120}}, {"itl", "mean", 10, 9, {}}}));
  validation.loads.push_back(load_of({{"ttft", "mean", 100, 70, ErrorBand{60, 80}}}));
  validation.loads.push_back(load_of({{"ttft", "mean", 100, 80, ErrorBand{60, 100}}}));
  const auto summaries = summarize_errors(validation);
  BOOST_REQUIRE(summaries.size() == 2U);
  BOOST_TEST(summaries[0].count == 3U);
  BOOST_TEST(summaries[0].median == 0.2, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(summaries[0].largest == 0.3, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(largest_error(validation) == 0.3, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(coverage_of(validation).of == 3U);
  BOOST_TEST(coverage_of(validation).inside == 2U);
}

ErrorCause cause(const char* metric, const LatencyParts& parts) {
  ValidatedLoad load = load_of({{metric, "mean", 100, 150, {}}, {"itl", "p99", 100, 101, {}}});
  find_cause(load, parts);
  BOOST_TEST(load.worst == 0U);
  BOOST_TEST(!load.why.empty());
  return load.cause;
}

BOOST_AUTO_TEST_CASE(causes) {
  LatencyParts parts{.queue_ms = 1,
                     .frontend_ms = 2,
                     .prefill_ms = 10,
                     .decode_ms = 1000,
                     .preemptions = 0,
                     .kv_usage_peak = 0.4};
  BOOST_TEST((cause("ttft", parts) == ErrorCause::prefill));
  BOOST_TEST((cause("tpot", parts) == ErrorCause::decode));
  parts.frontend_ms = 20;
  BOOST_TEST((cause("ttft", parts) == ErrorCause::host));
  parts.queue_ms = 500;
  BOOST_TEST((cause("ttft", parts) == ErrorCause::queueing));
  parts.preemptions = 3;
  BOOST_TEST((cause("ttft", parts) == ErrorCause::memory));
  BOOST_TEST((cause("itl", parts) == ErrorCause::memory));
}

BOOST_AUTO_TEST_CASE(the_whole_latency_goes_to_the_part_that_is_further_off) {
  ValidatedLoad load = load_of({{"ttft", "mean", 100, 140, {}}, {"e2el", "mean", 100, 145, {}}});
  find_cause(load, {.queue_ms = 80,
                    .frontend_ms = 0,
                    .prefill_ms = 20,
                    .decode_ms = 40,
                    .preemptions = 0,
                    .kv_usage_peak = 0});
  BOOST_TEST(load.worst == 1U);
  BOOST_TEST((load.cause == ErrorCause::queueing));
}

BOOST_AUTO_TEST_CASE(spread_moves_the_forecast_as_the_ends_move_their_base) {
  Metrics forecast;
  forecast.ttft = {.count = 10, .mean = 100};
  forecast.request_throughput = 8;
  Metrics base = forecast;
  base.ttft.mean = 50;  // a sample of the requests
  base.request_throughput = 4;
  Metrics slow = base;
  slow.ttft.mean = 75;
  slow.request_throughput = 3;
  Metrics fast = base;
  fast.ttft.mean = 40;
  Uncertainty uncertainty;
  SpeedRuns runs{base, slow, fast, {}, 1};
  uncertainty.values = spread_of(forecast, runs);
  const UncertainValue* ttft = uncertainty.find("ttft", "mean");
  BOOST_REQUIRE(ttft != nullptr);
  BOOST_TEST(ttft->low == 80);
  BOOST_TEST(ttft->high == 150);
  const UncertainValue* rate = uncertainty.find("request_throughput", "");
  BOOST_TEST(rate->low == 6);
  BOOST_TEST(rate->high == 8);
  BOOST_TEST(uncertainty.find("tpot", "mean") == nullptr);

  // A frontend that is independent of the steps: 100 +- 50 and 20, and the other way 20 and 15.
  runs.late = base;
  runs.late->ttft.mean = 60;
  runs.late_factor = 4.0 / 3;
  uncertainty.values = spread_of(forecast, runs);
  const auto tolerance = boost::test_tools::tolerance(1e-12);
  BOOST_TEST(uncertainty.find("ttft", "mean")->high == 100 + std::sqrt(50.0 * 50 + 20 * 20), tolerance);
  BOOST_TEST(uncertainty.find("ttft", "mean")->low == 100 - std::sqrt(20.0 * 20 + 15 * 15), tolerance);
  BOOST_TEST(uncertainty.find("request_throughput", "")->high == 8);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
