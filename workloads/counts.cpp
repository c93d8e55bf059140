#include "workloads/counts.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::int64_t kSmallMax = std::int64_t{1} << 20;
constexpr int kSubBits = 10;

double spread(Int128 sum, Int128 sum_of_squares, std::int64_t count) {
  // n * sum of squares - sum^2 is exact in integers below 2^126; what is left is one division.
  const double n = static_cast<double>(count);
  const double variance =
      (static_cast<double>(sum_of_squares) - static_cast<double>(sum) * (static_cast<double>(sum) / n)) / n;
  return std::sqrt(std::max(variance, 0.0));
}

std::size_t bucket_of(std::int64_t value) {
  const auto unsigned_value = static_cast<std::uint64_t>(value);
  const int shift = std::max(static_cast<int>(std::bit_width(unsigned_value)) - kSubBits - 1, 0);
  return (static_cast<std::size_t>(shift) << kSubBits) + static_cast<std::size_t>(unsigned_value >> shift);
}

/// The smallest value beyond a bucket.
double bucket_end(std::size_t bucket) {
  const std::size_t shift = bucket < (std::size_t{2} << kSubBits) ? 0 : (bucket >> kSubBits) - 1;
  const std::size_t mantissa = bucket - (shift << kSubBits);
  return std::ldexp(static_cast<double>(mantissa + 1), static_cast<int>(shift));
}

}  // namespace

void TokenCounts::add(std::int64_t tokens) {
  KVCAST_CHECK(tokens >= 0);
  if (tokens < kSmallMax) {
    const auto index = static_cast<std::size_t>(tokens);
    if (index >= small_.size())
      small_.resize(std::min(std::bit_ceil(index + 1), static_cast<std::size_t>(kSmallMax)));
    ++small_[index];
  } else {
    ++large_[tokens];
  }
  min_ = count_ == 0 ? tokens : std::min(min_, tokens);
  max_ = std::max(max_, tokens);
  ++count_;
  sum_ += tokens;
  sum_of_squares_ += static_cast<Int128>(tokens) * tokens;
}

double TokenCounts::mean() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

double TokenCounts::std() const { return count_ == 0 ? 0 : spread(sum_, sum_of_squares_, count_); }

void TokenCounts::each(const std::function<void(std::int64_t value, std::int64_t times)>& visit) const {
  for (std::size_t i = 0; i < small_.size(); ++i) {
    if (small_[i] > 0) visit(static_cast<std::int64_t>(i), small_[i]);
  }
  for (const auto& [value, times] : large_) visit(value, times);
}

std::vector<double> TokenCounts::quantiles(std::size_t points) const {
  KVCAST_CHECK(count_ > 0);
  KVCAST_CHECK(points >= 2);
  std::vector<double> result;
  double previous = 0;      // the value before the current one
  std::int64_t before = 0;  // how many values the walk has passed
  const double last_rank = static_cast<double>(count_ - 1);
  each([&](std::int64_t value, std::int64_t times) {
    // Ranks up to the last of these equal values interpolate between the value before and this one.
    while (result.size() < points) {
      const double rank = last_rank * (static_cast<double>(result.size()) / static_cast<double>(points - 1));
      if (rank > static_cast<double>(before + times - 1)) break;
      const double into = rank - static_cast<double>(before - 1);  // 1 or more: among the equal values
      const double current = static_cast<double>(value);
      result.push_back(into >= 1 || before == 0 ? current : previous + (current - previous) * into);
    }
    before += times;
    previous = static_cast<double>(value);
  });
  KVCAST_CHECK(result.size() == points);
  return result;
}

double TokenCounts::quantile(double q) const {
  KVCAST_CHECK(count_ > 0);
  const double rank = q * static_cast<double>(count_ - 1);
  const auto lower = static_cast<std::int64_t>(rank);
  double low = 0;
  double high = 0;
  std::int64_t before = 0;
  each([&](std::int64_t value, std::int64_t times) {
    const auto holds = [&](std::int64_t r) { return r >= before && r < before + times; };
    if (holds(lower)) low = static_cast<double>(value);
    if (holds(std::min(lower + 1, count_ - 1))) high = static_cast<double>(value);
    before += times;
  });
  return low + (high - low) * (rank - static_cast<double>(lower));
}

std::int64_t TokenCounts::below(std::int64_t value) const {
  std::int64_t total = 0;
  each([&](std::int64_t v, std::int64_t times) { total += v < value ? times : 0; });
  return total;
}

void GapCounts::add(std::int64_t gap_ns) {
  KVCAST_CHECK(gap_ns >= 0);
  const std::size_t bucket = bucket_of(gap_ns);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  sum_ += gap_ns;
  sum_of_squares_ += static_cast<Int128>(gap_ns) * gap_ns;
}

double GapCounts::mean_ns() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

double GapCounts::cv() const {
  const double mean = mean_ns();
  return mean > 0 ? spread(sum_, sum_of_squares_, count_) / mean : 0;
}

double GapCounts::distance(const std::function<double(double gap_ns)>& cdf) const {
  double largest = 0;
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    if (buckets_[i] == 0) continue;
    const double begin = i == 0 ? 0 : bucket_end(i - 1);
    const double n = static_cast<double>(count_);
    largest = std::max(largest, std::fabs(cdf(begin) - static_cast<double>(seen) / n));
    seen += buckets_[i];
    largest = std::max(largest, std::fabs(cdf(bucket_end(i)) - static_cast<double>(seen) / n));
  }
  return largest;
}

}  // namespace kvcast
