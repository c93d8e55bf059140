// SGLang and swapping as scenarios ask for them: names, defaults from the machine, the pool, the budget.
#include <boost/test/unit_test.hpp>

#include "reports/report.h"
#include "sim/app/compose.h"
#include "sim/app/decisions.h"

namespace kvcast {
namespace {

const std::string kHead = "model: llama-3.1-8b\nengine:\n  profile: sglang-0.5\n";
const std::string kTail =
    "workload:\n  synthetic: {requests: 300, arrivals: {process: poisson, rate: 20}, input: {uniform: [1, "
    "900]}, "
    "output: {uniform: [1, 90]}, prefix: {groups: 3, tokens: 100}, sessions: {turns: 3, think_s: 1}}\n";

Scenario read(const std::string& text, const std::vector<Setting>& settings = {}) {
  ScenarioText scenario{Config::from_text(text, "test.yaml"), "test.yaml", "0", ""};
  for (const Setting& setting : settings) scenario.config.set(setting.path, setting.value);
  return read_scenario(scenario);
}

Scenario read_engine(const std::string& keys) { return read(kHead + keys + kTail); }

std::string simulated(Scenario scenario, unsigned threads = 1) {
  const Experiment experiment = compose(std::move(scenario));
  const RunRecord record =
      run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, threads);
  return to_json(finish_forecast(experiment, record));
}

BOOST_AUTO_TEST_SUITE(scenario_sglang)

// SGLang's formulas: H100 (81,080 MiB as the driver has it), chunks of 8192, decode graphs to 256, or 512
// from TP 4.
BOOST_AUTO_TEST_CASE(defaults_follow_the_machine) {
  const Scenario one = read_engine("");
  BOOST_REQUIRE(one.sglang.has_value());
  BOOST_TEST(one.deployment.memory.gpu_memory_utilization == 0.829);
  BOOST_TEST(one.sglang->chunked_prefill_size.value_or(0) == 8192);
  BOOST_TEST(one.sglang->max_prefill_tokens == 16384);
  BOOST_TEST(one.sglang->overlap_schedule);
  BOOST_TEST(!one.sglang->disable_radix_cache);
  BOOST_TEST(one.policy == "fcfs");
  const Scenario eight = read(kHead + kTail, {{"cluster.tensor_parallel_size", "8"}});
  BOOST_TEST(eight.deployment.memory.gpu_memory_utilization == 0.811);
  // 512 requests of full length for each that fits, between 2,048 and 4,096.
  const Scenario l4 = read(kHead + kTail, {{"cluster.gpu", "l4"}, {"model", "llama-3.2-1b"}});
  BOOST_TEST(l4.sglang->chunked_prefill_size.value_or(0) == 4096);
  BOOST_TEST(l4.sglang->max_running_requests == 2048);
}

BOOST_AUTO_TEST_CASE(both_names_of_a_value_mean_the_same) {
  const std::string own = simulated(read_engine(
      "  page_size: 16\n  context_length: 8192\n  mem_fraction_static: 0.5\n  max_running_requests: 40\n"
      "  chunked_prefill_size: 2048\n  disable_radix_cache: true\n  disable_overlap_schedule: true\n"));
  const std::string common = simulated(read_engine(
      "  block_size: 16\n  max_model_len: 8192\n  gpu_memory_utilization: 0.5\n  max_num_seqs: 40\n"
      "  max_num_batched_tokens: 2048\n  enable_prefix_caching: false\n  async_scheduling: false\n"));
  BOOST_TEST(own == common);
}

BOOST_AUTO_TEST_CASE(the_pool_is_bounded_set_or_sized) {
  const std::int64_t sized = compose(read_engine("")).cluster.engine.pool.blocks.value;
  BOOST_TEST(compose(read_engine("  max_total_tokens: 1000\n")).cluster.engine.pool.blocks.value == 1000);
  BOOST_TEST(compose(read_engine("  max_total_tokens: 1000000000\n")).cluster.engine.pool.blocks.value ==
             sized);
  BOOST_TEST(compose(read_engine("  num_gpu_blocks_override: 77\n")).cluster.engine.pool.blocks.value == 77);
  BOOST_TEST(
      compose(read_engine("  page_size: 16\n  max_total_tokens: 1000\n")).cluster.engine.pool.blocks.value ==
      62);
}

BOOST_AUTO_TEST_CASE(paths_threads_and_decisions_change_nothing) {
  const std::string keys =
      "  schedule_policy: lpm\n  context_length: 8192\n  max_total_tokens: 3000\n  "
      "schedule_conservativeness: 0.01\n";
  const std::vector<Setting> two = {{"cluster.replicas", "2"},
                                    {"workload.max_tokens", "output"},
                                    {"workload.synthetic.arrivals.rate", "200"}};
  const std::string closed = simulated(read(kHead + keys + kTail, two));
  BOOST_TEST(closed == simulated(read(kHead + keys + kTail, two), 3));
  BOOST_TEST(closed.find("\"preemptions\": 0,") == std::string::npos);  // the pool presses
  Scenario stepped = read(kHead + keys + kTail, two);
  stepped.engine.path = StepPath::step_by_step;
  BOOST_TEST(closed == simulated(std::move(stepped)));
}

BOOST_AUTO_TEST_CASE(swapping_computes_nothing_twice) {
  const std::string text =
      "model: llama-3.1-8b\nengine:\n  scheduler: vllm-v0\n  max_model_len: 8192\n  num_gpu_blocks_override: "
      "160\n" +
      kTail;
  const auto ran = [&](const char* preemption) {
    const Experiment experiment = compose(read(text, {{"engine.preemption", preemption}}));
    return run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, 1);
  };
  const RunRecord swapped = ran("swap");
  const RunRecord recomputed = ran("recompute");
  BOOST_TEST(swapped.preemptions > 0);
  BOOST_TEST(swapped.recomputed_tokens == 0);
  BOOST_TEST(recomputed.recomputed_tokens > 0);
  BOOST_TEST(swapped.completed == recomputed.completed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
