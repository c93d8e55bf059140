// Delays before and after the engine move what users see and leave the engine's decisions alone.
#include "sim/cluster/frontend.h"

#include <boost/test/unit_test.hpp>

#include "tests/support/random_runs.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

using test::Watcher;

RunRecord watch(const test::RandomRun& random, const SourceMaker& source, Duration after, StepPath path,
                Watcher& watcher) {
  ClusterSetup setup = random.setup;
  setup.engine.path = path;
  setup.delay_after = after;
  RunHooks hooks;
  hooks.requests = &watcher;
  return run(setup, source, *random.timer, hooks);
}

template <class Law>
void for_each_run(int runs, Law law) {
  const std::uint64_t first = test::law_seed();
  for (int i = 0; i < test::law_runs(runs); ++i) {
    const test::RandomRun random = test::random_run(first + static_cast<std::uint64_t>(i));
    BOOST_TEST_CONTEXT(random.text) { law(random); }
  }
}

BOOST_AUTO_TEST_SUITE(frontend)

// Equal delays for everybody shift an open load as a whole.
BOOST_AUTO_TEST_CASE(constant_delays_shift_latencies) {
  const Duration before{12'345};
  const Duration after{67'890};
  for_each_run(150, [&](const test::RandomRun& random) {
    if (random.closed_loop || random.setup.sim_time_max) return;
    Watcher plain;
    Watcher delayed;
    (void)watch(random, random.source, Duration{}, StepPath::closed_form, plain);
    const SourceMaker source = with_frontend(random.source, {before, FineDuration{}, after});
    (void)watch(random, source, after, StepPath::closed_form, delayed);
    BOOST_REQUIRE_EQUAL(plain.rows.size(), delayed.rows.size());
    for (const auto& [id, row] : plain.rows) {
      const RequestRow& seen = delayed.rows.at(id);
      BOOST_REQUIRE((seen.outcome == row.outcome));
      BOOST_REQUIRE((seen.arrival == row.arrival));
      if (row.outcome != Outcome::completed) continue;
      BOOST_REQUIRE((seen.scheduled == row.scheduled + before));
      BOOST_REQUIRE((seen.first_token == row.first_token + before + after));
      BOOST_REQUIRE((seen.last_token == row.last_token + before + after));
      BOOST_REQUIRE_EQUAL(seen.cached.value, row.cached.value);
    }
  });
}

// Delays by prompt length reorder arrivals; both step paths see the same, closed loops included.
BOOST_AUTO_TEST_CASE(both_step_paths_agree) {
  const FrontendDelays delays{Duration{1'000}, FineDuration{std::int64_t{700'001} << 14}, Duration{5'000}};
  for_each_run(150, [&](const test::RandomRun& random) {
    Watcher closed;
    Watcher stepped;
    const SourceMaker source = with_frontend(random.source, delays);
    const RunRecord a = watch(random, source, delays.after, StepPath::closed_form, closed);
    const RunRecord b = watch(random, source, delays.after, StepPath::step_by_step, stepped);
    BOOST_REQUIRE_EQUAL(test::text_of(a), test::text_of(b));
    for (const auto& [id, row] : closed.rows) {
      BOOST_REQUIRE_EQUAL(test::text_of(row), test::text_of(stepped.rows.at(id)));
      if (row.outcome != Outcome::completed) continue;
      BOOST_REQUIRE((row.scheduled - row.arrival >= delays.before_engine(row.input)));
    }
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
