/// How many replicas a cluster should have: Kubernetes' horizontal pod autoscaler, and one that looks ahead.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "sim/base/units.h"

namespace kvcast {

/// What replicas are counted by.
enum class ScaleMetric {
  queue,        // requests that wait, at the router or in an engine, a replica
  concurrency,  // requests that wait or run, a replica
  kv_usage,     // share of the KV pool in use
  ttft,         // mean TTFT of the requests whose first token came since the last look, in milliseconds
  rate,         // arrivals per second and replica, as forecast
};

struct AutoscalerSetup {
  ScaleMetric metric = ScaleMetric::queue;
  double target = 1;  // of the metric
  std::int64_t replicas_min = 1;
  std::int64_t replicas_max = 1;
  Duration interval{15'000'000'000};      // between looks
  double tolerance = 0.1;                 // of the ratio to the target, within which nothing changes
  Duration up_window{};                   // the least that was recommended in it counts for growing,
  Duration down_window{300'000'000'000};  // the most for shrinking
  // Of `rate`: a line through the counts of the last looks, read so far ahead.
  Duration rate_window{60'000'000'000};
  Duration horizon{};
};

/// What a look at the cluster sees.
struct ScaleSample {
  std::int64_t ready = 0;    // replicas that take requests
  std::int64_t current = 0;  // and those that load or are being repaired
  std::int64_t waiting = 0;
  std::int64_t inside = 0;        // waiting or running
  double kv_usage_sum = 0;        // over ready replicas
  std::int64_t first_tokens = 0;  // so far
  Int128 ttft_sum_ns = 0;         // of these
  std::int64_t arrived = 0;       // so far
};

/// Contract: pure in the samples it was shown; looks come every `interval`. Source: Kubernetes,
/// pkg/controller/podautoscaler: replica_calculator.go (ratio, tolerance, replicas that are not ready count
/// as idle when growing) and horizontal.go (stabilisation windows).
class Autoscaler {
 public:
  explicit Autoscaler(const AutoscalerSetup& setup);

  /// \returns how many replicas there should be from now on
  [[nodiscard]] std::int64_t look(Instant now, const ScaleSample& sample);
  [[nodiscard]] const AutoscalerSetup& setup() const { return setup_; }

 private:
  struct Recommendation {
    Instant at;
    std::int64_t replicas;
  };

  [[nodiscard]] std::int64_t recommend(const ScaleSample& sample);
  [[nodiscard]] std::int64_t by_ratio(const ScaleSample& sample, double sum) const;
  [[nodiscard]] double forecast_rate();
  [[nodiscard]] std::int64_t stabilised(Instant now, std::int64_t current, std::int64_t wanted);

  AutoscalerSetup setup_;
  std::deque<Recommendation> past_;
  std::deque<std::int64_t> arrivals_;  // in each of the last intervals
  ScaleSample last_;
};

}  // namespace kvcast
