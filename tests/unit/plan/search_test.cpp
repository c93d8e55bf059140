#include "sim/plan/search.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <mutex>

#include "sim/base/rng.h"
#include "sim/plan/parallel.h"
#include "sim/plan/plan_result.h"
#include "sim/plan/traffic.h"

namespace kvcast {
namespace {

const auto kSilent = [](std::size_t) {};

/// A made-up world: candidate i needs so many replicas, and short runs are a little optimistic.
struct World {
  std::vector<Candidate> candidates;
  std::vector<double> needed;
  std::size_t requests = 10'000;

  [[nodiscard]] Score score(const Trial& trial) const {
    const double share = static_cast<double>(trial.requests) / static_cast<double>(requests);
    const double optimism = 1 - 0.05 * (1 - share);
    Score score;
    score.strain = needed[trial.candidate] * optimism / static_cast<double>(trial.replicas);
    score.met = score.strain <= 1;
    score.goodput = 1 / score.strain;
    score.good_share = score.goodput / 1000;
    return score;
  }
};

World random_world(std::uint64_t seed, std::size_t candidates) {
  RandomStream random(seed, "world");
  World world;
  for (std::size_t i = 0; i < candidates; ++i) {
    Candidate candidate;
    candidate.replicas_max = 32;
    candidate.cost_per_replica = 1 + static_cast<double>(random.integer(0, 3));
    world.needed.push_back(2 + 60 * random.uniform() / candidate.cost_per_replica);
    // A true bound, at half of what is needed.
    candidate.replicas_min = std::max<std::int64_t>(1, static_cast<std::int64_t>(world.needed.back() / 2));
    world.candidates.push_back(candidate);
  }
  return world;
}

SearchSettings settings_of(const World& world, unsigned threads) {
  SearchSettings settings;
  settings.requests = world.requests;
  settings.threads = threads;
  return settings;
}

BOOST_AUTO_TEST_SUITE(search_tests)

BOOST_AUTO_TEST_CASE(finds_the_cheapest_with_a_tenth_of_the_work) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const World world = random_world(seed, 40);
    const auto run = [&](const Trial& trial) { return world.score(trial); };
    const SearchResult found = search(world.candidates, settings_of(world, 1), run, kSilent);
    const SearchResult all = search_all(world.candidates, settings_of(world, 1), run, kSilent);
    const auto cost = [&](const Finalist& finalist) {
      return world.candidates[finalist.candidate].cost_per_replica * static_cast<double>(finalist.replicas);
    };
    BOOST_TEST_CONTEXT("seed " << seed) {
      BOOST_TEST(found.finalists.front().score.met);
      BOOST_TEST(cost(found.finalists.front()) == cost(all.finalists.front()));
      BOOST_TEST(found.work_share <= 0.1);
      BOOST_TEST(found.points == 40U * 32U);
      BOOST_TEST(all.points == found.points);
      // Whatever is not dearer than the winner was simulated.
      const double best = cost(all.finalists.front());
      std::size_t cheap = 0;
      for (const Candidate& candidate : world.candidates) {
        for (std::int64_t replicas = 1; replicas <= candidate.replicas_max; ++replicas)
          cheap += candidate.cost_per_replica * static_cast<double>(replicas) <= best ? 1U : 0U;
      }
      BOOST_TEST(all.trials.size() == cheap);
    }
  }
}

BOOST_AUTO_TEST_CASE(threads_change_nothing) {
  const World world = random_world(7, 60);
  const auto run = [&](const Trial& trial) { return world.score(trial); };
  const SearchResult one = search(world.candidates, settings_of(world, 1), run, kSilent);
  const SearchResult four = search(world.candidates, settings_of(world, 4), run, kSilent);
  BOOST_TEST_REQUIRE(one.trials.size() == four.trials.size());
  for (std::size_t i = 0; i < one.trials.size(); ++i) {
    BOOST_TEST(one.trials[i].candidate == four.trials[i].candidate);
    BOOST_TEST(one.trials[i].replicas == four.trials[i].replicas);
    BOOST_TEST(one.trials[i].requests == four.trials[i].requests);
  }
  BOOST_TEST_REQUIRE(one.finalists.size() == four.finalists.size());
  for (std::size_t i = 0; i < one.finalists.size(); ++i)
    BOOST_TEST(one.finalists[i].candidate == four.finalists[i].candidate);
}

BOOST_AUTO_TEST_CASE(out_of_reach_gives_the_nearest) {
  World world = random_world(3, 10);
  for (double& needed : world.needed) needed += 100;
  const auto run = [&](const Trial& trial) { return world.score(trial); };
  const SearchResult found = search(world.candidates, settings_of(world, 2), run, kSilent);
  BOOST_TEST(!found.finalists.front().score.met);
  BOOST_TEST(found.finalists.front().replicas == 32);
}

BOOST_AUTO_TEST_CASE(excluded_candidates_are_never_run) {
  World world = random_world(5, 10);
  world.candidates[4].replicas_min = world.candidates[4].replicas_max + 1;
  std::mutex mutex;
  bool ran = false;
  const auto run = [&](const Trial& trial) {
    const std::lock_guard<std::mutex> lock(mutex);
    ran = ran || trial.candidate == 4;
    BOOST_TEST(trial.replicas >= world.candidates[trial.candidate].replicas_min);
    return world.score(trial);
  };
  (void)search(world.candidates, settings_of(world, 2), run, kSilent);
  BOOST_TEST(!ran);
}

BOOST_AUTO_TEST_CASE(goodput_takes_the_largest_cluster) {
  const World world = random_world(9, 30);
  SearchSettings settings = settings_of(world, 2);
  settings.objective = Objective::goodput;
  const auto run = [&](const Trial& trial) { return world.score(trial); };
  const SearchResult found = search(world.candidates, settings, run, kSilent);
  const SearchResult all = search_all(world.candidates, settings, run, kSilent);
  BOOST_TEST(found.finalists.front().candidate == all.finalists.front().candidate);
  BOOST_TEST(found.points == 30U);
  for (const Trial& trial : found.trials) BOOST_TEST(trial.replicas == 32);
}

BOOST_AUTO_TEST_CASE(fronts) {
  std::vector<FrontPoint> points(4);
  const double speeds[4][2] = {{10, 1}, {5, 5}, {4, 4}, {1, 10}};
  const double costs[4][2] = {{1, 100}, {2, 200}, {3, 50}, {1, 100}};
  for (std::size_t i = 0; i < 4; ++i) {
    points[i].output_per_gpu = speeds[i][0];
    points[i].output_per_user = speeds[i][1];
    points[i].cost_per_hour = costs[i][0];
    points[i].p99_ttft_ms = costs[i][1];
  }
  mark_fronts(points);
  const bool speed[] = {true, true, false, true}, cost[] = {true, false, true, true};
  for (std::size_t i = 0; i < 4; ++i) {
    BOOST_TEST(points[i].on_speed_front == speed[i]);
    BOOST_TEST(points[i].on_cost_front == cost[i]);
  }
}

BOOST_AUTO_TEST_CASE(the_first_failure_is_thrown) {
  const auto work = [](std::size_t i) {
    if (i == 3 || i == 7) throw std::runtime_error("piece " + std::to_string(i));
  };
  BOOST_CHECK_EXCEPTION(
      for_each_parallel(10, 3, work), std::runtime_error,
      [](const std::runtime_error& error) { return std::string(error.what()) == "piece 3"; });
  int calls = 0;
  for_each_parallel(0, 3, [&](std::size_t) { ++calls; });
  BOOST_TEST(calls == 0);
}

Traffic traffic_of(const std::vector<std::int64_t>& arrivals_ms) {
  auto requests = std::make_shared<std::vector<Request>>();
  for (const std::int64_t ms : arrivals_ms) {
    Request request;
    request.id = static_cast<RequestId>(requests->size());
    request.arrival = Instant{std::chrono::milliseconds{ms}};
    request.input = Tokens{10};
    request.output = Tokens{4};
    requests->push_back(std::move(request));
  }
  return requests;
}

std::vector<std::int64_t> arrivals_of(const Traffic& traffic) {
  std::vector<std::int64_t> list;
  const auto source = traffic_source(traffic, 100)();
  while (source->next_arrival()) {
    list.push_back(
        std::chrono::duration_cast<std::chrono::milliseconds>(source->take().arrival.time_since_epoch())
            .count());
  }
  return list;
}

BOOST_AUTO_TEST_CASE(traffic_changes) {
  const Traffic traffic = traffic_of({100, 200, 300, 700});
  BOOST_TEST(arrivals_of(changed(traffic, {.rate = 2})) == (std::vector<std::int64_t>{100, 150, 200, 400}),
             boost::test_tools::per_element());
  const Traffic longer = changed(traffic, {.output = 1.5});
  BOOST_TEST(longer->front().output.value == 6);
  BOOST_TEST(changed(traffic, {.output = 0.01})->front().output.value == 1);
  // Gaps of 100, 100, 400: to the power of 2, 1 : 1 : 16, of the same total.
  const std::vector<std::int64_t> bursty = arrivals_of(changed(traffic, {.burstiness = 2}));
  BOOST_TEST(bursty.front() == 100);
  BOOST_TEST(bursty[1] == 133);
  BOOST_TEST(bursty[2] == 166);
  BOOST_TEST(bursty[3] >= 699);
  BOOST_CHECK(traffic_source(traffic, 2)()->take().arrival == traffic->front().arrival);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
