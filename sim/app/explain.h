/// What `kvcast explain` does beside its command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/app/compose.h"
#include "sim/metrics/breakdown.h"
#include "sim/metrics/explanation.h"
#include "sim/metrics/step_trace.h"

namespace kvcast {

/// Cuts the experiment's workload. \param requests_max 0: not at all
void limit_requests(Experiment& experiment, std::int64_t requests_max);

/// The experiment must outlive the result.
[[nodiscard]] TimerOf timer_of(const Experiment& experiment);

/// An experiment that was walked step by step, with every request's time.
struct ExplainedRun {
  RunRecord record;
  std::vector<RequestTime> requests;
  DeviceTime device;
};

/// \param trace watches too; may be null
/// \throws InputError (bad data) where the workload holds no request
[[nodiscard]] ExplainedRun run_explained(const Experiment& experiment, StepTrace* trace,
                                         const std::function<void(std::int64_t)>& progress);

/// One GPU's memory, line by line: the budget with the KV cache's part divided by what it held on average
/// over the run. Empty where the memory is not known (a pool that was set outright).
[[nodiscard]] std::vector<HbmLine> hbm_lines(const Forecast& forecast);

/// What the run itself, or a change of it, came to. \param base null: it is the base
[[nodiscard]] WhatIf measured(const Forecast& forecast, const WhatIf* base);

/// Single changes that a deployment like this one could make.
[[nodiscard]] std::vector<WhatIf> candidate_changes(const Scenario& scenario, Config& root);

/// Simulates each on the same requests and sorts them: the best first, those that were refused last.
/// \param settings of the run itself
void try_changes(const std::string& path, const std::vector<Setting>& settings, std::int64_t requests_max,
                 unsigned threads, const WhatIf& base, std::vector<WhatIf>& changes);

}  // namespace kvcast
