/// The step timer of a scenario.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sim/app/scenario.h"
#include "sim/metrics/forecast.h"

namespace kvcast {

struct ComposedTimer {
  std::unique_ptr<StepTimer> timer;
  /// What the timer has to say after a run; empty: nothing. Lives no longer than the timer.
  std::function<std::string()> note;
};

/// Builds the timer and says in the frame where step times come from.
[[nodiscard]] ComposedTimer compose_timer(const Scenario& scenario, Forecast& frame);

}  // namespace kvcast
