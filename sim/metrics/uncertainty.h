/// How far a forecast may be off because its step times are: the same run with slower and with faster steps.
#pragma once

#include <cstdint>
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

/// Statistics of the forecast as far as `slow` and `fast` move them away from `base`, all three runs of the
/// same requests. Where `base` is a sample of the forecast's requests its relative changes are the
/// forecast's.
[[nodiscard]] std::vector<UncertainValue> spread_of(const Metrics& forecast, const Metrics& base,
                                                    const Metrics& slow, const Metrics& fast);

}  // namespace kvcast
