#include "sim/cluster/autoscaler.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kNsPerSecond = 1e9;
constexpr double kNsPerMs = 1e6;

std::int64_t round_up(double replicas) {
  constexpr double kMost = 1 << 20;
  return static_cast<std::int64_t>(std::ceil(std::min(replicas, kMost)));
}

}  // namespace

Autoscaler::Autoscaler(const AutoscalerSetup& setup) : setup_(setup) {
  KVCAST_CHECK(setup.target > 0 && setup.interval > Duration{});
  KVCAST_CHECK(setup.replicas_min >= 1 && setup.replicas_max >= setup.replicas_min);
}

std::int64_t Autoscaler::look(Instant now, const ScaleSample& sample) {
  const std::int64_t wanted = std::clamp(recommend(sample), setup_.replicas_min, setup_.replicas_max);
  last_ = sample;
  return std::clamp(stabilised(now, sample.current, wanted), setup_.replicas_min, setup_.replicas_max);
}

std::int64_t Autoscaler::recommend(const ScaleSample& sample) {
  switch (setup_.metric) {
    case ScaleMetric::queue:
      return by_ratio(sample, static_cast<double>(sample.waiting));
    case ScaleMetric::concurrency:
      return by_ratio(sample, static_cast<double>(sample.inside));
    case ScaleMetric::kv_usage:
      return by_ratio(sample, sample.kv_usage_sum);
    case ScaleMetric::ttft: {
      const std::int64_t tokens = sample.first_tokens - last_.first_tokens;
      if (tokens == 0) return sample.current;  // nothing was measured
      const double mean_ms = static_cast<double>(sample.ttft_sum_ns - last_.ttft_sum_ns) / kNsPerMs /
                             static_cast<double>(tokens);
      return by_ratio(sample, mean_ms * static_cast<double>(sample.ready));
    }
    case ScaleMetric::rate:
      arrivals_.push_back(sample.arrived - last_.arrived);
      return round_up(forecast_rate() / setup_.target);
  }
  KVCAST_CHECK(false);
}

/// \param sum of the metric over the ready replicas
std::int64_t Autoscaler::by_ratio(const ScaleSample& sample, double sum) const {
  if (sample.ready == 0) return sample.current;  // nobody to ask
  const double ratio = sum / setup_.target / static_cast<double>(sample.ready);
  const auto within = [&](double one) { return std::abs(one - 1) <= setup_.tolerance; };
  if (sample.current == sample.ready || ratio <= 1) {
    if (within(ratio)) return sample.current;
    return round_up(sum / setup_.target);
  }
  const double diluted = sum / setup_.target / static_cast<double>(sample.current);
  if (within(diluted) || diluted < 1) return sample.current;
  return std::max(sample.current, round_up(sum / setup_.target));
}

/// Arrivals per second, `horizon` from now: the least-squares line through the rates of the last intervals,
/// each taken for its middle.
double Autoscaler::forecast_rate() {
  const auto kept = std::max<std::int64_t>(1, setup_.rate_window / setup_.interval);
  while (static_cast<std::int64_t>(arrivals_.size()) > kept) arrivals_.pop_front();
  const double interval_s = static_cast<double>(setup_.interval.count()) / kNsPerSecond;
  const auto n = static_cast<double>(arrivals_.size());
  double mean = 0;
  for (const std::int64_t count : arrivals_) mean += static_cast<double>(count);
  mean /= n;
  double covariance = 0, variance = 0;
  double x = -(n - 1) / 2;  // in intervals, from the middle of the window
  for (const std::int64_t count : arrivals_) {
    covariance += x * (static_cast<double>(count) - mean);
    variance += x * x;
    x += 1;
  }
  const double slope = variance > 0 ? covariance / variance : 0;
  const double horizon_s = static_cast<double>(setup_.horizon.count()) / kNsPerSecond;
  const double ahead = n / 2 + horizon_s / interval_s;  // of the window's middle
  const double rate = arrivals_.size() > 1 ? mean + slope * ahead : mean;
  return std::max(0.0, rate) / interval_s;
}

/// As horizontal.go: at most what all of the up window asked for, at least what any of the down window did.
std::int64_t Autoscaler::stabilised(Instant now, std::int64_t current, std::int64_t wanted) {
  past_.push_back({now, wanted});
  const Duration longest = std::max(setup_.up_window, setup_.down_window);
  while (past_.size() > 1 && past_.front().at + longest <= now) past_.pop_front();
  std::int64_t up = wanted, down = wanted;
  for (const Recommendation& one : past_) {
    if (one.at + setup_.up_window > now) up = std::min(up, one.replicas);
    if (one.at + setup_.down_window > now) down = std::max(down, one.replicas);
  }
  return std::clamp(current, up, down);
}

}  // namespace kvcast
