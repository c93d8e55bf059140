/// The statistics of timing comparisons: rank tests, the bootstrap of a median, and the false discovery rate.
/// All pure; the bootstrap's randomness is a named stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace kvcast {

/// \param sorted ascending, at least one
[[nodiscard]] double median_of_sorted(std::span<const double> sorted);
/// \param values at least one
[[nodiscard]] double median(std::vector<double> values);

/// Standard deviation of a normal population with this sample's median absolute deviation: 1.4826 MAD.
[[nodiscard]] double robust_deviation(const std::vector<double>& values);

/// P(Z > z) for a standard normal Z; accurate in relative terms far into the tail.
[[nodiscard]] double normal_upper_tail(double z);

/// Two-sided p of the hypothesis that both samples come from one distribution. Exact without ties and with at
/// most 64 values together (recurrence over the number of arrangements), else the normal approximation with
/// corrections for ties and continuity. Source: Mann & Whitney 1947, "On a test of whether one of two random
/// variables is stochastically larger than the other"; Lehmann, "Nonparametrics", section 1.
/// \param a, b at least one value each
[[nodiscard]] double mann_whitney_p(std::span<const double> a, std::span<const double> b);

/// Two-sided p of the hypothesis that differences are symmetric about 0; zeros are dropped. Exact without
/// ties and up to 40 differences, else normal. Source: Wilcoxon 1945, "Individual comparisons by ranking
/// methods".
[[nodiscard]] double signed_rank_p(std::span<const double> differences);

/// Which of these hypotheses are rejected when at most `rate` of the rejections may be false.
/// Source: Benjamini & Hochberg 1995, "Controlling the false discovery rate".
[[nodiscard]] std::vector<bool> benjamini_hochberg(const std::vector<double>& p_values, double rate);

struct Interval {
  double low = 0;
  double high = 0;
};

/// Contract: bootstrap percentile intervals of medians. The median of a resample is the mean of two order
/// statistics of the sample; which two, depends on the sample's size alone. So the ranks are drawn once for
/// each size, from the stream "regress/bootstrap/<stream>/<size>", and serve every sample of that size.
/// Results depend on nothing else.
class MedianBootstrap {
 public:
  static constexpr std::size_t kResamples = 2000;

  explicit MedianBootstrap(std::uint64_t seed) : seed_(seed) {}

  /// Interval that holds the median with probability `confidence`.
  /// \param sorted ascending, at least one
  [[nodiscard]] Interval median(std::span<const double> sorted, double confidence);
  /// The same of median(b) - median(a), for two independent samples.
  [[nodiscard]] Interval difference(std::span<const double> a, std::span<const double> b, double confidence);

 private:
  struct Ranks {
    std::uint32_t low, high;
  };
  const std::vector<Ranks>& ranks(char stream, std::size_t size);

  std::uint64_t seed_;
  std::map<std::pair<char, std::size_t>, std::vector<Ranks>> drawn_;
};

}  // namespace kvcast
