// The step paths agree with calibrated step times too: whole runs of built-in scenarios, every figure.
#include <boost/test/unit_test.hpp>

#include "sim/app/compose.h"
#include "sim/app/experiments.h"

namespace kvcast {
namespace {

RanExperiment run_with(const std::string& path, const std::vector<std::string>& changes) {
  std::vector<Setting> settings = {{"engine.step_path", path}, {"workload.synthetic.requests", "300"}};
  for (const std::string& change : changes) settings.push_back(parse_setting(change));
  ScenarioText text = open_scenario("common-load", settings);
  Experiment experiment = compose(read_scenario(text));
  BOOST_REQUIRE(experiment.frame.calibrated);
  return run_experiment(experiment);
}

void check_equal(const std::vector<std::string>& changes) {
  const RanExperiment closed = run_with("closed_form", changes), walked = run_with("step_by_step", changes);
  BOOST_REQUIRE(closed.outcomes.size() == walked.outcomes.size());
  for (std::size_t i = 0; i < closed.outcomes.size(); ++i) {
    BOOST_REQUIRE(closed.outcomes[i].ttft_ns == walked.outcomes[i].ttft_ns);
    BOOST_REQUIRE(closed.outcomes[i].last_token_ns == walked.outcomes[i].last_token_ns);
  }
  BOOST_TEST(closed.forecast.metrics.tpot.mean == walked.forecast.metrics.tpot.mean);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(calibrated)

BOOST_AUTO_TEST_CASE(closed_form_equals_step_by_step) {
  check_equal({});
  check_equal({"engine.async_scheduling=false"});
  check_equal({"workload.synthetic.arrivals.rate=30"});
  check_equal({"model=gpt-oss-20b", "workload.synthetic.arrivals.rate=20"});  // windows
  check_equal({"model=llama-3.1-70b", "cluster.tensor_parallel_size=4"});
  check_equal({"model=qwen3-0.6b", "engine.scheduler=sarathi"});  // steps shorter than the host's work
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
