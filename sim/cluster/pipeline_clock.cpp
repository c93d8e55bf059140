#include "sim/cluster/pipeline_clock.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {

PipelineClock::Pass PipelineClock::pass(FineInstant now, const StepTimer& timer, const StepShape& shape) {
  timer.stages(shape, costs_);
  KVCAST_CHECK(costs_.size() == free_at_.size());
  Pass pass;
  FineInstant ready = now;
  FineDuration busy{};
  for (std::size_t s = 0; s < costs_.size(); ++s) {
    const FineInstant begin = std::max(ready, free_at_[s]);
    if (s == 0) pass.begin = begin;
    free_at_[s] = pass.end = begin + costs_[s].time.count();
    ready = pass.end + costs_[s].transfer.count();
    busy += costs_[s].time;
  }
  pass.busy = busy / static_cast<std::int64_t>(costs_.size());
  return pass;
}

}  // namespace kvcast
