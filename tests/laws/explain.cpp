// The parts of every request's time sum to it, to the nanosecond, whatever the scheduler, allocator, queue
// order, router, preemption and clients. A failure names the seed; KVCAST_LAW_SEED=seed KVCAST_LAW_RUNS=1
// repeats it. Tiers and SGLang's engine have cases of their own in tiers.cpp and sglang.cpp.
#include <boost/test/unit_test.hpp>

#include "sim/cluster/frontend.h"
#include "tests/support/explained.h"

namespace kvcast {
namespace {

constexpr std::size_t at(TimePart part) { return static_cast<std::size_t>(part); }

BOOST_AUTO_TEST_SUITE(explain)

BOOST_AUTO_TEST_CASE(parts_sum_to_the_whole) {
  std::int64_t requests = 0;
  TimeParts reached{};
  for (int i = 0; i < test::law_runs(1000); ++i) {
    test::RandomRun random = test::random_run(test::law_seed() + static_cast<std::uint64_t>(i));
    BOOST_TEST_CONTEXT(random.text) {
      const test::Explained explained = test::explain_run(random.setup, random.source, *random.timer);
      BOOST_REQUIRE_EQUAL(test::problem_of(explained), "");
      requests += static_cast<std::int64_t>(explained.requests.size());
      for (const RequestTime& time : explained.requests) {
        for (std::size_t p = 0; p < kTimeParts; ++p) reached[p] += time.e2el[p];
      }
    }
  }
  if (test::law_runs(1000) < 1000) return;
  // The random runs must reach what the law is about.
  BOOST_TEST(requests > 50'000);
  for (const TimePart part : {TimePart::router, TimePart::queue, TimePart::launch, TimePart::prefill_compute,
                              TimePart::hbm_kv, TimePart::host, TimePart::copying, TimePart::others_prefill,
                              TimePart::other_steps, TimePart::preempted, TimePart::recompute}) {
    BOOST_TEST(reached[at(part)] > 0, "nothing of " << key_of(part));
  }
}

/// A frontend's times are told from a router's, and a prompt's misses from its other tokens.
BOOST_AUTO_TEST_CASE(frontend_and_cache_misses) {
  std::int64_t missed = 0;
  for (int i = 0; i < test::law_runs(300); ++i) {
    const std::uint64_t seed = test::law_seed() + static_cast<std::uint64_t>(i);
    test::RandomRun random = test::random_run(seed);
    RandomStream draws(seed, "laws/explain");
    FrontendDelays delays;
    delays.before = Duration{draws.integer(0, 50'000'000)};
    delays.per_input_token = FineDuration{draws.integer(0, 100'000) << kFineBits};
    delays.after = Duration{draws.integer(0, 20'000'000)};
    random.setup.delay_after = delays.after;
    BreakdownOptions options;
    options.frontend_before = [delays](Tokens input) { return delays.before_engine(input); };
    options.frontend_after = delays.after;
    options.computed_before = [seed](RequestId id) {
      return Tokens{static_cast<std::int64_t>((to_number(id) * 7919 + seed) % 300)};
    };
    BOOST_TEST_CONTEXT(random.text) {
      const test::Explained explained =
          test::explain_run(random.setup, with_frontend(random.source, delays), *random.timer, options);
      BOOST_REQUIRE_EQUAL(test::problem_of(explained, options), "");
      for (const RequestTime& time : explained.requests) {
        const Duration whole = delays.before_engine(time.input) + delays.after;
        BOOST_REQUIRE_EQUAL(time.ttft[at(TimePart::frontend)], whole.count());
        if (!random.waits_at_router) BOOST_REQUIRE_EQUAL(time.ttft[at(TimePart::router)], 0);
        missed += time.ttft[at(TimePart::cache_miss)];
      }
    }
  }
  BOOST_TEST(missed > 0);
}

/// The law's checks see what they should: a part that is off by a nanosecond.
BOOST_AUTO_TEST_CASE(a_nanosecond_is_noticed) {
  test::RandomRun random = test::random_run(3);
  test::Explained explained = test::explain_run(random.setup, random.source, *random.timer);
  BOOST_REQUIRE(!explained.requests.empty());
  BOOST_REQUIRE_EQUAL(test::problem_of(explained), "");
  ++explained.requests.front().e2el[at(TimePart::host)];
  BOOST_TEST(!test::problem_of(explained).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
