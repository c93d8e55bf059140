/// What reports say of replicas that come and go.
#pragma once

#include <string>
#include <vector>

#include "sim/metrics/forecast.h"

namespace kvcast {

struct ElasticityLine {
  std::string name;
  std::string value;
  std::string remark;
};
/// Empty where all replicas are always there.
[[nodiscard]] std::vector<ElasticityLine> elasticity_lines(const Forecast& forecast);

/// "fails", "ready", ...
[[nodiscard]] const char* name_of(FleetEventKind kind);

/// Replicas over time, from the first arrival to the last token, in seconds from it.
struct FleetStep {
  double at_s = 0;
  std::int64_t ready = 0;
  std::int64_t held = 0;
};
[[nodiscard]] std::vector<FleetStep> fleet_steps(const Forecast& forecast);

}  // namespace kvcast
