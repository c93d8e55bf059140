/// When the steps of a pipelined engine run on its stages.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/fine_instant.h"
#include "sim/step_timer.h"

namespace kvcast {

/// Steps pass through the stages in the order in which they were planned; a stage computes one at a time, and
/// a step begins on it when its input is there and the step before has left it:
///   begin(s, k) = max(end(s - 1, k) + transfer(s - 1, k), end(s, k - 1)).
/// m equal steps through p equal stages of time t therefore take (m + p - 1) t, of which each stage idles
/// (p - 1) / (m + p - 1): the bubble (Huang et al., GPipe, 2019).
class PipelineClock {
 public:
  explicit PipelineClock(std::int64_t stages) : free_at_(static_cast<std::size_t>(stages)) {}

  struct Pass {
    FineInstant begin, end;
    FineDuration busy{};  // of one stage, on average
  };
  /// The next step, planned at `now`.
  [[nodiscard]] Pass pass(FineInstant now, const StepTimer& timer, const StepShape& shape);

 private:
  std::vector<FineInstant> free_at_;  // by stage
  std::vector<StageCost> costs_;
};

}  // namespace kvcast
