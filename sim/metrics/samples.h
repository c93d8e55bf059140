/// Latency samples: exact while they are few, a mergeable log-linear histogram when they are many.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

/// Counts of non-negative integer nanoseconds in buckets whose width is at most 1/1024 of their value (exact
/// below 2,048 ns). A quantile read from it is off by at most 0.05 % (half a bucket). Merging two histograms
/// is adding their counts.
class Histogram {
 public:
  static constexpr int kSubBits = 10;
  static constexpr double kRelativeError = 0.5 / 1024;

  void add(std::int64_t value_ns, std::int64_t count = 1) {
    const std::size_t bucket = bucket_of(value_ns);
    if (bucket >= counts_.size()) [[unlikely]]
      make_room(bucket);
    counts_[bucket] += count;
    total_ += count;
  }
  /// Adds `weight` for each of the values floor((first + i * slope) / 2^20) ns, i = 0 .. steps-1: the gaps of
  /// a run of decode steps whose durations grow by `slope` fine units a step. Equals the loop, in time
  /// proportional to the buckets touched.
  void add_run(std::int64_t first_fine, std::int64_t slope_fine, std::int64_t steps, std::int64_t weight);
  void merge(const Histogram& other);
  [[nodiscard]] std::int64_t total() const { return total_; }
  /// Grows by whole octaves, so its size depends on the largest value only and equal contents compare equal.
  [[nodiscard]] const std::vector<std::int64_t>& counts() const { return counts_; }

  /// Log-linear: 2^kSubBits buckets per power of two, so both the index and its inverse are a shift and an
  /// addition.
  [[nodiscard]] static std::size_t bucket_of(std::int64_t value_ns) {
    const auto value = static_cast<std::uint64_t>(value_ns);
    constexpr int kExactBits = kSubBits + 1;
    const int bits = 64 - std::countl_zero(value | ((std::uint64_t{1} << kExactBits) - 1));
    const auto shift = static_cast<std::uint64_t>(bits - kExactBits);
    return static_cast<std::size_t>((shift << kSubBits) + (value >> shift));
  }
  /// Smallest value of the bucket.
  [[nodiscard]] static std::int64_t bucket_begin(std::size_t bucket);
  /// The value that stands for the bucket: the middle of its smallest and largest.
  [[nodiscard]] static double bucket_middle(std::size_t bucket);

  /// Value at a rank in [0, total-1] (fractional ranks interpolate between neighbouring samples' buckets);
  /// buckets count as their midpoint.
  [[nodiscard]] double value_at_rank(double rank) const;
  /// Values at ascending ranks, in one pass.
  [[nodiscard]] std::vector<double> values_at_ranks(const std::vector<double>& ranks) const;
  /// Population standard deviation of the buckets' middles; off by at most kRelativeError of the root mean
  /// square.
  [[nodiscard]] double std_ns() const;

  friend bool operator==(const Histogram&, const Histogram&) = default;

 private:
  void make_room(std::size_t bucket);
  template <class Fine>
  void add_buckets(Fine first, Fine slope, std::int64_t steps, std::int64_t weight);

  std::vector<std::int64_t> counts_;
  std::int64_t total_ = 0;
};

/// Share of samples at or below a value.
struct CdfPoint {
  double value_ns = 0;
  double share = 0;
};

/// All values of one metric. Up to kExactMax of them are kept and percentiles are exact (numpy's linear
/// interpolation); beyond that only the histogram is, and percentiles carry its error bound. Sums are
/// integers, so merging in any grouping gives equal results.
class Samples {
 public:
  static constexpr std::size_t kExactMax = std::size_t{1} << 17;

  void add(Duration value) {
    const std::int64_t ns = value.count();
    ++count_;
    sum_ += ns;
    sum_of_squares_ += static_cast<Int128>(ns) * ns;
    if (exact_) {
      add_exact(ns);
    } else {
      histogram_.add(ns);
    }
  }
  void merge(const Samples& other);

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] Int128 sum_ns() const { return sum_; }
  [[nodiscard]] bool exact() const { return exact_; }
  [[nodiscard]] double mean_ns() const;
  [[nodiscard]] double std_ns() const;  // population, as numpy's default and vllm bench's
  /// \param percent 0 to 100
  [[nodiscard]] double percentile_ns(double percent) const;
  /// Several percentiles for the price of one.
  /// \param percents ascending, each 0 to 100
  [[nodiscard]] std::vector<double> percentiles_ns(const std::vector<double>& percents) const;
  /// The empirical distribution as at most `points` + 1 rising points, the smallest and the largest sample
  /// among them; empty without samples.
  [[nodiscard]] std::vector<CdfPoint> cdf(std::size_t points) const;

 private:
  void add_exact(std::int64_t ns);
  void fold();

  bool exact_ = true;
  std::int64_t count_ = 0;
  Int128 sum_ = 0;
  Int128 sum_of_squares_ = 0;
  std::vector<std::int64_t> values_;
  Histogram histogram_;
};

}  // namespace kvcast
