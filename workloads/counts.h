/// Exact distributions of whole numbers in memory that does not grow with their count.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

/// How often each token count occurred. Memory: 8 bytes for each value up to the largest below 2^20, a map
/// entry for each larger one.
class TokenCounts {
 public:
  void add(std::int64_t tokens);

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] std::int64_t sum() const { return static_cast<std::int64_t>(sum_); }
  [[nodiscard]] std::int64_t min() const { return min_; }
  [[nodiscard]] std::int64_t max() const { return max_; }
  [[nodiscard]] double mean() const;
  /// Population standard deviation, as numpy's default.
  [[nodiscard]] double std() const;
  /// numpy's linear interpolation. \param q in [0, 1]; at least one value
  [[nodiscard]] double quantile(double q) const;
  /// quantile(i / (points - 1)) for i = 0 .. points - 1.
  [[nodiscard]] std::vector<double> quantiles(std::size_t points) const;
  /// visit(value, how often), in order of value.
  void each(const std::function<void(std::int64_t value, std::int64_t times)>& visit) const;
  /// How many values are below `value`.
  [[nodiscard]] std::int64_t below(std::int64_t value) const;

 private:
  std::vector<std::int64_t> small_;
  std::map<std::int64_t, std::int64_t> large_;
  std::int64_t count_ = 0;
  Int128 sum_ = 0;
  Int128 sum_of_squares_ = 0;
  std::int64_t min_ = 0;
  std::int64_t max_ = 0;
};

/// Gaps in nanoseconds: exact moments, and a histogram whose buckets are at most 1/1024 of their value wide.
class GapCounts {
 public:
  void add(std::int64_t gap_ns);

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] double mean_ns() const;
  /// Standard deviation over mean; 0 without gaps.
  [[nodiscard]] double cv() const;
  /// Largest distance between the gaps' distribution function and `cdf`, at bucket borders.
  [[nodiscard]] double distance(const std::function<double(double gap_ns)>& cdf) const;

 private:
  std::vector<std::int64_t> buckets_;
  std::int64_t count_ = 0;
  Int128 sum_ = 0;
  Int128 sum_of_squares_ = 0;
};

}  // namespace kvcast
