/// Every step time of another timer, multiplied: a machine that is slower or faster than the one that the
/// times come from, or the two ends of an interval.
#pragma once

#include <memory>

#include "sim/step_timer.h"

namespace kvcast {

/// Largest factor that scaled_timer() takes; the smallest is its inverse.
inline constexpr double kSpeedFactorMax = 1000;

/// Bytes and FLOP stay as they are. Pure decode steps cost what the scaled line of decode() says, so that
/// both stay equal to 2^-20 ns; where a line bends, rounding may let step() fall by 2^-20 ns for each token
/// of context. \param factor within [1/kSpeedFactorMax, kSpeedFactorMax]; 2 makes every step take twice as
/// long
[[nodiscard]] std::unique_ptr<StepTimer> scaled_timer(std::unique_ptr<StepTimer> timer, double factor);

/// The same for a timer that somebody else keeps alive.
[[nodiscard]] std::unique_ptr<StepTimer> scaled_timer(const StepTimer& timer, double factor);

}  // namespace kvcast
