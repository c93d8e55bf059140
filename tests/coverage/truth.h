/// What is true of a load, by simulating many samples of it, independent of those that are judged.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/app/uncertainty.h"
#include "tests/coverage/loads.h"

namespace kvcast::coverage {

/// At one speed of the engine.
struct Truth {
  double step_errors = 0;      // standard errors that step times are slower by
  double frontend_errors = 0;  // the same of the time between client and engine, independent of the steps'
  std::vector<double> means;   // of figures(), over the samples
  std::vector<double> other_means;  // of the cell `other`, on the same samples; empty where nobody asked
  std::vector<double> strains;      // rising, against `limits`

  /// The share of samples that meet limits so many times as high.
  [[nodiscard]] double met(double limits_factor) const;
};

struct Truths {
  Limits limits;              // the means of p99 TTFT and p99 TPOT at the forecast speed
  std::vector<Truth> speeds;  // one where nothing is known of the step times' error, else kSpeeds
  double log_middle = 0;      // of all strains
  double log_deviation = 0;
};

inline constexpr std::size_t kSpeeds = 20;  // equally likely ones

/// A run at such a speed, where the forecast's times are known to these errors.
[[nodiscard]] Variant at_speed(const Truth& truth, const TimeErrors& errors);

/// \param samples of the traffic, of the same length as those that are judged, for each speed
[[nodiscard]] Truths find_truths(const Load& load, std::size_t samples, bool with_other, unsigned threads);

}  // namespace kvcast::coverage
