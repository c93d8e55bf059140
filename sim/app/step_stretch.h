/// A stretch of one replica's steps for the report's picture of the schedule.
#pragma once

#include <vector>

#include "sim/app/compose.h"
#include "sim/metrics/step_span.h"

namespace kvcast {

/// About 120 steps of the first replica from the middle of the run, or from as late as a short second run
/// (walked step by step up to there and cut off) reaches. \param record of the run itself; empty where it
/// took no step
[[nodiscard]] std::vector<StepSpan> find_step_stretch(const Experiment& experiment, const RunRecord& record);

}  // namespace kvcast
