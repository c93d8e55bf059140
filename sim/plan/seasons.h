/// Traffic that repeats itself: a rate that follows a clock (the hours of a day, a job every ten minutes) is
/// no chance, and another sample of the same traffic has the same waves.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/request.h"

namespace kvcast {

/// The period after which the rate of arrivals repeats.
struct Season {
  Duration period{0};  // 0: none is to be seen
  std::vector<double>
      intensity;  // of equal parts of the period, the first arrival beginning the first; mean 1

  [[nodiscard]] bool none() const { return period.count() == 0; }
  /// Of the part that lies so long after the first arrival.
  [[nodiscard]] double intensity_at(Duration after) const;
};

/// Epoch folding: the arrivals are counted in eight equal parts of every whole cycle of a period; where the
/// rate repeats, counts of one part resemble each other more over the cycles than those of different parts do
/// (F test; the tail by Paulson's approximation). Periods from a third of the traffic down to 32 requests are
/// tried, so that the best of many must be far beyond chance: five standard deviations. A multiple of it is
/// taken where it explains more, a part of it where that explains as much. Rising order of arrival.
/// Source: Leahy et al. 1983, "On searches for pulsed emission"; Paulson 1942 (A&S 26.6.15).
[[nodiscard]] Season season_of(const std::vector<Request>& requests);

}  // namespace kvcast
