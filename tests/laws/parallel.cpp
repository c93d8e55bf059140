// What must hold of pipelines and of data-parallel ranks, whatever the scheduler: nothing lost, nothing
// before its cause, and the closed forms.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>

#include "hwmodels/affine_timer.h"
#include "hwmodels/pipeline_timer.h"
#include "sim/base/config.h"
#include "sim/cluster/data_parallel.h"
#include "sim/kv/allocators.h"
#include "tests/support/explained.h"
#include "tests/support/random_runs.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

using test::Watcher;

constexpr const char* kPipelined[] = {"vllm-v1", "sarathi", "tensorrt-llm", "continuous"};

/// A run without what pipelines and ranks that step together cannot have.
test::RandomRun plain_run(std::uint64_t seed, const std::string& scheduler) {
  test::RandomRun random = test::random_run(seed, {scheduler, "", false});
  random.setup.engine.batch.asynchronous = false;
  return random;
}

/// Stages of unlike speed and a link between them, all from the seed.
std::unique_ptr<StepTimer> random_pipeline(std::uint64_t seed, std::int64_t stages) {
  RandomStream random(seed, "laws/pipeline");
  std::vector<std::unique_ptr<StepTimer>> timers;
  for (std::int64_t s = 0; s < stages; ++s) {
    timers.push_back(std::make_unique<test::KneeTimer>(
        random.integer(1, 5'000'000) << kFineBits, random.integer(0, 10'000'000'000),
        random.integer(0, 1'000'000'000), random.integer(0, 5000), random.integer(0, 1'000'000'000)));
  }
  StageTransfer transfer;
  transfer.bytes_per_token = random.integer(1, 50'000);
  transfer.ranks = random.integer(1, 2);
  GroupLink link;
  link.gb_per_s = link.all_to_all_gb_per_s = 100;
  link.pair_gb_per_s = 50;
  link.latency_us = 2;
  transfer.between = transfer.inside = link;
  return make_pipeline_timer(std::move(timers), transfer);
}

struct Seen {
  RunRecord record;
  Watcher watcher;
};

Seen watch(test::RandomRun& random, StepPath path) {
  Seen seen;
  random.setup.engine.path = path;
  RunHooks hooks;
  hooks.requests = &seen.watcher;
  if (path == StepPath::step_by_step) hooks.steps = &seen.watcher;
  seen.record = run(random.setup, random.source, *random.timer, hooks);
  return seen;
}

void check_nothing_lost(const test::RandomRun& random, const Seen& seen) {
  const RunRecord& r = seen.record;
  BOOST_REQUIRE_EQUAL(r.completed + r.unfinished + r.rejected_too_long + r.rejected_never_fits, r.arrived);
  BOOST_REQUIRE_EQUAL(static_cast<std::int64_t>(seen.watcher.rows.size()), r.arrived);
  for (const auto& [id, count] : seen.watcher.reports) BOOST_REQUIRE_EQUAL(count, 1);
  if (!random.setup.sim_time_max && !r.stuck) BOOST_REQUIRE_EQUAL(r.unfinished, 0);
  for (const auto& [id, row] : seen.watcher.rows) {
    if (row.outcome != Outcome::completed) continue;
    BOOST_REQUIRE(row.arrival <= row.scheduled);
    BOOST_REQUIRE(row.scheduled < row.first_token);
    BOOST_REQUIRE(row.first_token <= row.last_token);
  }
}

/// Nobody is scheduled before their last token is there, and at most one step a stage is under way.
void check_steps(const Seen& seen, std::int64_t stages) {
  std::map<std::size_t, std::vector<std::int64_t>> launched_of;
  std::map<std::pair<std::size_t, std::uint64_t>, std::int64_t> token_of;  // the last step that makes a token
  for (const StepRecord& step : seen.watcher.steps) {
    std::vector<std::int64_t>& launched =
        launched_of[to_index(step.replica)];  // those that only preempt are none
    const auto under_way = std::count_if(launched.begin(), launched.end(),
                                         [&](std::int64_t index) { return index > step.output_known; });
    BOOST_REQUIRE_LT(under_way, stages);
    if (!step.scheduled.empty()) launched.push_back(step.index);
    if (launched.size() > 20) launched.erase(launched.begin());
    BOOST_REQUIRE(step.begin <= step.device_begin);
    for (const StepRecord::Entry& entry : step.scheduled) {
      const std::pair key{to_index(step.replica), to_number(entry.id)};
      const auto before = token_of.find(key);
      if (before != token_of.end()) BOOST_REQUIRE_GE(step.output_known, before->second);
      if (entry.gives_token) token_of[key] = step.index;
    }
  }
}

BOOST_AUTO_TEST_SUITE(parallel)

BOOST_AUTO_TEST_CASE(pipelines_lose_nothing) {
  std::int64_t preemptions = 0, filled = 0;
  const int runs = test::law_runs(600);
  for (int i = 0; i < runs; ++i) {
    const std::uint64_t seed = test::law_seed() + static_cast<std::uint64_t>(i);
    test::RandomRun random = plain_run(seed, kPipelined[i % 4]);
    const std::int64_t stages = 2 + i / 4 % 5;
    random.setup.engine.stages = stages;
    random.timer = random_pipeline(seed, stages);
    BOOST_TEST_CONTEXT(random.text << "stages " << stages) {
      const Seen stepped = watch(random, StepPath::step_by_step);
      check_nothing_lost(random, stepped);
      check_steps(stepped, stages);
      const Seen closed = watch(random, StepPath::closed_form);
      BOOST_REQUIRE_EQUAL(test::text_of(closed.record), test::text_of(stepped.record));
      const RunRecord threaded = run(random.setup, random.source, *random.timer, {}, 3);
      BOOST_REQUIRE_EQUAL(test::text_of(threaded), test::text_of(closed.record));
      const test::Explained explained = test::explain_run(random.setup, random.source, *random.timer);
      BOOST_REQUIRE_EQUAL(test::problem_of(explained), "");
      preemptions += stepped.record.preemptions;
      for (const StepRecord& step : stepped.watcher.steps)
        filled += step.output_known < step.index - 1 ? 1 : 0;
    }
  }
  if (runs >= 600) {
    BOOST_TEST(preemptions > 1000);
    BOOST_TEST(filled > 10'000);  // steps that were planned while others were under way
  }
}

EngineSetup prompts_engine(std::int64_t budget, std::int64_t seqs) {
  EngineSetup engine;
  engine.max_model_len = Tokens{budget + 10};
  EngineDefaults defaults;
  defaults.max_model_len = engine.max_model_len;
  Config config = Config::from_text(
      fmt::format("max_num_seqs: {}\nmax_num_batched_tokens: {}\n", seqs, std::max(budget, seqs)), "law");
  engine.scheduler = scheduler_catalog().find("vllm-v1", "law").make(config, defaults);
  engine.order = queue_order_catalog().find("fcfs", "law").make(config);
  CachedBlocksSettings layers;
  layers.groups = {KvGroup{16, 0, std::nullopt}};
  layers.unit = layers.hash_unit = 16;
  layers.caching = false;
  engine.allocator = allocator_catalog().find("paged", "law").make(config, layers);
  engine.pool = {Blocks{seqs * (budget / 16 + 2)}, Tokens{16}};
  return engine;
}

std::vector<Request> equal_requests(std::int64_t count, std::int64_t input, std::int64_t output) {
  std::vector<Request> requests;
  for (std::int64_t i = 0; i < count; ++i) {
    Request request;
    request.id = static_cast<RequestId>(i);
    request.arrival = kStart;
    request.input = Tokens{input};
    request.output = Tokens{output};
    requests.push_back(std::move(request));
  }
  return requests;
}

ClusterSetup single(EngineSetup engine, std::int64_t stages) {
  ClusterSetup setup;
  setup.engine = std::move(engine);
  setup.engine.stages = stages;
  Config cluster = Config::from_text("{}", "law");
  setup.router = router_catalog().find("round-robin", "law").make(cluster);
  return setup;
}

/// m prompts that fill a step each, through p equal stages: (m + p - 1) t, and every stage idles (p - 1) / (m
/// + p
/// - 1) of it (Huang et al., GPipe, 2019).
BOOST_AUTO_TEST_CASE(bubble_of_a_pipeline) {
  for (const std::int64_t stages : {2, 3, 4, 8}) {
    for (const std::int64_t steps : {1, 2, 3, 4, 7, 16, 64}) {
      const std::int64_t budget = 1024, stage_us = 3000;
      std::vector<std::unique_ptr<StepTimer>> timers;
      for (std::int64_t s = 0; s < stages; ++s)
        timers.push_back(make_affine_timer({.base_us = static_cast<double>(stage_us)}));
      const auto timer = make_pipeline_timer(std::move(timers), {});
      const ClusterSetup setup = single(prompts_engine(budget, steps), stages);
      const auto requests = equal_requests(steps, budget, 1);
      const RunRecord record = run(setup, test::list_source(requests), *timer, {});
      BOOST_TEST_CONTEXT(steps << " steps, " << stages << " stages") {
        BOOST_REQUIRE_EQUAL(record.completed, steps);
        BOOST_REQUIRE_EQUAL(record.steps.steps, steps);
        const auto span_ns = (record.last_token - kStart).count();
        BOOST_TEST(span_ns == (steps + stages - 1) * stage_us * 1000);
        const double busy =
            static_cast<double>(record.steps.busy_fine >> kFineBits) / static_cast<double>(span_ns);
        const double bubble = static_cast<double>(stages - 1) / static_cast<double>(steps + stages - 1);
        BOOST_TEST(1 - busy == bubble, boost::test_tools::tolerance(1e-9));
      }
    }
  }
}

/// With unlike stages and transfers, m equal steps take what the first one does and m - 1 times the slowest
/// stage, once there are no more steps than stages or the pipeline is never short of steps to plan.
BOOST_AUTO_TEST_CASE(slowest_stage_sets_the_pace) {
  for (std::uint64_t seed = test::law_seed(); seed < test::law_seed() + 50; ++seed) {
    const auto stages = static_cast<std::int64_t>(2 + seed % 4);
    const std::int64_t budget = 512;
    const auto timer = random_pipeline(seed, stages);
    const ClusterSetup setup = single(prompts_engine(budget, stages), stages);
    StepShape shape;
    shape.tokens = shape.prefill_context = budget;
    shape.sampled = shape.prefill_seqs = 1;
    shape.prefill_pairs = budget * (budget + 1) / 2;
    std::vector<StageCost> costs;
    timer->stages(shape, costs);
    Int128 alone = 0;
    std::int64_t slowest = 0;
    for (const StageCost& cost : costs) {
      alone += cost.time.count() + cost.transfer.count();
      slowest = std::max(slowest, cost.time.count());
    }
    BOOST_TEST_CONTEXT("seed " << seed) {
      BOOST_REQUIRE_EQUAL(timer->step(shape).time.count(), static_cast<std::int64_t>(alone));
      const RunRecord record = run(setup, test::list_source(equal_requests(stages, budget, 1)), *timer, {});
      const auto expected = static_cast<std::int64_t>((alone + (stages - 1) * Int128{slowest}) >> kFineBits);
      BOOST_TEST((record.last_token - kStart).count() == expected);
    }
  }
}

/// One rank that steps by itself is a plain engine; several lose nothing and step at the same moments.
BOOST_AUTO_TEST_CASE(ranks_step_together) {
  const int runs = test::law_runs(300);
  for (int i = 0; i < runs; ++i) {
    const std::uint64_t seed = test::law_seed() + static_cast<std::uint64_t>(i);
    test::RandomRun random = plain_run(seed, "vllm-v1");
    const auto router = random.setup.router;
    // Ranks tell no router what they hold: such scenarios are refused.
    random.setup.router = [router](const RouterSetup& setup) {
      auto made = router(setup);
      if (!made->needs().held_prefix) return made;
      Config none = Config::empty("law");
      return make_round_robin(none)(setup);
    };
    BOOST_TEST_CONTEXT(random.text) {
      const Seen plain = watch(random, StepPath::step_by_step);
      random.setup.engine.make = make_data_parallel(1);
      const Seen alone = watch(random, StepPath::step_by_step);
      BOOST_REQUIRE_EQUAL(test::text_of(alone.record), test::text_of(plain.record));
      const std::int64_t ranks = 2 + i % 3;
      random.setup.engine.make = make_data_parallel(ranks);
      random.setup.engine.ranks = ranks;
      const Seen together = watch(random, StepPath::step_by_step);
      check_nothing_lost(random, together);
      const test::Explained explained = test::explain_run(random.setup, random.source, *random.timer);
      BOOST_REQUIRE_EQUAL(test::problem_of(explained), "");
      std::map<std::size_t, Instant> ends;  // of each replica's group
      for (const StepRecord& step : together.watcher.steps) {
        if (step.scheduled.empty()) continue;
        Instant& end = ends[to_index(step.replica)];
        BOOST_REQUIRE(step.device_begin >= end || step.device_end == end);
        end = step.device_end;
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
