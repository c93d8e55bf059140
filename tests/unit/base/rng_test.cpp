#include "sim/base/rng.h"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/base/hash.h"
#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

__extension__ typedef unsigned __int128 Uint128;
using Words = std::array<std::uint64_t, 4>;

/// Philox4x64-10 as the paper's section 3.3 has it, written apart from the library that RandomStream uses.
Words philox(Words counter, std::array<std::uint64_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const Uint128 a = static_cast<Uint128>(0xD2E7470EE14C6C93ULL) * counter[0];
    const Uint128 b = static_cast<Uint128>(0xCA5A826395121157ULL) * counter[2];
    counter = {static_cast<std::uint64_t>(b >> 64) ^ counter[1] ^ key[0], static_cast<std::uint64_t>(b),
               static_cast<std::uint64_t>(a >> 64) ^ counter[3] ^ key[1], static_cast<std::uint64_t>(a)};
    key[0] += 0x9E3779B97F4A7C15ULL;
    key[1] += 0xBB67AE8584CAA73BULL;
  }
  return counter;
}

/// Mean and variance of many draws.
struct Moments {
  double mean = 0;
  double variance = 0;
};

template <class Draw>
Moments moments(std::uint64_t seed, std::size_t n, const Draw& draw) {
  BOOST_TEST_MESSAGE("seed " << seed);
  RandomStream stream(seed, "moments");
  std::vector<double> values(n);
  for (double& value : values) value = draw(stream);
  Moments result;
  for (const double value : values) result.mean += value / static_cast<double>(n);
  for (const double value : values) {
    result.variance += (value - result.mean) * (value - result.mean) / static_cast<double>(n);
  }
  return result;
}

/// Within five standard errors: by chance once in two million. The seeds are fixed, so a failure is a change,
/// not bad luck.
void check_moments(const Moments& got, double mean, double variance, double fourth_central, std::size_t n,
                   std::uint64_t seed) {
  const auto count = static_cast<double>(n);
  const double mean_error = std::sqrt(variance / count);
  const double variance_error = std::sqrt((fourth_central - variance * variance) / count);
  BOOST_TEST(std::abs(got.mean - mean) < 5 * mean_error,
             "seed " << seed << ": mean " << got.mean << ", expected " << mean);
  BOOST_TEST(std::abs(got.variance - variance) < 5 * variance_error,
             "seed " << seed << ": variance " << got.variance << ", expected " << variance);
}

constexpr std::size_t kDraws = 1'000'000;
constexpr std::uint64_t kSeeds[] = {1, 2, 0xdeadbeef};

BOOST_AUTO_TEST_SUITE(rng)

// Known answers: Random123's kat_vectors, philox4x64 with 10 rounds.
BOOST_AUTO_TEST_CASE(reference_philox_gives_the_known_answers) {
  const std::uint64_t all = ~0ULL;
  BOOST_TEST((philox({0, 0, 0, 0}, {0, 0}) == Words{0x16554d9eca36314cULL, 0xdb20fe9d672d0fdcULL,
                                                    0xd7e772cee186176bULL, 0x7e68b68aec7ba23bULL}));
  BOOST_TEST(
      (philox({all, all, all, all}, {all, all}) ==
       Words{0x87b092c3013fe90bULL, 0x438c3c67be8d0224ULL, 0x9cc7d7c69cd777b6ULL, 0xa09caebf594f0ba0ULL}));
  BOOST_TEST(
      (philox({0x243f6a8885a308d3ULL, 0x13198a2e03707344ULL, 0xa4093822299f31d0ULL, 0x082efa98ec4e6c89ULL},
              {0x452821e638d01377ULL, 0xbe5466cf34e90c6cULL}) ==
       Words{0xa528f45403e61d95ULL, 0x38c72dbd566e9788ULL, 0xa5a1610e72fd18b5ULL, 0x57bd43b5e52b7fe6ULL}));
}

BOOST_AUTO_TEST_CASE(a_stream_is_philox_keyed_by_seed_and_name) {
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}}) {
    for (const char* name : {"", "arrivals", "lengths/client7"}) {
      RandomStream stream(seed, name);
      for (std::uint64_t block = 0; block < 5; ++block) {
        for (const std::uint64_t word : philox({block, 0, 0, 0}, {seed, hash64(name)}))
          BOOST_TEST(stream() == word);
      }
    }
  }
}

// Pinned: a release that moves these moves every workload that users generated.
BOOST_AUTO_TEST_CASE(first_draws_never_change) {
  RandomStream stream(1, "arrivals");
  BOOST_TEST(stream() == 0x808b1696efdeb42eULL);
  BOOST_TEST(stream.uniform() == 0x1.752e43dcb484p-1);
  BOOST_TEST(stream.integer(1, 6) == 5);
  BOOST_TEST(stream.exponential(2.5) == 0x1.9d95a48e81962p-1);
  BOOST_TEST(stream.normal() == -0x1.34fdb002ef612p+0);
  BOOST_TEST(stream.gamma(0.3, 2) == 0x1.04f610c83f346p+0);
  BOOST_TEST(stream.gamma(4, 0.5) == 0x1.2f8adf6708a2cp+0);
  BOOST_TEST(stream.lognormal(800, 1.2) == 0x1.9f0b4efee43c6p+5);
}

BOOST_AUTO_TEST_CASE(streams_of_different_names_are_unrelated) {
  RandomStream a(1, "arrivals");
  RandomStream b(1, "lengths");
  double correlation = 0;
  for (std::size_t i = 0; i < kDraws; ++i) correlation += (a.uniform() - 0.5) * (b.uniform() - 0.5);
  correlation *= 12.0 / static_cast<double>(kDraws);
  BOOST_TEST(std::abs(correlation) < 5 / std::sqrt(static_cast<double>(kDraws)));
}

BOOST_AUTO_TEST_CASE(uniform) {
  for (const std::uint64_t seed : kSeeds) {
    check_moments(moments(seed, kDraws, [](RandomStream& s) { return s.uniform(); }), 0.5, 1.0 / 12, 1.0 / 80,
                  kDraws, seed);
    RandomStream stream(seed, "range");
    for (int i = 0; i < 100'000; ++i) {
      const double open = stream.uniform();
      const double positive = stream.uniform_positive();
      if (!(open >= 0 && open < 1 && positive > 0 && positive <= 1))
        BOOST_FAIL("seed " << seed << ": " << open << " " << positive);
    }
  }
}

BOOST_AUTO_TEST_CASE(uniform_fills_its_deciles) {
  for (const std::uint64_t seed : kSeeds) {
    RandomStream stream(seed, "deciles");
    std::array<double, 10> counts{};
    for (std::size_t i = 0; i < kDraws; ++i) counts[static_cast<std::size_t>(stream.uniform() * 10)] += 1;
    double chi2 = 0;
    const double expected = static_cast<double>(kDraws) / 10;
    for (const double count : counts) chi2 += (count - expected) * (count - expected) / expected;
    BOOST_TEST(chi2 < 40.0,
               "seed " << seed << ": chi-square of 9 degrees is " << chi2);  // beyond: once in 100,000
  }
}

BOOST_AUTO_TEST_CASE(exponential) {
  for (const std::uint64_t seed : kSeeds) {
    const double m = 2.5;
    check_moments(moments(seed, kDraws, [&](RandomStream& s) { return s.exponential(m); }), m, m * m,
                  9 * m * m * m * m, kDraws, seed);
  }
  RandomStream stream(1, "zero");
  BOOST_TEST(stream.exponential(0) == 0.0);
}

BOOST_AUTO_TEST_CASE(normal) {
  for (const std::uint64_t seed : kSeeds) {
    check_moments(moments(seed, kDraws, [](RandomStream& s) { return s.normal(); }), 0, 1, 3, kDraws, seed);
    RandomStream stream(seed, "tails");
    std::int64_t beyond = 0;
    for (std::size_t i = 0; i < kDraws; ++i) beyond += std::abs(stream.normal()) > 2 ? 1 : 0;
    const double p = std::erfc(2 / std::sqrt(2.0));
    BOOST_TEST(std::abs(static_cast<double>(beyond) - p * kDraws) < 5 * std::sqrt(p * kDraws),
               "seed " << seed);
  }
}

BOOST_AUTO_TEST_CASE(gamma) {
  for (const std::uint64_t seed : kSeeds) {
    for (const double shape : {0.1, 0.5, 1.0, 1.5, 7.0, 250.0}) {
      const double scale = 3;
      const double variance = shape * scale * scale;
      const double fourth = variance * variance * (3 + 6 / shape);
      check_moments(moments(seed, kDraws, [&](RandomStream& s) { return s.gamma(shape, scale); }),
                    shape * scale, variance, fourth, kDraws, seed);
    }
  }
}

BOOST_AUTO_TEST_CASE(lognormal) {
  for (const std::uint64_t seed : kSeeds) {
    const double mean = 800;
    const double cv = 0.6;
    const double w = 1 + cv * cv;
    const double variance = mean * mean * cv * cv;
    const double excess = w * w * w * w + 2 * w * w * w + 3 * w * w - 6;
    check_moments(moments(seed, kDraws, [&](RandomStream& s) { return s.lognormal(mean, cv); }), mean,
                  variance, variance * variance * (3 + excess), kDraws, seed);
  }
  RandomStream stream(1, "constant");
  BOOST_TEST(stream.lognormal(800, 0) == 800.0);
}

BOOST_AUTO_TEST_CASE(integers_are_equally_likely) {
  for (const std::uint64_t seed : kSeeds) {
    RandomStream stream(seed, "dice");
    std::map<std::int64_t, double> counts;
    for (int i = 0; i < 700'000; ++i) counts[stream.integer(-3, 3)] += 1;
    BOOST_TEST_REQUIRE(counts.size() == 7U);
    BOOST_TEST(counts.begin()->first == -3);
    double chi2 = 0;
    for (const auto& [value, count] : counts) chi2 += (count - 1e5) * (count - 1e5) / 1e5;
    BOOST_TEST(chi2 < 35.0, "seed " << seed << ": chi-square of 6 degrees is " << chi2);
  }
}

// With a range of 3 * 2^62, value mod 2^62 by plain multiplication or remainder would favour a third of the
// values two to one.
BOOST_AUTO_TEST_CASE(large_ranges_have_no_modulo_bias) {
  RandomStream stream(5, "large");
  const std::int64_t low = std::numeric_limits<std::int64_t>::min();
  const std::int64_t high =
      low + static_cast<std::int64_t>((std::uint64_t{3} << 61) - 1) + (std::int64_t{3} << 61);
  std::array<double, 3> counts{};
  for (int i = 0; i < 300'000; ++i) {
    const std::int64_t value = stream.integer(low, high);
    BOOST_TEST_REQUIRE(value <= high);
    counts[(static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(low)) >> 62] += 1;
  }
  for (const double count : counts) BOOST_TEST(std::abs(count - 1e5) < 5 * std::sqrt(1e5 * 2 / 3));
}

BOOST_AUTO_TEST_CASE(integer_of_one_value_and_of_all) {
  RandomStream stream(1, "edges");
  BOOST_TEST(stream.integer(4, 4) == 4);
  const std::int64_t all =
      stream.integer(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  RandomStream again(1, "edges");
  static_cast<void>(again());
  BOOST_TEST(all == static_cast<std::int64_t>(again()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(portable_math)

double ulps(double got, double expected) {
  return std::abs(got - expected) / std::abs(std::nextafter(expected, 1e308) - expected);
}

BOOST_AUTO_TEST_CASE(log_is_within_two_units_of_the_last_place) {
  RandomStream stream(3, "log");
  double worst = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const double exponent = i % 2 == 0 ? 4 : 1000;
    const double x = std::exp2(exponent * (stream.uniform() - 0.5));
    worst =
        std::max(worst, ulps(portable_log(x), static_cast<double>(std::log(static_cast<long double>(x)))));
  }
  BOOST_TEST_MESSAGE("worst error of log: " << worst << " ulp");
  BOOST_TEST(worst <= 2.0);
  BOOST_TEST(portable_log(1) == 0.0);
  BOOST_TEST(portable_log(0x1p-1022) == std::log(0x1p-1022));
  BOOST_TEST(portable_log(0x1p-53) == std::log(0x1p-53));
}

BOOST_AUTO_TEST_CASE(exp_is_within_two_units_of_the_last_place) {
  RandomStream stream(3, "exp");
  double worst = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const double x = (i % 2 == 0 ? 4 : 1400) * (stream.uniform() - 0.5);
    worst =
        std::max(worst, ulps(portable_exp(x), static_cast<double>(std::exp(static_cast<long double>(x)))));
  }
  BOOST_TEST_MESSAGE("worst error of exp: " << worst << " ulp");
  BOOST_TEST(worst <= 2.0);
  BOOST_TEST(portable_exp(0) == 1.0);
  BOOST_TEST(portable_exp(-1e9) == portable_exp(-700));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
