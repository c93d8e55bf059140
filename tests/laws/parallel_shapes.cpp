// Products of parallelisms on three kinds of models: those that fit a node run, lose nothing, and give the
// same run on both step paths and any number of threads; their timers keep the StepTimer's contract. What
// does not fit is refused with a reason.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>

#include "sim/app/compose.h"
#include "sim/base/rng.h"
#include "tests/support/random_runs.h"

namespace kvcast {
namespace {

struct Shape {
  const char* model;
  std::int64_t tensor, pipeline, context, data, parts;
  bool experts;
};

std::string text_of(const Shape& s) {
  return fmt::format("{}: TP {}, PP {}, CP {}, DP {}, DCP {}, EP {}", s.model, s.tensor, s.pipeline,
                     s.context, s.data, s.parts, s.experts);
}

std::vector<Setting> settings_of(const Shape& s, bool roofline) {
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  std::vector<Setting> settings = {
      {"model", s.model},
      {"cluster.gpu", "h200"},
      {"cluster.tensor_parallel_size", number(s.tensor)},
      {"cluster.pipeline_parallel_size", number(s.pipeline)},
      {"cluster.context_parallel_size", number(s.context)},
      {"engine.decode_context_parallel_size", number(s.parts)},
      {"engine.max_model_len", "8192"},
      {"engine.max_num_seqs", "32"},
      {"workload",
       "{synthetic: {requests: 25, arrivals: {process: poisson, rate: 20}, input: {uniform: "
       "[1, 3000]}, output: {uniform: [1, 60]}}}"}};
  if (s.data > 1) settings.push_back({"cluster.data_parallel_size", number(s.data)});
  if (s.experts) settings.push_back({"engine.enable_expert_parallel", "true"});
  settings.push_back({"engine.step_time.roofline", roofline ? "true" : "false"});
  return settings;
}

/// A decode step costs what its line says, and no step less where a count is larger.
void check_timer(const StepTimer& timer, std::uint64_t seed) {
  RandomStream random(seed, "laws/parallel_shapes");
  for (int i = 0; i < 30; ++i) {
    StepShape decodes;
    decodes.tokens = decodes.sampled = decodes.decode_seqs = random.integer(1, 200);
    decodes.decode_context = decodes.decode_seqs * random.integer(1, 8000);
    const DecodeLine line = timer.decode(decodes.decode_seqs, decodes.decode_context);
    BOOST_REQUIRE_GE(line.context_max, decodes.decode_context);
    for (const std::int64_t further : {std::int64_t{0}, random.integer(0, 10'000)}) {
      StepShape shape = decodes;
      shape.decode_context = std::min(line.context_max, decodes.decode_context + further);
      const StepCost cost = timer.step(shape);
      BOOST_REQUIRE_EQUAL((line.base.time + line.per_context_token.time * shape.decode_context).count(),
                          cost.time.count());
      BOOST_REQUIRE_EQUAL(line.base.hbm_bytes + line.per_context_token.hbm_bytes * shape.decode_context,
                          cost.hbm_bytes);
    }
    std::vector<StageCost> stages;
    timer.stages(decodes, stages);
    std::int64_t sum = 0;
    for (const StageCost& stage : stages) sum += stage.time.count() + stage.transfer.count();
    BOOST_REQUIRE_EQUAL(sum, timer.step(decodes).time.count());
    const StepParts parts = timer.parts(decodes);
    std::int64_t of_parts = 0;
    for (const std::int64_t time : parts.time) of_parts += time;
    BOOST_REQUIRE_EQUAL(of_parts, timer.step(decodes).time.count());
    StepShape prompts = decodes;
    const std::int64_t chunk = random.integer(1, 8000);
    prompts.tokens += chunk;
    prompts.prefill_seqs = 1;
    prompts.prefill_context = chunk;
    prompts.prefill_pairs = chunk * (chunk + 1) / 2;
    ++prompts.sampled;
    BOOST_REQUIRE_GE(timer.step(prompts).time.count(), timer.step(decodes).time.count());
    prompts.group_tokens = 4 * prompts.tokens;
    const std::int64_t together = timer.step(prompts).time.count();
    prompts.group_tokens *= 2;
    BOOST_REQUIRE_GE(timer.step(prompts).time.count(), together);
  }
}

RunRecord simulated(Experiment& experiment, StepPath path, unsigned threads) {
  experiment.cluster.engine.path = path;
  return run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, threads);
}

/// Whether it ran; else it was refused, and the message says something of its keys.
bool runs(const Shape& shape, bool roofline, std::uint64_t seed) {
  std::unique_ptr<Experiment> experiment;
  try {
    ScenarioText text = open_scenario("default", settings_of(shape, roofline));
    experiment = std::make_unique<Experiment>(compose(read_scenario(text)));
  } catch (const InputError& error) {
    const std::string message = error.what();
    BOOST_TEST(message.size() > 30U);
    BOOST_TEST(
        (message.find("parallel") != std::string::npos || message.find("does not fit") != std::string::npos));
    return false;
  }
  BOOST_REQUIRE_EQUAL(experiment->frame.facts.gpus,
                      shape.tensor * shape.pipeline * shape.context * shape.data);
  check_timer(*experiment->timer, seed);
  const RunRecord closed = simulated(*experiment, StepPath::closed_form, 1);
  BOOST_REQUIRE_EQUAL(closed.completed, 25);
  BOOST_REQUIRE_EQUAL(test::text_of(closed),
                      test::text_of(simulated(*experiment, StepPath::step_by_step, 1)));
  BOOST_REQUIRE_EQUAL(test::text_of(closed), test::text_of(simulated(*experiment, StepPath::closed_form, 2)));
  return true;
}

BOOST_AUTO_TEST_SUITE(parallel)

BOOST_AUTO_TEST_CASE(products_run_or_say_why_not) {
  std::uint64_t seed = test::law_seed();
  int ran = 0, refused = 0;
  for (const char* model : {"llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3"}) {
    for (const std::int64_t tensor : {1, 2, 3, 8, 16}) {
      for (const std::int64_t pipeline : {1, 3}) {
        for (const std::int64_t context : {1, 2}) {
          for (const std::int64_t data : {1, 4}) {
            for (const std::int64_t parts : {1, 2}) {
              for (const bool experts : {false, true}) {
                const Shape shape{model, tensor, pipeline, context, data, parts, experts};
                BOOST_TEST_CONTEXT(text_of(shape)) { (runs(shape, true, ++seed) ? ran : refused) += 1; }
              }
            }
          }
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(ran << " shapes ran, " << refused << " were refused");
  BOOST_TEST(ran >= 40);
  BOOST_TEST(refused >= 40);
}

/// The same with tables of kernels.
BOOST_AUTO_TEST_CASE(products_by_kernel_tables) {
  for (const Shape& shape :
       {Shape{"llama-3.1-8b", 2, 2, 1, 1, 1, false}, Shape{"llama-3.1-8b", 2, 1, 2, 1, 1, false},
        Shape{"qwen3-30b-a3b", 2, 1, 1, 4, 1, true}, Shape{"llama-3.1-8b", 16, 1, 1, 1, 2, false}}) {
    std::vector<Setting> settings = settings_of(shape, false);
    settings.push_back({"cluster.gpu", "h100-sxm"});
    ScenarioText text = open_scenario("default", settings);
    const Experiment experiment = compose(read_scenario(text));
    BOOST_TEST_CONTEXT(text_of(shape)) {
      BOOST_TEST(experiment.frame.calibrated);
      check_timer(*experiment.timer, test::law_seed());
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
