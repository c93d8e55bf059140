#include "sim/plan/bootstrap.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "sim/base/rng.h"
#include "sim/plan/comparison.h"

namespace kvcast {
namespace {

/// A run of `n` requests, one a second, whose TTFT follows x(i) = rho x(i - 1) + noise.
std::vector<RequestOutcome> run_of(std::size_t n, double rho, double shift_ms, std::uint64_t seed) {
  RandomStream random(seed, "test");
  std::vector<RequestOutcome> outcomes(n);
  double x = 0;
  for (std::size_t i = 0; i < n; ++i) {
    x = rho * x + random.normal();
    RequestOutcome& outcome = outcomes[i];
    outcome.arrival_ns = static_cast<std::int64_t>(i) * 1'000'000'000;
    outcome.queue_ns = 0;
    outcome.ttft_ns = static_cast<std::int64_t>(1e6 * (100 + shift_ms + 5 * x));
    outcome.decode_ns = 900'000'000;
    outcome.tpot_ns = 100'000'000;
    outcome.e2el_ns = outcome.ttft_ns + outcome.decode_ns;
    outcome.last_token_ns = outcome.arrival_ns + outcome.e2el_ns;
    outcome.input = 100;
    outcome.output = 10;
    outcome.completed = outcome.good = true;
  }
  return outcomes;
}

double at(const StatisticValues& values, Statistic statistic) {
  return values[static_cast<std::size_t>(statistic)];
}

BOOST_AUTO_TEST_SUITE(bootstrap)

BOOST_AUTO_TEST_CASE(statistics_are_those_of_the_requests) {
  std::vector<RequestOutcome> outcomes = run_of(4, 0, 0, 1);
  const std::int64_t ttft_ms[] = {10, 20, 30, 40};
  for (std::size_t i = 0; i < 4; ++i) {
    outcomes[i].ttft_ns = ttft_ms[i] * 1'000'000;
    outcomes[i].last_token_ns = outcomes[i].arrival_ns + 2'000'000'000;
  }
  outcomes[3].completed = false;  // a failed one: its TTFT counts, its tokens do not
  outcomes[3].last_token_ns = 0;
  outcomes[3].tpot_ns = outcomes[3].e2el_ns = RequestOutcome::kNone;
  const StatisticValues values = statistics_of(outcomes);
  BOOST_TEST(at(values, Statistic::mean_ttft) == 25);
  BOOST_TEST(at(values, Statistic::p50_ttft) == 25);
  BOOST_TEST(at(values, Statistic::p90_ttft) == 37,
             boost::test_tools::tolerance(1e-12));  // numpy's linear rank 2.7
  BOOST_TEST(at(values, Statistic::mean_tpot) == 100);
  BOOST_TEST(at(values, Statistic::mean_itl) == 100);
  // Duration: last token of the third (2 s + 2 s) - first arrival.
  BOOST_TEST(at(values, Statistic::request_throughput) == 0.75);
  BOOST_TEST(at(values, Statistic::output_throughput) == 7.5);
  BOOST_TEST(at(values, Statistic::total_token_throughput) == 82.5);
}

BOOST_AUTO_TEST_CASE(nothing_measured_is_nan) {
  const StatisticValues values = statistics_of({});
  for (const double value : values) BOOST_TEST(std::isnan(value));
}

BOOST_AUTO_TEST_CASE(blocks_grow_with_the_memory_of_the_series) {
  const std::size_t independent = block_length_of(run_of(4000, 0, 0, 1));
  const std::size_t tied = block_length_of(run_of(4000, 0.9, 0, 1));
  BOOST_TEST(independent <= 25U);  // n^(1/3) = 15.9
  BOOST_TEST(tied > 2 * independent);
  BOOST_TEST(tied <= 400U);
}

BOOST_AUTO_TEST_CASE(equal_names_give_equal_replicates) {
  const std::vector<RequestOutcome> outcomes = run_of(200, 0.5, 0, 2);
  const Resampling resampling{10, 20, 7};
  const auto a = resample(outcomes, resampling, "x"), b = resample(outcomes, resampling, "x");
  const auto other = resample(outcomes, resampling, "y");
  for (std::size_t r = 0; r < 20; ++r) {
    BOOST_TEST(at(a[r], Statistic::mean_ttft) == at(b[r], Statistic::mean_ttft));
    BOOST_TEST(at(a[r], Statistic::mean_ttft) != at(other[r], Statistic::mean_ttft));
  }
}

/// Of the mean of dependent values, 90 % intervals hold the truth in about 90 % of many samples.
BOOST_AUTO_TEST_CASE(intervals_cover) {
  constexpr int kSamples = 300;
  int covered = 0;
  for (int i = 0; i < kSamples; ++i) {
    const std::vector<RequestOutcome> outcomes = run_of(1000, 0.6, 0, 1000 + static_cast<std::uint64_t>(i));
    const Resampling resampling{block_length_of(outcomes), 199, 1};
    std::vector<double> means;
    for (const StatisticValues& values : resample(outcomes, resampling, "x"))
      means.push_back(at(values, Statistic::mean_ttft));
    const Interval interval = middle(means, 0.9);
    covered += interval.low <= 100 && 100 <= interval.high ? 1 : 0;
  }
  BOOST_TEST(covered >= 250);  // 83 %
  BOOST_TEST(covered <= 290);
}

BOOST_AUTO_TEST_CASE(middle_leaves_out_what_is_not_known) {
  std::vector<double> values{std::nan("")};
  for (int i = 0; i <= 100; ++i) values.push_back(i);
  const Interval interval = middle(values, 0.9);
  BOOST_TEST(interval.low == 5, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(interval.high == 95, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(std::isnan(middle({}, 0.9).low));
}

BOOST_AUTO_TEST_CASE(p_values) {
  BOOST_TEST(sign_p_value({}) == 1);
  BOOST_TEST(sign_p_value({0, 0, 0}) == 1);
  BOOST_TEST(sign_p_value(std::vector<double>(99, 2.0)) == 0.02, boost::test_tools::tolerance(1e-12));
  std::vector<double> mixed(100, 1.0);
  for (std::size_t i = 0; i < 50; ++i) mixed[i] = -1;
  BOOST_TEST(sign_p_value(mixed) == 1);
}

/// The example of Benjamini & Hochberg 1995, section 3.2: 15 tests, four rejected at 0.05.
BOOST_AUTO_TEST_CASE(false_discoveries_are_controlled) {
  const std::vector<double> p = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
                                 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000};
  const std::vector<bool> found = discoveries(p, 0.05);
  for (std::size_t i = 0; i < p.size(); ++i) BOOST_TEST(found[i] == (i < 4));
  BOOST_TEST(discoveries({}, 0.05).empty());
}

/// Two runs that differ by one percent of noise that both share: paired blocks see it, and where nothing
/// differs few are called different.
BOOST_AUTO_TEST_CASE(pairs_see_what_single_runs_hide) {
  const std::vector<RequestOutcome> base = run_of(500, 0.5, 0, 3), shifted = run_of(500, 0.5, 1, 3);
  const Resampling resampling{20, 199, 1};
  const auto a = resample(base, resampling, "x"), b = resample(shifted, resampling, "x");
  std::vector<double> paired, single;
  for (std::size_t r = 0; r < a.size(); ++r) {
    paired.push_back(at(b[r], Statistic::mean_ttft) - at(a[r], Statistic::mean_ttft));
    single.push_back(at(b[r], Statistic::mean_ttft));
  }
  const Interval difference = middle(paired, 0.9), alone = middle(single, 0.9);
  BOOST_TEST(difference.low > 0.9);
  BOOST_TEST(difference.high < 1.1);
  BOOST_TEST(alone.high - alone.low > 10 * (difference.high - difference.low));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
