// Lengths and arrival processes against their closed forms. Every bound is a number of standard errors; seeds
// are in the messages.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "tests/unit/workloads/support.h"
#include "workloads/arrivals.h"
#include "workloads/gamma_draw.h"
#include "workloads/lengths.h"
#include "workloads/special_functions.h"

namespace kvcast {
namespace {

using test::Moments;

constexpr int kDraws = 200'000;
constexpr double kErrors = 4.5;  // standard errors: one of 150,000 correct comparisons would fail

std::vector<double> gaps_of(ArrivalProcess& process, int count) {
  std::vector<double> gaps;
  Instant last = kStart;
  for (int i = 0; i < count; ++i) {
    const Instant now = process.next();
    gaps.push_back(static_cast<double>((now - last).count()) * 1e-9);
    last = now;
  }
  return gaps;
}

BOOST_AUTO_TEST_SUITE(distributions)

BOOST_AUTO_TEST_CASE(special_functions_agree_with_tables) {
  // Abramowitz & Stegun 26.2; R: qnorm, lgamma, pgamma with 15 digits.
  BOOST_TEST(normal_quantile(0.5) == 0.0);
  BOOST_TEST(normal_quantile(0.975) == 1.959963984540054, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(normal_quantile(0.01) == -2.326347874040841, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(normal_quantile(1e-10) == -6.361340902404056, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(log_gamma(0.5) == 0.5 * std::log(M_PI), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(log_gamma(10) == std::log(362880.0), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(log_gamma(1e-3) == 6.907178885383853, boost::test_tools::tolerance(1e-12));
  for (const double x : {0.1, 1.0, 3.0, 20.0}) {
    BOOST_TEST(gamma_cdf(x, 1, 2) == 1 - std::exp(-x / 2), boost::test_tools::tolerance(1e-12));
    // Erlang of 3 stages.
    const double erlang = 1 - std::exp(-x) * (1 + x + x * x / 2);
    BOOST_TEST(gamma_cdf(x, 3, 1) == erlang, boost::test_tools::tolerance(1e-10));
    // A gamma of shape 1/2 is half a squared normal.
    BOOST_TEST(gamma_cdf(x, 0.5, 1) == std::erf(std::sqrt(x)), boost::test_tools::tolerance(1e-12));
  }
  BOOST_TEST(gamma_cdf(0, 2, 1) == 0.0);
}

BOOST_AUTO_TEST_CASE(renewal_processes_have_their_rate_and_cv) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    for (const double shape : {1.0, 0.25, 0.835, 4.0, 25.0}) {
      const auto process = renewal_arrivals({5.0, shape}, seed);
      const Moments gaps(gaps_of(*process, kDraws));
      BOOST_TEST(std::fabs(gaps.mean - 0.2) < kErrors * gaps.mean_error(),
                 "seed " << seed << " shape " << shape << " mean " << gaps.mean);
      const double cv = 1 / std::sqrt(shape);
      BOOST_TEST(std::fabs(gaps.cv() - cv) < kErrors * gaps.cv_error(),
                 "seed " << seed << " shape " << shape << " cv " << gaps.cv());
    }
  }
}

BOOST_AUTO_TEST_CASE(gamma_draws_follow_the_distribution) {
  // Kolmogorov-Smirnov at 1e-6: 2.7 / sqrt(n).
  for (const double shape : {0.05, 0.3, 1.0, 1.7, 9.0}) {
    RandomStream stream(11, "test");
    const GammaDraw draw(shape);
    std::vector<double> values;
    values.reserve(kDraws);
    for (int i = 0; i < kDraws; ++i) values.push_back(draw(stream));
    std::sort(values.begin(), values.end());
    double largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double cdf = gamma_cdf(values[i], shape, 1 / shape);
      largest = std::max({largest, std::fabs(cdf - static_cast<double>(i) / kDraws),
                          std::fabs(cdf - static_cast<double>(i + 1) / kDraws)});
    }
    BOOST_TEST(largest < 2.7 / std::sqrt(double{kDraws}), "shape " << shape << " distance " << largest);
  }
}

BOOST_AUTO_TEST_CASE(constant_gaps_are_constant) {
  const auto process = renewal_arrivals({3.0, std::numeric_limits<double>::infinity()}, 1);
  for (int i = 1; i <= 3000; ++i) {
    const std::int64_t at = test::ns(process->next());
    BOOST_REQUIRE(std::llabs(at - static_cast<std::int64_t>(i) * 1'000'000'000 / 3) <= 1);
  }
}

BOOST_AUTO_TEST_CASE(profiles_follow_their_rates) {
  // 10 requests/s for 100 s, none for 100 s, 30 requests/s for 100 s, then again: Poisson counts in each
  // window.
  for (const std::uint64_t seed : {4U, 5U}) {
    const auto process = profile_arrivals({{10, 0, 30}, 100, 1}, seed);
    constexpr int kCycles = 50;
    std::vector<double> counts(3);
    while (true) {
      const double at = static_cast<double>(test::ns(process->next())) * 1e-9;
      if (at >= 300 * kCycles) break;
      ++counts[static_cast<std::size_t>(at / 100) % 3];
    }
    BOOST_TEST(counts[1] == 0);
    BOOST_TEST(std::fabs(counts[0] - 1000.0 * kCycles) < kErrors * std::sqrt(1000.0 * kCycles),
               "seed " << seed);
    BOOST_TEST(std::fabs(counts[2] - 3000.0 * kCycles) < kErrors * std::sqrt(3000.0 * kCycles),
               "seed " << seed);
  }
}

BOOST_AUTO_TEST_CASE(ramps_reach_from_the_first_to_the_last_rate) {
  // Constant gaps: request i of n comes 1 / rate(i / n) after the one before.
  const RenewalSpec constant{1, std::numeric_limits<double>::infinity()};
  const auto linear = gaps_of(*ramp_arrivals(constant, {false, 1, 5, 100}, 1), 100);
  BOOST_TEST(linear[0] == 1.0, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(linear[50] == 1.0 / 3, boost::test_tools::tolerance(1e-6));
  const auto exponential = gaps_of(*ramp_arrivals(constant, {true, 1, 4, 100}, 1), 100);
  BOOST_TEST(exponential[50] == 0.5, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(arrivals_beyond_ten_years_are_refused) {
  const auto process = renewal_arrivals({1e-6, 1}, 1);
  BOOST_TEST(test::message_of([&] { gaps_of(*process, 1000); }) ==
             "workload: arrivals reach beyond ten years; fewer requests or a higher rate are needed");
}

BOOST_AUTO_TEST_CASE(lengths_at_the_ends_and_between) {
  BOOST_TEST(LengthModel::fixed(512).at(0.999) == 512);
  const LengthModel uniform = LengthModel::uniform(1, 900);
  BOOST_TEST(uniform.at(0) == 1);
  BOOST_TEST(uniform.at(1 - 0x1p-53) == 900);
  BOOST_TEST(uniform.at(0.5) == 451);
  const LengthModel table = LengthModel::quantiles({{2, 10, 100}, {0.75}, {20}});
  BOOST_TEST(table.at(0) == 2);
  BOOST_TEST(table.at(0.25) == 6);
  BOOST_TEST(table.at(0.5) == 10);
  BOOST_TEST(table.at(0.625) == 15);
  BOOST_TEST(table.at(0.875) == 60);
  BOOST_TEST(table.at(1 - 0x1p-53) == 100);
  const LengthModel samples = LengthModel::samples({9, 3, 3, 7});
  BOOST_TEST(samples.at(0) == 3);
  BOOST_TEST(samples.at(0.49) == 3);
  BOOST_TEST(samples.at(0.5) == 7);
  BOOST_TEST(samples.at(1 - 0x1p-53) == 9);
  BOOST_TEST(LengthModel::lognormal(1, 0).at(0.3) == 1);
  BOOST_TEST(LengthModel::lognormal(1e9, 100).at(1 - 0x1p-53) == 1 << 30);
}

BOOST_AUTO_TEST_CASE(lengths_never_fall_with_u) {
  const std::vector<LengthModel> models = {LengthModel::uniform(5, 77), LengthModel::lognormal(800, 1.2),
                                           LengthModel::quantiles({{1, 4, 4, 90}, {0.9, 0.95}, {10, 50}}),
                                           LengthModel::samples({4, 4, 1, 50})};
  for (const LengthModel& model : models) {
    std::int64_t last = 0;
    for (int i = 0; i < 10'000; ++i) {
      const std::int64_t now = model.at(i / 10'000.0);
      BOOST_REQUIRE(now >= last);
      last = now;
    }
  }
}

BOOST_AUTO_TEST_CASE(lognormal_lengths_have_their_mean_and_cv) {
  for (const std::uint64_t seed : {6U, 7U}) {
    RandomStream stream(seed, "test");
    const LengthModel model =
        LengthModel::lognormal(8000, 0.8);  // far from 1: rounding adds 1/12 to a variance of 4e7
    std::vector<double> values;
    values.reserve(kDraws);
    for (int i = 0; i < kDraws; ++i) values.push_back(static_cast<double>(model.at(stream.uniform())));
    const Moments moments(values);
    BOOST_TEST(std::fabs(moments.mean - 8000) < kErrors * moments.mean_error(),
               "seed " << seed << " mean " << moments.mean);
    BOOST_TEST(std::fabs(moments.cv() - 0.8) < kErrors * moments.cv_error(),
               "seed " << seed << " cv " << moments.cv());
  }
}

BOOST_AUTO_TEST_CASE(uniform_lengths_are_uniform) {
  // Chi-squared with 9 degrees of freedom: 50 is beyond 1e-7.
  RandomStream stream(8, "test");
  const LengthModel model = LengthModel::uniform(3, 12);
  std::vector<double> counts(10);
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(model.at(stream.uniform()) - 3)];
  double chi2 = 0;
  for (const double count : counts)
    chi2 += (count - kDraws / 10.0) * (count - kDraws / 10.0) / (kDraws / 10.0);
  BOOST_TEST(chi2 < 50);
}

BOOST_AUTO_TEST_CASE(pairs_keep_what_belongs_together) {
  auto samples = std::make_shared<LengthSamples>();
  samples->inputs = {10, 20, 30};
  samples->outputs = {1, 2, 3};
  const PairModel pairs(samples);
  RandomStream stream(9, "test");
  for (int i = 0; i < 1000; ++i) {
    const LengthPair pair = pairs.draw(stream);
    BOOST_REQUIRE(pair.input == 10 * pair.output);
  }
  // Two bands: short inputs get 1, long inputs get 2.
  const PairModel bands(LengthModel::uniform(1, 100), {LengthModel::fixed(1), LengthModel::fixed(2)});
  for (int i = 0; i < 1000; ++i) {
    const LengthPair pair = bands.draw(stream);
    BOOST_REQUIRE(pair.output == (pair.input <= 50 ? 1 : 2));
  }
}

BOOST_AUTO_TEST_CASE(tables_invert_their_own_distribution) {
  const QuantileTable table{{2, 10, 10, 100}, {0.8, 0.9}, {20, 60}};
  for (const double x : {2.5, 9.0, 15.0, 20.0, 40.0, 80.0, 99.0})
    BOOST_TEST(table.at(table.below(x)) == x, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(table.below(1) == 0.0);
  BOOST_TEST(table.below(2) == 0.0);
  BOOST_TEST(table.below(101) == 1.0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
