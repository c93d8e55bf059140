// What must hold in every simulation, whatever the scheduler, allocator, queue order and router. Each case
// makes many random runs; a failure names the seed, and KVCAST_LAW_SEED=seed KVCAST_LAW_RUNS=1 repeats it.
#include <boost/test/unit_test.hpp>

#include "tests/support/random_runs.h"

namespace kvcast {
namespace {

using test::Watcher;

struct Seen {
  RunRecord record;
  Watcher watcher;
};

Seen watch(test::RandomRun& random, StepPath path, bool steps = false) {
  Seen seen;
  random.setup.engine.path = path;
  RunHooks hooks;
  hooks.requests = &seen.watcher;
  if (steps) hooks.steps = &seen.watcher;
  seen.record = run(random.setup, random.source, *random.timer, hooks);
  return seen;
}

template <class Law>
void for_each_run(int runs, Law law, const test::Choice& choice = {}) {
  const std::uint64_t first = test::law_seed();
  for (int i = 0; i < test::law_runs(runs); ++i) {
    test::RandomRun random = test::random_run(first + static_cast<std::uint64_t>(i), choice);
    BOOST_TEST_CONTEXT(random.text) { law(random); }
  }
}

BOOST_AUTO_TEST_SUITE(simulation)

BOOST_AUTO_TEST_CASE(closed_form_equals_step_by_step) {
  std::int64_t preemptions = 0;
  std::int64_t stuck = 0;
  std::int64_t several_answers = 0;
  for_each_run(1500, [&](test::RandomRun& random) {
    const Seen closed = watch(random, StepPath::closed_form);
    const Seen stepped = watch(random, StepPath::step_by_step);
    BOOST_REQUIRE_EQUAL(test::text_of(closed.record), test::text_of(stepped.record));
    BOOST_REQUIRE_EQUAL(closed.watcher.rows.size(), stepped.watcher.rows.size());
    for (const auto& [id, row] : closed.watcher.rows) {
      BOOST_REQUIRE_EQUAL(test::text_of(row), test::text_of(stepped.watcher.rows.at(id)));
    }
    preemptions += closed.record.preemptions;
    stuck += closed.record.stuck ? 1 : 0;
    several_answers += closed.record.branches.requests;
  });
  // The random runs must reach what the law is about.
  if (test::law_runs(1500) >= 1500) {
    BOOST_TEST(preemptions > 1000);
    BOOST_TEST(stuck > 0);
    BOOST_TEST(several_answers > 1000);
  }
}

/// The same where blocks are shared copy on write.
BOOST_AUTO_TEST_CASE(branches_closed_form_equals_step_by_step) {
  std::int64_t copied = 0;
  std::int64_t preemptions = 0;
  for (int i = 0; i < test::law_runs(600); ++i) {
    test::RandomRun random =
        test::random_run(test::law_seed() + static_cast<std::uint64_t>(i), {"vllm-v0", "paged"});
    if (!random.setup.engine.batch.forks) continue;
    BOOST_TEST_CONTEXT(random.text) {
      const Seen closed = watch(random, StepPath::closed_form);
      const Seen stepped = watch(random, StepPath::step_by_step);
      BOOST_REQUIRE_EQUAL(test::text_of(closed.record), test::text_of(stepped.record));
      copied += closed.record.branches.blocks_copied;
      preemptions += closed.record.preemptions;
    }
  }
  if (test::law_runs(600) >= 600) {
    BOOST_TEST(copied > 1000);
    BOOST_TEST(preemptions > 1000);
  }
}

BOOST_AUTO_TEST_CASE(conservation) {
  for_each_run(600, [](test::RandomRun& random) {
    const Seen seen = watch(random, StepPath::closed_form);
    const RunRecord& r = seen.record;
    BOOST_REQUIRE_EQUAL(r.arrived, r.completed + r.rejected_too_long + r.rejected_never_fits + r.unfinished);
    if (!random.setup.sim_time_max && !r.stuck) {
      BOOST_REQUIRE_EQUAL(r.unfinished, 0);
      BOOST_REQUIRE_EQUAL(r.arrived, static_cast<std::int64_t>(random.requests.size()));
    }
    BOOST_REQUIRE_EQUAL(static_cast<std::int64_t>(seen.watcher.rows.size()), r.arrived);
    for (const auto& [id, times] : seen.watcher.reports) BOOST_REQUIRE_EQUAL(times, 1);
    std::int64_t outputs = 0;
    for (const auto& [id, row] : seen.watcher.rows) {
      if (row.outcome != Outcome::completed) continue;
      const Request& asked = random.requests[id];
      Tokens output = asked.output;
      if (asked.output_limit > Tokens{0}) output = std::min(output, asked.output_limit);
      BOOST_REQUIRE(row.output == std::min(output, random.setup.engine.max_model_len - asked.input));
      outputs += row.output.value * test::answers_of(asked);
    }
    BOOST_REQUIRE_EQUAL(outputs, r.output_tokens);
    BOOST_REQUIRE_LE(r.blocks_used_max, random.setup.replicas * random.setup.engine.pool.blocks.value *
                                            random.setup.engine.pool.block_size.value);
  });
}

BOOST_AUTO_TEST_CASE(causality) {
  for_each_run(600, [](test::RandomRun& random) {
    const Seen seen = watch(random, StepPath::closed_form);
    for (const auto& [id, row] : seen.watcher.rows) {
      if (row.outcome != Outcome::completed) continue;
      BOOST_REQUIRE(row.arrival <= row.scheduled);
      StepShape alone;
      alone.tokens = 1;
      BOOST_REQUIRE(row.first_token >= row.scheduled);
      // No prompt is computed faster than its last token alone, and every further token takes at least a step
      // of one.
      const auto least = std::chrono::duration_cast<Duration>(random.timer->step(alone).time);
      BOOST_REQUIRE(row.first_token - row.arrival >= least);
      BOOST_REQUIRE(row.last_token - row.first_token >= least * (row.output.value - 1));
    }
  });
}

BOOST_AUTO_TEST_CASE(steps_never_overlap_and_pools_balance) {
  for_each_run(300, [](test::RandomRun& random) {
    const Seen seen = watch(random, StepPath::step_by_step, true);
    std::map<std::size_t, Instant> last_begin;
    std::map<std::uint64_t, std::int64_t> computed;
    for (const StepRecord& step : seen.watcher.steps) {
      const std::size_t replica = to_index(step.replica);
      BOOST_REQUIRE(last_begin.count(replica) == 0 || step.begin >= last_begin[replica]);
      last_begin[replica] = step.begin;
      BOOST_REQUIRE(step.free_scheduled >= Blocks{0});
      // Asynchronous: the next step has taken its blocks by the time this one gives back.
      if (!random.setup.engine.batch.asynchronous) BOOST_REQUIRE(step.free_updated >= step.free_scheduled);
      BOOST_REQUIRE(static_cast<std::int64_t>(step.scheduled.size()) <= step.running);
      // Swapped sequences keep what they have; those that are computed again are admitted again.
      const bool recomputes = !random.setup.engine.batch.swap;
      for (const RequestId id : step.preempted) {
        const bool has_branches =
            random.setup.engine.batch.forks && test::answers_of(random.requests[to_number(id)]) > 1;
        computed[to_number(id)] *= recomputes && !has_branches ? 0 : 1;
      }
      for (const StepRecord::Entry& entry : step.scheduled) {
        BOOST_REQUIRE(entry.n >= 1);
        // Answers that are sequences of their own have one id.
        if (!random.setup.engine.batch.forks && test::answers_of(random.requests[to_number(entry.id)]) > 1)
          continue;
        // With a cache no token is computed twice or skipped, but for what a prefix cache gives on admission;
        // without, each step starts over.
        if (entry.admitted) {
          BOOST_REQUIRE(entry.computed >= 0);
        } else {
          BOOST_REQUIRE_EQUAL(entry.computed,
                              random.setup.engine.enable_kv_cache ? computed[to_number(entry.id)] : 0);
        }
        computed[to_number(entry.id)] = entry.computed + entry.n;
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(equal_runs_on_any_number_of_threads) {
  for_each_run(200, [](test::RandomRun& random) {
    const RunHooks none;
    const std::string once = test::text_of(run(random.setup, random.source, *random.timer, none, 1));
    BOOST_REQUIRE_EQUAL(once, test::text_of(run(random.setup, random.source, *random.timer, none, 1)));
    BOOST_REQUIRE_EQUAL(once, test::text_of(run(random.setup, random.source, *random.timer, none, 2)));
    BOOST_REQUIRE_EQUAL(once, test::text_of(run(random.setup, random.source, *random.timer, none, 5)));
  });
}

/// The area under the number inside is the sum of the times inside: the timeline's mean against the rows'
/// exact sum.
BOOST_AUTO_TEST_CASE(littles_law) {
  int judged = 0;
  for_each_run(300,
               [&](test::RandomRun& random) {
                 random.setup.sim_time_max.reset();
                 const Seen seen = watch(random, StepPath::closed_form);
                 const RunRecord& r = seen.record;
                 // What an engine refuses may have waited at the router, and has no end that a row tells.
                 if (random.waits_at_router && r.completed < r.arrived) return;
                 if (r.stuck || r.completed < 50 || r.timeline.points.size() < 200) return;
                 double inside_ns = 0;
                 for (const auto& [id, row] : seen.watcher.rows) {
                   if (row.outcome == Outcome::completed)
                     inside_ns += static_cast<double>((row.last_token - row.arrival).count());
                 }
                 double sampled = 0;
                 double most = 0;
                 for (const TimelinePoint& p : r.timeline.points) {
                   const auto n = static_cast<double>(p.running + p.waiting);
                   sampled += n;
                   most = std::max(most, n);
                 }
                 const double sampled_ns = sampled * static_cast<double>(r.timeline.spacing_ns);
                 // A request counts at each scrape inside its stay: the count times the spacing is off by
                 // less than one spacing a request.
                 const double bound =
                     static_cast<double>(r.timeline.spacing_ns) * static_cast<double>(r.completed) +
                     most * static_cast<double>(r.timeline.spacing_ns);
                 BOOST_REQUIRE_LE(std::abs(sampled_ns - inside_ns), bound);
                 ++judged;
               },
               {.scheduler = {},
                .allocator = {},
                .several_answers = false});  // a request of several is told once and runs as several
  if (test::law_runs(300) >= 300) BOOST_TEST(judged > 50);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
