/// Fits a StepModel to the steps of an engine's log.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/step_model.h"

namespace kvcast {

/// Fewest steps that a fit takes.
inline constexpr std::size_t kStepSamplesMin = 20;

struct StepSample {
  StepShape shape;
  double time_us = 0;
  double start_us = 0;
  std::size_t run = 0;  // of the engine; each run's machine has its own speed
};

/// Robust regression: coefficients of 0 or more that minimise the sum of |measured / forecast - 1| (iteratively
/// reweighted non-negative least squares), so that a step that was disturbed counts no more than another. The
/// spread of a machine's speed is not explained by the counts: each stretch of time of each run has a factor of
/// its own, and the model is that of the median stretch, scaled so that its forecasts add up to what was measured.
/// Standard errors and covariance are those of a jackknife over stretches of time, which neighbouring steps cannot
/// make too small. Terms that do not vary in the samples, or repeat another, are left out.
/// \param name of the fit inside its calibration
/// \throws InputError (bad_data) where there are fewer than kStepSamplesMin samples
[[nodiscard]] StepModel fit_step_model(std::span<const StepSample> samples, const std::string& name);

/// Errors of a model on steps that it has not seen: all, by kind of step (decode, mixed, prefill) and by
/// decade of time. \param speed_factor multiplies every forecast
[[nodiscard]] std::vector<StepErrors> step_errors(const StepModel& model, std::span<const StepSample> samples,
                                                  double speed_factor = 1);

/// Measured over forecast, the totals of the decode steps of one sequence; of all steps where there is none.
/// That is the machine's speed against the model's, disturbances included.
[[nodiscard]] double speed_against(const StepModel& model, std::span<const StepSample> samples);

}  // namespace kvcast
