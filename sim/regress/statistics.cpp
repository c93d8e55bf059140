#include "sim/regress/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "sim/base/error.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

constexpr std::size_t kExactMannWhitney = 64;
constexpr std::size_t kExactSignedRank = 40;

/// Ranks from 1 of the values, in their order; equal values share the mean of their ranks.
struct Ranking {
  std::vector<double> ranks;
  double tie_term = 0;  // sum of t^3 - t over groups of t equal values
};

Ranking rank(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return values[a] < values[b] || (!(values[b] < values[a]) && a < b);
  });
  Ranking ranking{values, 0};
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && !(values[order[begin]] < values[order[end]])) ++end;
    const double shared = static_cast<double>(begin + 1 + end) / 2;
    for (std::size_t i = begin; i < end; ++i) ranking.ranks[order[i]] = shared;
    const auto ties = static_cast<double>(end - begin);
    ranking.tie_term += ties * ties * ties - ties;
    begin = end;
  }
  return ranking;
}

/// Two-sided p of a statistic's distance from its mean, in standard deviations after the continuity
/// correction.
double two_sided(double distance, double deviation) {
  if (!(deviation > 0)) return 1;
  return std::min(1.0, 2 * normal_upper_tail(std::max(0.0, distance - 0.5) / deviation));
}

/// P(U <= u) where all arrangements of n1 and n2 values are equally likely.
double mann_whitney_cdf(std::size_t n1, std::size_t n2, std::size_t u) {
  // ways[s]: subsets with U = s of the first i of n1 values; adding a value that beats 0..n2 of the other
  // sample. The generating function is the Gaussian binomial: multiply by (1 - q^(n2+i)), divide by (1 -
  // q^i).
  std::vector<double> ways{1};
  ways.insert(ways.end(), u, 0);
  double total = 1;
  for (std::size_t i = 1; i <= n1; ++i) {
    for (std::size_t s = u + 1; s-- > n2 + i;) ways[s] -= ways[s - n2 - i];
    for (std::size_t s = i; s <= u; ++s) ways[s] += ways[s - i];
    total = total * static_cast<double>(n2 + i) / static_cast<double>(i);
  }
  return std::accumulate(ways.begin(), ways.end(), 0.0) / total;
}

/// P(W <= w) of the signed-rank sum of n differences.
double signed_rank_cdf(std::size_t n, std::size_t w) {
  std::vector<double> ways{1};
  ways.insert(ways.end(), w, 0);
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t s = w + 1; s-- > i;) ways[s] += ways[s - i];
  }
  return std::ldexp(std::accumulate(ways.begin(), ways.end(), 0.0), -static_cast<int>(n));
}

Interval percentiles(std::vector<double>& values, double confidence) {
  const double tail = (1 - confidence) / 2;
  const auto at = static_cast<std::ptrdiff_t>(tail * static_cast<double>(values.size()));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  const double low = values[static_cast<std::size_t>(at)];
  const auto last = static_cast<std::ptrdiff_t>(values.size()) - 1 - at;
  std::nth_element(values.begin() + at, values.begin() + last, values.end());
  return {low, values[static_cast<std::size_t>(last)]};
}

}  // namespace

double median_of_sorted(std::span<const double> sorted) {
  KVCAST_CHECK(!sorted.empty());
  return (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return median_of_sorted(values);
}

double robust_deviation(const std::vector<double>& values) {
  const double middle = median(values);
  std::vector<double> distances;
  distances.reserve(values.size());
  for (const double value : values) distances.push_back(std::abs(value - middle));
  return 1.4826 * median(std::move(distances));
}

double normal_upper_tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

double mann_whitney_p(std::span<const double> a, std::span<const double> b) {
  KVCAST_CHECK(!a.empty() && !b.empty());
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  const Ranking ranking = rank(all);
  const auto n1 = static_cast<double>(a.size());
  const auto n2 = static_cast<double>(b.size());
  const double rank_sum = std::accumulate(ranking.ranks.begin(),
                                          ranking.ranks.begin() + static_cast<std::ptrdiff_t>(a.size()), 0.0);
  const double u = rank_sum - n1 * (n1 + 1) / 2;
  const double n = n1 + n2;
  if (!(ranking.tie_term > 0) && all.size() <= kExactMannWhitney) {
    const auto smaller = static_cast<std::size_t>(std::min(u, n1 * n2 - u));
    return std::min(1.0, 2 * mann_whitney_cdf(a.size(), b.size(), smaller));
  }
  const double variance = n1 * n2 / 12 * (n + 1 - ranking.tie_term / (n * (n - 1)));
  return two_sided(std::abs(u - n1 * n2 / 2), std::sqrt(std::max(0.0, variance)));
}

double signed_rank_p(std::span<const double> differences) {
  std::vector<double> sizes;
  std::vector<bool> positive;
  for (const double difference : differences) {
    if (difference > 0 || difference < 0) {
      sizes.push_back(std::abs(difference));
      positive.push_back(difference > 0);
    }
  }
  if (sizes.empty()) return 1;
  const Ranking ranking = rank(sizes);
  double w = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) w += positive[i] ? ranking.ranks[i] : 0;
  const auto n = static_cast<double>(sizes.size());
  if (!(ranking.tie_term > 0) && sizes.size() <= kExactSignedRank) {
    const auto smaller = static_cast<std::size_t>(std::min(w, n * (n + 1) / 2 - w));
    return std::min(1.0, 2 * signed_rank_cdf(sizes.size(), smaller));
  }
  const double variance = n * (n + 1) * (2 * n + 1) / 24 - ranking.tie_term / 48;
  return two_sided(std::abs(w - n * (n + 1) / 4), std::sqrt(std::max(0.0, variance)));
}

std::vector<bool> benjamini_hochberg(const std::vector<double>& p_values, double rate) {
  std::vector<double> sorted = p_values;
  std::sort(sorted.begin(), sorted.end());
  double cut = -1;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] <= rate * static_cast<double>(i + 1) / static_cast<double>(sorted.size())) cut = sorted[i];
  }
  std::vector<bool> rejected;
  rejected.reserve(p_values.size());
  for (const double p : p_values) rejected.push_back(p <= cut);
  return rejected;
}

const std::vector<MedianBootstrap::Ranks>& MedianBootstrap::ranks(char stream, std::size_t size) {
  std::vector<Ranks>& drawn = drawn_[{stream, size}];
  if (!drawn.empty()) return drawn;
  RandomStream random(seed_, std::string("regress/bootstrap/") + stream + "/" + std::to_string(size));
  drawn.reserve(kResamples);
  std::vector<std::uint32_t> picks(size);
  for (std::size_t i = 0; i < kResamples; ++i) {
    for (std::uint32_t& pick : picks)
      pick = static_cast<std::uint32_t>(random.integer(0, static_cast<std::int64_t>(size) - 1));
    std::sort(picks.begin(), picks.end());
    drawn.push_back({picks[(size - 1) / 2], picks[size / 2]});
  }
  return drawn;
}

Interval MedianBootstrap::median(std::span<const double> sorted, double confidence) {
  KVCAST_CHECK(!sorted.empty());
  std::vector<double> medians;
  medians.reserve(kResamples);
  for (const Ranks& pair : ranks('a', sorted.size()))
    medians.push_back((sorted[pair.low] + sorted[pair.high]) / 2);
  return percentiles(medians, confidence);
}

Interval MedianBootstrap::difference(std::span<const double> a, std::span<const double> b,
                                     double confidence) {
  KVCAST_CHECK(!a.empty() && !b.empty());
  const std::vector<Ranks>& ranks_a = ranks('a', a.size());
  const std::vector<Ranks>& ranks_b = ranks('b', b.size());
  std::vector<double> medians;
  medians.reserve(kResamples);
  for (std::size_t i = 0; i < kResamples; ++i) {
    medians.push_back((b[ranks_b[i].low] + b[ranks_b[i].high]) / 2 -
                      (a[ranks_a[i].low] + a[ranks_a[i].high]) / 2);
  }
  return percentiles(medians, confidence);
}

}  // namespace kvcast
