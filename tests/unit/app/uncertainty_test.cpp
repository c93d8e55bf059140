// Intervals of calibrated forecasts; no claim where nothing is known.
#include "sim/app/uncertainty.h"

#include <boost/test/unit_test.hpp>

#include "sim/app/load_forecast.h"

namespace kvcast {
namespace {

Experiment experiment_of(const std::string& gpu, const std::string& requests = "200",
                         const std::string& input_tokens = "500") {
  ScenarioText text = open_scenario(
      "vllm-0.15-h100", {{"cluster.gpu", gpu},
                         {"workload", "{synthetic: {requests: " + requests +
                                          ", arrivals: {process: poisson, rate: 5}, input: {fixed: " +
                                          input_tokens + "}, output: {fixed: 50}}}"}});
  return compose(read_scenario(text));
}

Metrics metrics_of(const Experiment& experiment) {
  return reduce(run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, 1),
                experiment.frame.facts);
}

BOOST_AUTO_TEST_SUITE(uncertainty)

BOOST_AUTO_TEST_CASE(intervals_hold_the_forecast_and_do_not_depend_on_threads) {
  const Experiment experiment = experiment_of("h100-sxm");
  const Metrics metrics = metrics_of(experiment);
  const Uncertainty one = find_uncertainty(experiment, metrics, 200, 1);
  const Uncertainty two = find_uncertainty(experiment, metrics, 200, 2);
  BOOST_TEST(one.unknown == "");
  BOOST_TEST(one.step_error > 0.05);
  const UncertainValue* ttft = one.find("ttft", "mean");
  BOOST_REQUIRE(ttft != nullptr);
  BOOST_TEST(ttft->low < metrics.ttft.mean);
  BOOST_TEST(ttft->high > metrics.ttft.mean);
  BOOST_REQUIRE(one.values.size() == two.values.size());
  for (std::size_t i = 0; i < one.values.size(); ++i) {
    BOOST_TEST(one.values[i].low == two.values[i].low);
    BOOST_TEST(one.values[i].high == two.values[i].high);
  }
}

BOOST_AUTO_TEST_CASE(long_runs_are_repeated_in_part) {
  const Experiment experiment = experiment_of("h100-sxm", "6000", "10000");
  const Uncertainty part = find_uncertainty(experiment, metrics_of(experiment), 6000, 1);
  BOOST_TEST(part.requests == 5000);  // 50 million prompt tokens
  BOOST_TEST(!part.values.empty());
}

BOOST_AUTO_TEST_CASE(a_datasheet_states_no_error) {
  const Experiment experiment = experiment_of("l40s");
  const Uncertainty none = find_uncertainty(experiment, metrics_of(experiment), 200, 1);
  BOOST_TEST(none.values.empty());
  BOOST_TEST(none.unknown.find("not calibrated") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(factors_undo_each_other) {
  BOOST_TEST(factor_of(0.1, 1.5) == 1.15, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(factor_of(0.1, 1.5) * factor_of(0.1, -1.5) == 1.0, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(factor_of(0.1, 0) == 1.0);
}

BOOST_AUTO_TEST_CASE(loads_are_summed_up_by_stage) {
  ScenarioText text = open_scenario(
      "vllm-0.15-h100",
      {{"workload",
        "{inference_perf: {shared_prefix: {num_groups: 2, num_prompts_per_group: 2, output_len: 20}, stages: "
        "[{rate: 2, duration: 20}, {rate: 8, duration: 10}]}}"}});
  const Experiment experiment = compose(read_scenario(text));
  const LoadForecast forecast = forecast_load(experiment);
  BOOST_REQUIRE(forecast.base.parts.size() == 2U);
  BOOST_TEST(forecast.base.parts[0].completed == 40);
  BOOST_TEST(forecast.base.parts[1].completed == 80);
  BOOST_REQUIRE(forecast.slow.has_value());
  const double base = statistic_of(forecast.base, 1, "itl", "mean").value();
  BOOST_TEST(statistic_of(*forecast.slow, 1, "itl", "mean").value() > base);
  BOOST_TEST(statistic_of(*forecast.fast, 1, "itl", "mean").value() < base);
  BOOST_TEST(!statistic_of(forecast.base, 0, "itl", "p99").has_value());
  BOOST_TEST(statistic_of(forecast.base, 0, "e2el", "p50").value() >
             statistic_of(forecast.base, 0, "ttft", "p50").value());
  BOOST_TEST(latency_parts(experiment, forecast.base, 0).frontend_ms > 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
