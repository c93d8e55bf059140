#include "sim/metrics/samples.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

using namespace kvcast;

namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Samples samples_of(const std::vector<std::int64_t>& values) {
  Samples samples;
  for (const std::int64_t value : values) samples.add(Duration{value});
  return samples;
}

void check_equal(const Samples& a, const Samples& b) {
  BOOST_TEST(a.count() == b.count());
  BOOST_TEST(a.exact() == b.exact());
  if (a.count() == 0) return;
  BOOST_TEST(a.mean_ns() == b.mean_ns());
  BOOST_TEST(a.std_ns() == b.std_ns());
  const std::vector<double> percents{0, 1, 25, 50, 90, 95, 99, 99.9, 100};
  BOOST_TEST(a.percentiles_ns(percents) == b.percentiles_ns(percents), boost::test_tools::per_element());
}

/// The definition of add_run, one value at a time, in 128 bits.
Histogram run_by_loop(std::int64_t first, std::int64_t slope, std::int64_t steps, std::int64_t weight) {
  Histogram histogram;
  for (std::int64_t i = 0; i < steps; ++i) {
    const Int128 fine = static_cast<Int128>(i) * slope + first;
    histogram.add(static_cast<std::int64_t>(fine >> kFineBits), weight);
  }
  return histogram;
}

Histogram run_at_once(std::int64_t first, std::int64_t slope, std::int64_t steps, std::int64_t weight) {
  Histogram histogram;
  histogram.add_run(first, slope, steps, weight);
  return histogram;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(samples)

BOOST_AUTO_TEST_CASE(buckets_tile_the_line_and_are_narrow) {
  BOOST_TEST(Histogram::bucket_begin(0) == 0);
  const std::size_t last = Histogram::bucket_of(kMax);
  for (std::size_t bucket = 0; bucket < last; ++bucket) {
    const std::int64_t begin = Histogram::bucket_begin(bucket);
    const std::int64_t end = Histogram::bucket_begin(bucket + 1) - 1;
    BOOST_REQUIRE(begin <= end);
    BOOST_REQUIRE_EQUAL(Histogram::bucket_of(begin), bucket);
    BOOST_REQUIRE_EQUAL(Histogram::bucket_of(end), bucket);
    // Half a bucket is at most the promised share of its smallest value.
    BOOST_REQUIRE_LE(0.5 * static_cast<double>(end - begin),
                     Histogram::kRelativeError * static_cast<double>(begin));
  }
}

BOOST_AUTO_TEST_CASE(values_below_2048_ns_are_exact) {
  for (std::int64_t value = 0; value < 2048; ++value) {
    BOOST_REQUIRE_EQUAL(Histogram::bucket_of(value), static_cast<std::size_t>(value));
    BOOST_REQUIRE_EQUAL(Histogram::bucket_middle(static_cast<std::size_t>(value)),
                        static_cast<double>(value));
  }
}

BOOST_AUTO_TEST_CASE(add_run_equals_the_loop) {
  const unsigned seed = 20240607;
  BOOST_TEST_MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  const auto below_bits = [&](int bits_max) {
    const int bits = static_cast<int>(random() % static_cast<unsigned>(bits_max + 1));
    return static_cast<std::int64_t>(bits == 0 ? 0 : random() >> (64 - bits));
  };
  for (int i = 0; i < 4000; ++i) {
    const std::int64_t first = below_bits(62);
    const std::int64_t slope = below_bits(40);
    const auto steps = static_cast<std::int64_t>(random() % 700);
    const auto weight = static_cast<std::int64_t>(random() % 300);
    const Histogram expected = run_by_loop(first, slope, steps, weight);
    BOOST_REQUIRE_MESSAGE(
        run_at_once(first, slope, steps, weight) == expected,
        "first " << first << " slope " << slope << " steps " << steps << " weight " << weight);
  }
}

BOOST_AUTO_TEST_CASE(add_run_at_bucket_edges) {
  // Starts and slopes that land exactly on, one below and one above a bucket's edge.
  for (const std::int64_t edge_ns : {2047, 2048, 2050, 4096, 8'000'000, 8'003'584}) {
    const std::int64_t edge = edge_ns << kFineBits;
    for (std::int64_t offset = -1; offset <= 1; ++offset) {
      for (const std::int64_t slope : {std::int64_t{0}, std::int64_t{1}, (std::int64_t{1} << kFineBits) - 1,
                                       std::int64_t{1} << kFineBits, std::int64_t{3} << (kFineBits + 12)}) {
        const std::int64_t first = edge - 3 * slope + offset;
        if (first < 0) continue;
        BOOST_TEST((run_at_once(first, slope, 9, 5) == run_by_loop(first, slope, 9, 5)));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(add_run_at_the_ends_of_its_range) {
  const std::int64_t first = std::int64_t{1} << 62;
  const std::int64_t slope = std::int64_t{1} << 40;
  const std::int64_t steps = std::int64_t{1} << 31;
  const Histogram histogram = run_at_once(first, slope, steps, 3);
  BOOST_TEST(histogram.total() == 3 * steps);
  // Each bucket's count is the number of i with begin <= floor((first + i * slope) / 2^20) < end, by 128-bit
  // division.
  const auto steps_below = [&](std::int64_t value_ns) {
    const Int128 room = (static_cast<Int128>(value_ns) << kFineBits) - first;
    return room <= 0 ? std::int64_t{0}
                     : std::min(steps, static_cast<std::int64_t>((room + slope - 1) / slope));
  };
  std::int64_t sum = 0;
  for (std::size_t bucket = 0; bucket < histogram.counts().size(); ++bucket) {
    const std::int64_t begin = Histogram::bucket_begin(bucket);
    const std::int64_t expected = steps_below(Histogram::bucket_begin(bucket + 1)) - steps_below(begin);
    BOOST_REQUIRE_EQUAL(histogram.counts()[bucket], 3 * expected);
    sum += histogram.counts()[bucket];
  }
  BOOST_TEST(sum == histogram.total());
  BOOST_TEST((run_at_once(7, 0, steps, 2) == run_by_loop(7, 0, 1, 2 * steps)));
  BOOST_TEST((run_at_once(7, 9, 0, 2) == Histogram{}));
  BOOST_TEST((run_at_once(kMax, 0, 4, 1) == run_by_loop(kMax, 0, 4, 1)));
  BOOST_TEST((run_at_once(kMax, 1, 4, 1) == run_by_loop(kMax, 1, 4, 1)));
}

BOOST_AUTO_TEST_CASE(histogram_merge_is_addition) {
  std::mt19937_64 random(3);
  Histogram all;
  std::vector<Histogram> parts(3);
  for (int i = 0; i < 3000; ++i) {
    const auto value = static_cast<std::int64_t>(random() >> (random() % 40 + 20));
    all.add(value, 2);
    parts[random() % 3].add(value, 2);
  }
  Histogram left = parts[0];
  left.merge(parts[1]);
  left.merge(parts[2]);
  Histogram right = parts[2];
  Histogram tail = parts[1];
  tail.merge(parts[0]);
  right.merge(tail);
  BOOST_TEST((left == all));
  BOOST_TEST((right == all));
}

BOOST_AUTO_TEST_CASE(histogram_ranks_interpolate_between_samples) {
  Histogram histogram;
  histogram.add(10, 3);
  histogram.add(20, 1);
  histogram.add(40, 2);  // 10 10 10 20 40 40
  BOOST_TEST(histogram.value_at_rank(0) == 10);
  BOOST_TEST(histogram.value_at_rank(2) == 10);
  BOOST_TEST(histogram.value_at_rank(2.5) == 15);
  BOOST_TEST(histogram.value_at_rank(3) == 20);
  BOOST_TEST(histogram.value_at_rank(3.25) == 25);
  BOOST_TEST(histogram.value_at_rank(4.5) == 40);
  BOOST_TEST(histogram.value_at_rank(5) == 40);
}

BOOST_AUTO_TEST_CASE(histogram_std_of_exact_buckets) {
  Histogram histogram;
  for (const std::int64_t value : {2, 4, 4, 4, 5, 5, 7, 9}) histogram.add(value);
  BOOST_TEST(histogram.std_ns() == 2.0);
  BOOST_TEST(Histogram{}.std_ns() == 0.0);
}

BOOST_AUTO_TEST_CASE(percentiles_are_numpys) {
  // numpy.percentile([12, 7, 3, 25, 8, 100, 41, 56, 9, 18], ...), and its mean and (population) std.
  const Samples samples = samples_of({12, 7, 3, 25, 8, 100, 41, 56, 9, 18});
  BOOST_TEST(samples.exact());
  BOOST_TEST(samples.percentile_ns(0) == 3.0);
  BOOST_TEST(samples.percentile_ns(50) == 15.0);
  BOOST_TEST(samples.percentile_ns(90) == 60.4, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(samples.percentile_ns(95) == 80.2, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(samples.percentile_ns(99) == 96.04, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(samples.percentile_ns(100) == 100.0);
  BOOST_TEST(samples.mean_ns() == 27.9);
  BOOST_TEST(samples.std_ns() == 28.859833679354427, boost::test_tools::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(empty_and_single) {
  const Samples none;
  BOOST_TEST(none.mean_ns() == 0.0);
  BOOST_TEST(none.std_ns() == 0.0);
  BOOST_TEST(none.percentile_ns(99) == 0.0);
  BOOST_TEST(none.cdf(10).empty());
  const Samples one = samples_of({1234});
  BOOST_TEST(one.std_ns() == 0.0);
  BOOST_TEST(one.percentile_ns(37) == 1234.0);
}

BOOST_AUTO_TEST_CASE(std_has_no_cancellation) {
  // Two values one nanosecond apart around 10^15 ns: the textbook E[x^2] - E[x]^2 in doubles gives 0 or
  // nonsense.
  const std::int64_t base = 1'000'000'000'000'000;
  BOOST_TEST(samples_of({base, base + 1}).std_ns() == 0.5);
  BOOST_TEST(samples_of({base, base + 1, base + 2}).std_ns() == std::sqrt(2.0 / 3),
             boost::test_tools::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(folded_samples_keep_the_error_bound) {
  std::mt19937_64 random(11);
  std::vector<std::int64_t> values;
  for (std::size_t i = 0; i < Samples::kExactMax + 5000; ++i) {
    const double uniform = (static_cast<double>(random() >> 11) + 1) * 0x1p-53;
    values.push_back(static_cast<std::int64_t>(-std::log(uniform) * 3e8));
  }
  const Samples folded = samples_of(values);
  BOOST_TEST(!folded.exact());
  std::sort(values.begin(), values.end());
  for (const double percent : {0.0, 1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 100.0}) {
    const double rank = static_cast<double>(values.size() - 1) * percent / 100;
    const auto low = static_cast<std::size_t>(rank);
    const std::size_t high = std::min(low + 1, values.size() - 1);
    const double exact = std::lerp(static_cast<double>(values[low]), static_cast<double>(values[high]),
                                   rank - static_cast<double>(low));
    BOOST_TEST(std::abs(folded.percentile_ns(percent) - exact) <= Histogram::kRelativeError * exact);
  }
  double sum = 0;
  for (const std::int64_t value : values) sum += static_cast<double>(value);
  BOOST_TEST(folded.mean_ns() == sum / static_cast<double>(values.size()),
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(exact_up_to_the_limit_and_no_further) {
  Samples samples;
  for (std::size_t i = 0; i < Samples::kExactMax; ++i) samples.add(Duration{static_cast<std::int64_t>(i)});
  BOOST_TEST(samples.exact());
  samples.add(Duration{5});
  BOOST_TEST(!samples.exact());
  BOOST_TEST(samples.count() == static_cast<std::int64_t>(Samples::kExactMax) + 1);
}

BOOST_AUTO_TEST_CASE(merging_in_any_grouping_is_equal) {
  std::mt19937_64 random(17);
  for (const std::size_t total :
       {std::size_t{100}, Samples::kExactMax, Samples::kExactMax + 1, 3 * Samples::kExactMax}) {
    Samples all;
    std::vector<Samples> parts(4);
    for (std::size_t i = 0; i < total; ++i) {
      const Duration value{static_cast<std::int64_t>(random() >> 30)};
      all.add(value);
      parts[std::min<std::size_t>(random() % 6, 3)].add(value);
    }
    Samples left;
    for (const Samples& part : parts) left.merge(part);
    Samples right = parts[3];
    right.merge(parts[2]);
    Samples front = parts[1];
    front.merge(parts[0]);
    front.merge(right);
    check_equal(left, all);
    check_equal(front, all);
  }
}

BOOST_AUTO_TEST_CASE(cdf_rises_from_the_smallest_to_the_largest) {
  const Samples samples = samples_of({5, 1, 9, 3, 7});
  const std::vector<CdfPoint> cdf = samples.cdf(4);
  BOOST_REQUIRE(cdf.size() == 5U);
  for (std::size_t i = 0; i < cdf.size(); ++i) {
    BOOST_TEST(cdf[i].value_ns == 1.0 + 2.0 * static_cast<double>(i));
    BOOST_TEST(cdf[i].share == 0.25 * static_cast<double>(i));
  }
}

BOOST_AUTO_TEST_SUITE_END()
