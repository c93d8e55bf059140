// The statistics against another program's figures (SciPy 1.x: mannwhitneyu, wilcoxon, norm), against
// enumeration, and by what must hold.
#include "sim/regress/statistics.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <numeric>

#include "sim/base/rng.h"

namespace kvcast {
namespace {

namespace tt = boost::test_tools;

/// Two-sided p by counting every choice of the ranks that sample a may have.
double p_by_enumeration(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> all = a;
  all.insert(all.end(), b.begin(), b.end());
  std::vector<bool> in_a(all.size(), false);
  std::fill(in_a.begin(), in_a.begin() + static_cast<std::ptrdiff_t>(a.size()), true);
  const auto wins = [&](const std::vector<bool>& choice) {
    int count = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < all.size(); ++j)
        count += choice[i] && !choice[j] && all[i] > all[j] ? 1 : 0;
    }
    return count;
  };
  const int product = static_cast<int>(a.size() * b.size());
  const int seen = std::min(wins(in_a), product - wins(in_a));
  std::sort(in_a.begin(), in_a.end());
  double extreme = 0;
  double total = 0;
  do {
    total += 1;
    const int u = wins(in_a);
    if (std::min(u, product - u) <= seen) extreme += 1;
  } while (std::next_permutation(in_a.begin(), in_a.end()));
  return extreme / total;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(statistics)

BOOST_AUTO_TEST_CASE(medians) {
  BOOST_TEST(median({3}) == 3.0);
  BOOST_TEST(median({4, 1}) == 2.5);
  BOOST_TEST(median({9, 1, 5}) == 5.0);
  BOOST_TEST(robust_deviation({1, 2, 3, 4, 100}) == 1.4826, tt::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(normal_tail_is_right_far_out) {
  BOOST_TEST(normal_upper_tail(0) == 0.5);
  BOOST_TEST(normal_upper_tail(1.96) == 0.024997895148220435, tt::tolerance(1e-12));
  BOOST_TEST(normal_upper_tail(6) == 9.865876450376946e-10, tt::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(mann_whitney_equals_scipy) {
  const std::vector<double> a{1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
  const std::vector<double> b{0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06001, 3.14, 1.291};
  BOOST_TEST(mann_whitney_p(a, b) == 0.13591114767585355, tt::tolerance(1e-12));
  const std::vector<double> c{1, 1, 2, 2, 3, 4, 4, 4, 5, 6};
  const std::vector<double> d{2, 3, 3, 4, 5, 5, 6, 7, 7, 8};
  BOOST_TEST(mann_whitney_p(c, d) == 0.06152806373699374, tt::tolerance(1e-12));
  std::vector<double> e(20), f(20), g(40), h(40);
  for (std::size_t i = 0; i < 20; ++i) e[i] = static_cast<double>(i) + 0.5;
  for (std::size_t i = 0; i < 20; ++i) f[i] = static_cast<double>(i) + 14.25;
  BOOST_TEST(mann_whitney_p(e, f) == 5.08391474198893e-08, tt::tolerance(1e-9));
  std::iota(g.begin(), g.end(), 0);
  std::iota(h.begin(), h.end(), 11.5);
  BOOST_TEST(mann_whitney_p(g, h) == 0.00015281143739719841, tt::tolerance(1e-9));
}

BOOST_AUTO_TEST_CASE(mann_whitney_equals_enumeration) {
  RandomStream random(7, "tests/mann_whitney");
  for (int round = 0; round < 40; ++round) {
    std::vector<double> a(static_cast<std::size_t>(random.integer(1, 6)));
    std::vector<double> b(static_cast<std::size_t>(random.integer(1, 6)));
    for (double& value : a) value = random.uniform();
    for (double& value : b) value = random.uniform() + 0.3;
    BOOST_TEST(mann_whitney_p(a, b) == std::min(1.0, p_by_enumeration(a, b)), tt::tolerance(1e-12));
    BOOST_TEST(mann_whitney_p(a, b) == mann_whitney_p(b, a), tt::tolerance(1e-12));
  }
}

BOOST_AUTO_TEST_CASE(mann_whitney_of_equal_values_is_one) {
  const std::vector<double> a(30, 2.0);
  BOOST_TEST(mann_whitney_p(a, a) == 1.0);
}

BOOST_AUTO_TEST_CASE(signed_rank_equals_scipy) {
  const std::vector<double> a{1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
  const std::vector<double> b{0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06001, 3.14, 1.291};
  std::vector<double> differences(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) differences[i] = b[i] - a[i];
  BOOST_TEST(signed_rank_p(differences) == 0.0390625, tt::tolerance(1e-12));
  const std::vector<double> ties{1, 1, -1, 2, 2, -2, 3, 3, 4, 5, 0, 6};
  BOOST_TEST(signed_rank_p(ties) == 0.022763792078605412, tt::tolerance(1e-12));
  BOOST_TEST(signed_rank_p(std::vector<double>(5, 0.0)) == 1.0);
}

BOOST_AUTO_TEST_CASE(benjamini_hochberg_as_in_the_paper) {
  // The 15 p-values of section 3.3 of the paper; 4 hypotheses are rejected at 5 %.
  const std::vector<double> p{0.0459, 0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298,
                              0.0344, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000};
  const std::vector<bool> rejected = benjamini_hochberg(p, 0.05);
  BOOST_TEST(std::count(rejected.begin(), rejected.end(), true) == 4);
  for (std::size_t i = 1; i <= 4; ++i) BOOST_TEST(rejected[i]);
  BOOST_TEST(benjamini_hochberg({}, 0.05).empty());
  BOOST_TEST(!benjamini_hochberg({0.06}, 0.05).front());
}

BOOST_AUTO_TEST_CASE(bootstrap_intervals_cover_the_median) {
  MedianBootstrap bootstrap(1);
  RandomStream random(3, "tests/bootstrap");
  int covered = 0;
  int covered_difference = 0;
  constexpr int kRounds = 1000;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> a(15), b(20);
    for (double& value : a) value = random.normal();
    for (double& value : b) value = 1 + random.normal();
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    const Interval one = bootstrap.median(a, 0.95);
    const Interval two = bootstrap.difference(a, b, 0.95);
    covered += one.low <= 0 && 0 <= one.high ? 1 : 0;
    covered_difference += two.low <= 1 && 1 <= two.high ? 1 : 0;
    BOOST_REQUIRE(one.low >= a.front());
    BOOST_REQUIRE(one.high <= a.back());
  }
  // With so few values the percentile interval of a single median is a little short.
  BOOST_TEST_MESSAGE("covered: " << covered << " and " << covered_difference << " of " << kRounds);
  BOOST_TEST(covered > 890);
  BOOST_TEST(covered < 980);
  BOOST_TEST(covered_difference > 930);
  BOOST_TEST(covered_difference < 985);
}

BOOST_AUTO_TEST_CASE(bootstrap_depends_on_nothing_else) {
  const std::vector<double> a{1, 2, 4, 8, 16, 32, 64, 128};
  MedianBootstrap fresh(5);
  MedianBootstrap used(5);
  (void)used.median(std::vector<double>{1, 2, 3}, 0.95);
  (void)used.difference(a, std::vector<double>{1, 2, 3}, 0.95);
  BOOST_TEST(fresh.median(a, 0.95).low == used.median(a, 0.95).low);
  BOOST_TEST(fresh.median(a, 0.95).high == used.median(a, 0.95).high);
  const std::vector<double> same(9, 3.5);
  BOOST_TEST(fresh.median(same, 0.95).low == 3.5);
  BOOST_TEST(fresh.difference(same, same, 0.95).high == 0.0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
