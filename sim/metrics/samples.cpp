#include "sim/metrics/samples.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::size_t kSubBuckets = std::size_t{1} << Histogram::kSubBits;

/// Shift of the values in a bucket; the bucket holds 2^shift values.
int shift_of(std::size_t bucket) {
  return bucket < 2 * kSubBuckets ? 0 : static_cast<int>(bucket / kSubBuckets) - 1;
}

/// One more than the largest bucket of a 63-bit value.
constexpr std::size_t kBucketsMax = (63 - Histogram::kSubBits + 1) * kSubBuckets;

/// numpy's own interpolation (numpy.lib.function_base._lerp), which is exact at both ends.
double lerp(double a, double b, double t) { return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t); }

/// numpy's "virtual index" of a percentile under method="linear".
double rank_of(double percent, std::int64_t count) {
  KVCAST_CHECK(percent >= 0 && percent <= 100);
  return static_cast<double>(count - 1) * (percent / 100);
}

}  // namespace

std::int64_t Histogram::bucket_begin(std::size_t bucket) {
  const int shift = shift_of(bucket);
  const std::size_t mantissa = bucket - static_cast<std::size_t>(shift) * kSubBuckets;
  return static_cast<std::int64_t>(mantissa) << shift;
}

double Histogram::bucket_middle(std::size_t bucket) {
  const std::int64_t width = std::int64_t{1} << shift_of(bucket);
  return static_cast<double>(bucket_begin(bucket)) + 0.5 * static_cast<double>(width - 1);
}

/// A negative value lands above every legal bucket, so the check here covers every add() at no cost to it.
void Histogram::make_room(std::size_t bucket) {
  KVCAST_CHECK(bucket < kBucketsMax);
  counts_.resize((bucket / kSubBuckets + 1) * kSubBuckets);
}

/// Walks the buckets from the first value to the last. `Fine` is 64 bits wide where the whole run fits, else
/// 128: only the latter pays for wide divisions.
template <class Fine>
void Histogram::add_buckets(Fine first, Fine slope, std::int64_t steps, std::int64_t weight) {
  Fine value = first;
  std::int64_t left = steps;
  while (left > 0) {
    const std::size_t bucket = bucket_of(static_cast<std::int64_t>(value >> kFineBits));
    const int shift = shift_of(bucket) + kFineBits;
    const Fine room = (((value >> shift) + 1) << shift) - value;  // to the first value beyond the bucket
    std::int64_t here = 1;
    if (slope < room) {
      // ceil(room / slope) values lie below the bucket's end; slope 0 leaves all of them there.
      const Fine fit = slope == 0 ? static_cast<Fine>(left) : (room - 1) / slope + 1;
      here = fit < static_cast<Fine>(left) ? static_cast<std::int64_t>(fit) : left;
    }
    counts_[bucket] += here * weight;
    value += static_cast<Fine>(here) * slope;
    left -= here;
  }
}

void Histogram::add_run(std::int64_t first_fine, std::int64_t slope_fine, std::int64_t steps,
                        std::int64_t weight) {
  KVCAST_CHECK(first_fine >= 0 && slope_fine >= 0 && steps >= 0);
  if (steps == 0) return;
  total_ += steps * weight;
  std::int64_t growth = 0;
  std::int64_t last_fine = 0;
  if (!__builtin_mul_overflow(slope_fine, steps - 1, &growth) &&
      !__builtin_add_overflow(first_fine, growth, &last_fine)) {
    const std::size_t last = bucket_of(last_fine >> kFineBits);
    if (last >= counts_.size()) make_room(last);
    if (last == bucket_of(first_fine >> kFineBits)) {  // most runs are short against a bucket
      counts_[last] += steps * weight;
      return;
    }
    add_buckets(static_cast<std::uint64_t>(first_fine), static_cast<std::uint64_t>(slope_fine), steps,
                weight);
    return;
  }
  const Int128 last_wide = static_cast<Int128>(slope_fine) * (steps - 1) + first_fine;
  const Int128 last_ns = last_wide >> kFineBits;
  KVCAST_CHECK(last_ns <= std::numeric_limits<std::int64_t>::max());
  const std::size_t last = bucket_of(static_cast<std::int64_t>(last_ns));
  if (last >= counts_.size()) make_room(last);
  add_buckets<Int128>(first_fine, slope_fine, steps, weight);
}

void Histogram::merge(const Histogram& other) {
  if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
  for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
}

std::vector<double> Histogram::values_at_ranks(const std::vector<double>& ranks) const {
  KVCAST_CHECK(std::is_sorted(ranks.begin(), ranks.end()));
  std::vector<double> values;
  values.reserve(ranks.size());
  std::size_t bucket = 0;
  std::int64_t below = 0;  // samples in buckets before `bucket`
  for (const double rank : ranks) {
    KVCAST_CHECK(rank >= 0 && rank <= static_cast<double>(total_ - 1));
    const auto low = static_cast<std::int64_t>(rank);
    while (below + counts_[bucket] <= low) below += counts_[bucket++];
    const double value = bucket_middle(bucket);
    const double fraction = rank - static_cast<double>(low);
    if (fraction == 0 || below + counts_[bucket] > low + 1) {
      values.push_back(value);
      continue;
    }
    std::size_t next = bucket + 1;
    while (counts_[next] == 0) ++next;  // there is one: rank < total - 1
    values.push_back(lerp(value, bucket_middle(next), fraction));
  }
  return values;
}

double Histogram::value_at_rank(double rank) const { return values_at_ranks({rank}).front(); }

double Histogram::std_ns() const {
  if (total_ == 0) return 0;
  const auto n = static_cast<double>(total_);
  double sum = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] != 0) sum += static_cast<double>(counts_[i]) * bucket_middle(i);
  }
  const double mean = sum / n;
  double squares = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const double distance = bucket_middle(i) - mean;
    squares += static_cast<double>(counts_[i]) * distance * distance;
  }
  return std::sqrt(squares / n);
}

void Samples::add_exact(std::int64_t ns) {
  KVCAST_CHECK(ns >= 0);
  values_.push_back(ns);
  if (values_.size() > kExactMax) fold();
}

void Samples::fold() {
  for (const std::int64_t ns : values_) histogram_.add(ns);
  values_ = {};
  exact_ = false;
}

/// Exact or not depends on the total count only, so every grouping of merges ends in the same state.
void Samples::merge(const Samples& other) {
  count_ += other.count_;
  sum_ += other.sum_;
  sum_of_squares_ += other.sum_of_squares_;
  if (exact_ && (!other.exact_ || values_.size() + other.values_.size() > kExactMax)) fold();
  if (exact_) {
    values_.insert(values_.end(), other.values_.begin(), other.values_.end());
  } else if (other.exact_) {
    for (const std::int64_t ns : other.values_) histogram_.add(ns);
  } else {
    histogram_.merge(other.histogram_);
  }
}

double Samples::mean_ns() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

/// sum x^2 - (sum x)^2 / n in integers: no cancellation, and (sum x)^2 itself, which could overflow, is never
/// formed.
double Samples::std_ns() const {
  if (count_ == 0) return 0;
  const Int128 quotient = sum_ / count_;
  const Int128 remainder = sum_ % count_;
  const Int128 deviation = sum_of_squares_ - sum_ * quotient;
  const Int128 correction = sum_ * remainder;  // over n
  const Int128 whole = deviation - correction / count_;
  const double part = static_cast<double>(correction % count_) / static_cast<double>(count_);
  return std::sqrt(std::max(0.0, static_cast<double>(whole) - part) / static_cast<double>(count_));
}

double Samples::percentile_ns(double percent) const { return percentiles_ns({percent}).front(); }

std::vector<double> Samples::percentiles_ns(const std::vector<double>& percents) const {
  KVCAST_CHECK(std::is_sorted(percents.begin(), percents.end()));
  if (count_ == 0) return std::vector<double>(percents.size(), 0.0);
  std::vector<double> ranks;
  ranks.reserve(percents.size());
  for (const double percent : percents) ranks.push_back(rank_of(percent, count_));
  if (!exact_) return histogram_.values_at_ranks(ranks);

  std::vector<std::int64_t> values = values_;
  std::sort(values.begin(), values.end());
  std::vector<double> result;
  for (const double rank : ranks) {
    const auto low = values.begin() + static_cast<std::ptrdiff_t>(rank);
    const double fraction = rank - std::floor(rank);
    const auto next = fraction == 0 ? low : low + 1;
    result.push_back(lerp(static_cast<double>(*low), static_cast<double>(*next), fraction));
  }
  return result;
}

std::vector<CdfPoint> Samples::cdf(std::size_t points) const {
  KVCAST_CHECK(points >= 1);
  if (count_ == 0) return {};
  std::vector<double> percents;
  for (std::size_t i = 0; i <= points; ++i) {
    percents.push_back(100 * static_cast<double>(i) / static_cast<double>(points));
  }
  const std::vector<double> values = percentiles_ns(percents);
  std::vector<CdfPoint> result;
  for (std::size_t i = 0; i <= points; ++i) result.push_back({values[i], percents[i] / 100});
  return result;
}

}  // namespace kvcast
