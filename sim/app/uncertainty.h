/// Runs an experiment again with slower and faster steps.
#pragma once

#include "sim/app/compose.h"
#include "sim/metrics/uncertainty.h"

namespace kvcast {

/// One standard error, relative, of what a forecast's times rest on; 0: not known.
struct TimeErrors {
  double steps = 0;
  double frontend = 0;
};

/// Of an experiment whose run gave these metrics: the timer's own error at the run's average steps, together
/// with the profile's error of the model that adds them up.
[[nodiscard]] TimeErrors time_errors(const Experiment& experiment, const Metrics& metrics);

/// The factor that so many standard errors slow times down by (below 0: speed up). Of a ratio: its inverse
/// undoes it.
[[nodiscard]] double factor_of(double error, double standard_errors);

/// Runs the experiment with every time multiplied. \param requests_max takes no more than the first so many
/// requests; 0: all
[[nodiscard]] RunRecord run_scaled(const Experiment& experiment, double step_factor, double frontend_factor,
                                   std::int64_t requests_max, const RunHooks& hooks, unsigned threads);

/// What the forecast's numbers are known to. \param arrived requests of the forecast's run
[[nodiscard]] Uncertainty find_uncertainty(const Experiment& experiment, const Metrics& forecast,
                                           std::int64_t arrived, unsigned threads);

}  // namespace kvcast
