// What must hold in clusters of 1 to 64 replicas behind every router of the catalogue. A failure names the
// seed and the router; KVCAST_LAW_SEED=seed KVCAST_LAW_RUNS=1 repeats it.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "sim/base/config.h"
#include "tests/support/random_runs.h"

namespace kvcast {
namespace {

constexpr int kRunsEach = 12;
constexpr std::int64_t kReplicasMax = 64;

/// A random run with its cluster replaced: this router, in front of 1 to 64 replicas.
test::RandomRun run_behind(const std::string& router, std::uint64_t seed) {
  test::RandomRun random = test::random_run(seed);
  RandomStream stream(seed, "laws/clusters/" + router);
  random.setup.replicas = stream.integer(1, kReplicasMax);
  const char* knowledge = seed % 2 == 1 ? "exact" : "approximate";
  Config keys = Config::from_text(std::string("prefix_index: ") + knowledge + "\n", "clusters");
  random.setup.router = router_catalog().find(router, "law").make(keys);
  random.text += "behind " + router + ", index " + knowledge + ", " + std::to_string(random.setup.replicas) +
                 " replicas";
  return random;
}

template <class Law>
void for_each_cluster(Law law) {
  for (const std::string& router : router_catalog().names()) {
    for (int i = 0; i < test::law_runs(kRunsEach); ++i) {
      test::RandomRun random = run_behind(router, test::law_seed() + static_cast<std::uint64_t>(i));
      BOOST_TEST_CONTEXT(random.text) { law(random); }
    }
  }
}

BOOST_AUTO_TEST_SUITE(clusters)

/// Every request is told once and nothing happens before its cause; replicas that serve are replicas that
/// exist.
BOOST_AUTO_TEST_CASE(nothing_lost_and_nothing_before_its_cause) {
  std::size_t furthest = 0;  // replica that served anything
  for_each_cluster([&](const test::RandomRun& random) {
    test::Watcher watcher;
    RunHooks hooks;
    hooks.requests = &watcher;
    const RunRecord r = run(random.setup, random.source, *random.timer, hooks);
    BOOST_REQUIRE_EQUAL(r.arrived, r.completed + r.rejected_too_long + r.rejected_never_fits + r.unfinished);
    BOOST_REQUIRE_EQUAL(static_cast<std::int64_t>(watcher.rows.size()), r.arrived);
    if (!random.setup.sim_time_max && !r.stuck) {
      BOOST_REQUIRE_EQUAL(r.unfinished, 0);
      BOOST_REQUIRE_EQUAL(r.arrived, static_cast<std::int64_t>(random.requests.size()));
    }
    for (const auto& [id, times] : watcher.reports) BOOST_REQUIRE_EQUAL(times, 1);
    for (const auto& [id, row] : watcher.rows) {
      BOOST_REQUIRE_LT(static_cast<std::int64_t>(to_index(row.replica)), random.setup.replicas);
      if (row.outcome != Outcome::completed) continue;
      furthest = std::max(furthest, to_index(row.replica));
      BOOST_REQUIRE(row.arrival <= row.scheduled);
      BOOST_REQUIRE(row.scheduled <= row.first_token);
      BOOST_REQUIRE(row.first_token <= row.last_token);
    }
  });
  // The random clusters must reach what the law is about.
  if (test::law_runs(kRunsEach) >= kRunsEach) BOOST_TEST(furthest >= 32U);
}

BOOST_AUTO_TEST_CASE(equal_for_any_number_of_threads_and_both_step_paths) {
  for_each_cluster([](test::RandomRun& random) {
    const RunHooks none;
    random.setup.engine.path = StepPath::closed_form;
    const std::string once = test::text_of(run(random.setup, random.source, *random.timer, none, 1));
    BOOST_REQUIRE_EQUAL(once, test::text_of(run(random.setup, random.source, *random.timer, none, 2)));
    BOOST_REQUIRE_EQUAL(once, test::text_of(run(random.setup, random.source, *random.timer, none, 5)));
    random.setup.engine.path = StepPath::step_by_step;
    BOOST_REQUIRE_EQUAL(once, test::text_of(run(random.setup, random.source, *random.timer, none, 1)));
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
