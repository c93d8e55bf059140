/// From a question (traffic, SLO, choices) to the answer of `kvcast plan`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/app/plan_space.h"
#include "sim/app/scenario.h"
#include "sim/plan/plan_result.h"

namespace kvcast {

struct PlanQuestion {
  std::string scenario;  // file or built-in name
  std::vector<Setting> settings;
  PlanSpace space;
  bool exhaustive = false;  // simulate every point on the whole traffic instead of searching
  double relative_error =
      0;  // of the winner's terms, to be reached by more samples of the traffic; 0: not asked for
  unsigned threads = 1;
  /// File that keeps finished runs, so that a plan that was killed goes on where it was; empty: none.
  std::string journal;
  /// Requests simulated so far, and about how many it will be; from one thread at a time.
  std::function<void(double done, double expected)> progress;
};

/// \throws InputError for a scenario that cannot be planned for; (infeasible) where no design fits into
/// memory
[[nodiscard]] PlanResult make_plan(const PlanQuestion& question);

}  // namespace kvcast
