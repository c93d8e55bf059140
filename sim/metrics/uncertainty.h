/// How far a forecast may be off because its step times are: the same run with slower and with faster steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/metrics/metrics.h"

namespace kvcast {

/// One number of the forecast and where it lies with the stated confidence.
struct UncertainValue {
  std::string metric;     // "ttft", ...; "request_throughput", ...
  std::string statistic;  // "mean", ...; empty for rates
  double low = 0;
  double high = 0;
};

/// What step times are known to, and what follows for the result.
struct Uncertainty {
  static constexpr double kConfidence = 0.9;
  static constexpr double kStandardErrors =
      1.6448536269514722;  // the normal distribution's 5 % and 95 % quantiles

  double step_error = 0;      // one standard error of step times, relative
  double frontend_error = 0;  // the same of the times before and after the engine
  std::int64_t requests = 0;  // simulated at each end; fewer than the forecast's where that has many
  std::vector<UncertainValue> values;
  std::string unknown;  // why there are no values; empty where there are

  [[nodiscard]] const UncertainValue* find(const std::string& metric, const std::string& statistic) const;
};

/// Runs of the same requests with other times.
struct SpeedRuns {
  Metrics base;        // the forecast's times
  Metrics slow, fast;  // steps at the ends of their interval
  /// The time between client and engine at its slow end, which multiplies it by `late_factor`; it only adds
  /// to latencies, so that its fast end, a division by that, saves in proportion. Absent where its error is
  /// not known.
  std::optional<Metrics> late;
  double late_factor = 1;
};

/// Statistics of the forecast as far as the other runs move them away from their base. The errors of steps
/// and frontend are independent, so that their distances add as squares. Where `base` is a sample of the
/// forecast's requests its relative changes are the forecast's.
[[nodiscard]] std::vector<UncertainValue> spread_of(const Metrics& forecast, const SpeedRuns& runs);

}  // namespace kvcast
