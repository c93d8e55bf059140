// Replicas of several shapes behind one router: what each does is what it does alone. A failure names the
// seeds; KVCAST_LAW_SEED=seed KVCAST_LAW_RUNS=1 repeats it.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "sim/plan/traffic.h"
#include "tests/support/assigned.h"
#include "tests/support/random_runs.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

/// Two random deployments behind one router, and the requests of both.
struct Mixed {
  std::string text;
  ClusterSetup setup;
  std::shared_ptr<const StepTimer> first_timer, second_timer;
  std::vector<Request> requests;   // numbered in order of arrival
  std::vector<std::size_t> pools;  // by request: whose it is
  std::int64_t first_replicas = 1;

  [[nodiscard]] const StepTimer& timer() const { return *first_timer; }
  [[nodiscard]] std::int64_t replicas() const { return setup.replicas_of_all_pools(); }
};

Mixed mixed_run(std::uint64_t seed) {
  constexpr std::uint64_t kApart = 1'000'000;
  test::RandomRun first = test::random_run(seed);
  test::RandomRun second = test::random_run(seed + kApart);
  Mixed mixed;
  mixed.text = first.text + "\nbeside " + second.text;
  mixed.setup = first.setup;
  mixed.first_replicas = first.setup.replicas;
  mixed.first_timer = std::shared_ptr<const StepTimer>(std::move(first.timer));
  mixed.second_timer = std::shared_ptr<const StepTimer>(std::move(second.timer));
  mixed.setup.further_pools.push_back(
      {"second", second.setup.engine, second.setup.replicas, mixed.second_timer});
  std::vector<std::pair<Request*, std::size_t>> all;
  for (Request& request : first.requests) all.emplace_back(&request, 0);
  for (Request& request : second.requests) all.emplace_back(&request, 1);
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first->arrival < b.first->arrival; });
  for (const auto& [request, pool] : all) {
    Request copy = copy_of(*request);
    copy.id = static_cast<RequestId>(mixed.requests.size());
    mixed.requests.push_back(std::move(copy));
    mixed.pools.push_back(pool);
  }
  return mixed;
}

template <class Law>
void for_each_mix(int runs, Law law) {
  for (int i = 0; i < test::law_runs(runs); ++i) {
    Mixed mixed = mixed_run(test::law_seed() + static_cast<std::uint64_t>(i));
    BOOST_TEST_CONTEXT(mixed.text) { law(mixed); }
  }
}

/// Each request to some replica of its own pool.
std::vector<ReplicaId> assignment(const Mixed& mixed, std::uint64_t seed) {
  RandomStream random(seed, "laws/pools");
  std::vector<ReplicaId> assigned;
  for (const std::size_t pool : mixed.pools) {
    const std::int64_t first = pool == 0 ? 0 : mixed.first_replicas;
    const std::int64_t end = pool == 0 ? mixed.first_replicas : mixed.replicas();
    assigned.push_back(static_cast<ReplicaId>(random.integer(first, end - 1)));
  }
  return assigned;
}

std::vector<Request> share_of(const Mixed& mixed, const std::vector<char>& wanted) {
  std::vector<Request> share;
  for (std::size_t i = 0; i < mixed.requests.size(); ++i) {
    if (wanted[i] != 0) share.push_back(copy_of(mixed.requests[i]));
  }
  return share;
}

/// A pool's engine as a cluster of its own.
ClusterSetup alone(const Mixed& mixed, std::size_t pool, std::int64_t replicas) {
  ClusterSetup setup = mixed.setup;
  setup.further_pools.clear();
  if (pool == 1) setup.engine = mixed.setup.further_pools.front().engine;
  setup.replicas = replicas;
  return setup;
}

/// A record without its timeline, whose spacing is that of the longest one.
std::string counts_of(const RunRecord& record) {
  const std::string text = test::text_of(record);
  return text.substr(0, text.find("timeline"));
}

BOOST_AUTO_TEST_SUITE(pools)

/// Two pools that never give each other anything: rows and records are those of two runs.
BOOST_AUTO_TEST_CASE(two_pools_equal_two_separate_runs) {
  std::int64_t rows = 0;
  std::uint64_t seed = test::law_seed();
  for_each_mix(150, [&](Mixed& mixed) {
    const std::vector<ReplicaId> assigned = assignment(mixed, seed++);
    mixed.setup.router = [&](const RouterSetup&) { return std::make_unique<test::Assigned>(assigned); };
    test::Watcher together;
    RunHooks hooks;
    hooks.requests = &together;
    const RunRecord both = run(mixed.setup, test::list_source(mixed.requests), mixed.timer(), hooks);
    BOOST_REQUIRE_EQUAL(both.pools.size(), 2U);
    std::size_t seen = 0;
    for (std::size_t pool = 0; pool < 2; ++pool) {
      const std::int64_t first = pool == 0 ? 0 : mixed.first_replicas;
      std::vector<ReplicaId> own = assigned;
      std::vector<char> wanted(own.size());
      for (std::size_t i = 0; i < own.size(); ++i) {
        wanted[i] = mixed.pools[i] == pool ? 1 : 0;
        own[i] = static_cast<ReplicaId>(static_cast<std::int64_t>(to_index(own[i])) - first);
      }
      ClusterSetup setup = alone(mixed, pool, pool == 0 ? mixed.first_replicas : mixed.replicas() - first);
      setup.router = [&](const RouterSetup&) { return std::make_unique<test::Assigned>(own); };
      const std::vector<Request> share = share_of(mixed, wanted);
      test::Watcher apart;
      hooks.requests = &apart;
      RunRecord record =
          run(setup, test::list_source(share), pool == 0 ? *mixed.first_timer : *mixed.second_timer, hooks);
      for (auto& [id, row] : apart.rows) {
        row.replica = static_cast<ReplicaId>(static_cast<std::int64_t>(to_index(row.replica)) + first);
        BOOST_REQUIRE_EQUAL(test::text_of(row), test::text_of(together.rows.at(id)));
      }
      record.first_arrival = both.first_arrival;
      record.last_token = both.last_token;
      BOOST_REQUIRE_EQUAL(counts_of(record), counts_of(both.pools[pool]));
      seen += apart.rows.size();
    }
    BOOST_REQUIRE_EQUAL(seen, together.rows.size());
    rows += static_cast<std::int64_t>(seen);
  });
  if (test::law_runs(150) >= 150) BOOST_TEST(rows > 10'000);
}

/// A given assignment over replicas of both shapes: rows are those of as many runs of one replica.
BOOST_AUTO_TEST_CASE(an_assignment_equals_a_run_for_each_replica) {
  std::uint64_t seed = test::law_seed();
  for_each_mix(100, [&](Mixed& mixed) {
    const std::vector<ReplicaId> assigned = assignment(mixed, seed++);
    mixed.setup.router = [&](const RouterSetup&) { return std::make_unique<test::Assigned>(assigned); };
    test::Watcher together;
    RunHooks hooks;
    hooks.requests = &together;
    (void)run(mixed.setup, test::list_source(mixed.requests), mixed.timer(), hooks);
    std::size_t seen = 0;
    for (std::int64_t r = 0; r < mixed.replicas(); ++r) {
      const std::size_t pool = r < mixed.first_replicas ? 0 : 1;
      std::vector<char> wanted(assigned.size());
      for (std::size_t i = 0; i < assigned.size(); ++i)
        wanted[i] = assigned[i] == static_cast<ReplicaId>(r) ? 1 : 0;
      const std::vector<ReplicaId> to_first(assigned.size(), ReplicaId{0});
      ClusterSetup setup = alone(mixed, pool, 1);
      setup.router = [&](const RouterSetup&) { return std::make_unique<test::Assigned>(to_first); };
      const std::vector<Request> share = share_of(mixed, wanted);
      test::Watcher apart;
      hooks.requests = &apart;
      (void)run(setup, test::list_source(share), pool == 0 ? *mixed.first_timer : *mixed.second_timer, hooks);
      for (auto& [id, row] : apart.rows) {
        row.replica = static_cast<ReplicaId>(r);
        BOOST_REQUIRE_EQUAL(test::text_of(row), test::text_of(together.rows.at(id)));
      }
      seen += apart.rows.size();
    }
    BOOST_REQUIRE_EQUAL(seen, together.rows.size());
  });
}

/// Behind every router of the catalogue: nothing lost, equal for both step paths and any number of threads;
/// pools sum to the whole.
BOOST_AUTO_TEST_CASE(nothing_lost_and_equal_for_threads_and_step_paths) {
  for (const std::string& router : router_catalog().names()) {
    for_each_mix(12, [&](Mixed& mixed) {
      Config keys = Config::empty("pools");
      mixed.setup.router = router_catalog().find(router, "law").make(keys);
      const SourceMaker source = test::list_source(mixed.requests);
      const auto text_of_all = [](const RunRecord& record) {
        std::string text = test::text_of(record);
        for (const RunRecord& pool : record.pools) text += "pool\n" + test::text_of(pool);
        return text;
      };
      const auto outcome = [&](StepPath path, unsigned threads) {
        mixed.setup.set_path(path);
        return text_of_all(run(mixed.setup, source, mixed.timer(), {}, threads));
      };
      const std::string once = outcome(StepPath::closed_form, 1);
      BOOST_REQUIRE_EQUAL(once, outcome(StepPath::closed_form, 2));
      BOOST_REQUIRE_EQUAL(once, outcome(StepPath::closed_form, 5));
      BOOST_REQUIRE_EQUAL(once, outcome(StepPath::step_by_step, 1));
      test::Watcher watcher;
      RunHooks hooks;
      hooks.requests = &watcher;
      const RunRecord r = run(mixed.setup, source, mixed.timer(), hooks);
      BOOST_REQUIRE_EQUAL(r.arrived,
                          r.completed + r.rejected_too_long + r.rejected_never_fits + r.unfinished);
      BOOST_REQUIRE_EQUAL(static_cast<std::int64_t>(watcher.rows.size()), r.arrived);
      for (const auto& [id, times] : watcher.reports) BOOST_REQUIRE_EQUAL(times, 1);
      std::int64_t completed = 0, steps = 0;
      for (const RunRecord& pool : r.pools) {
        completed += pool.completed;
        steps += pool.steps.steps;
      }
      BOOST_REQUIRE_EQUAL(completed, r.completed);
      BOOST_REQUIRE_EQUAL(steps, r.steps.steps);
    });
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
