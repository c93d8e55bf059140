/// The part of a run's scrapes that reports show: from the first arrival to the last token.
#pragma once

#include <cstddef>
#include <vector>

#include "sim/metrics/forecast.h"

namespace kvcast {

struct TimelineView {
  double first_s = 0;  // time of points[0], from the first arrival
  double spacing_s = 0;
  double blocks = 0;  // of all replicas; 0: no pool
  std::vector<TimelinePoint> points;
};

/// \param points_max more scrapes are thinned to every second, third, ... of them
/// Contract: forecast.record is there.
[[nodiscard]] TimelineView timeline_of(const Forecast& forecast, std::size_t points_max);

}  // namespace kvcast
