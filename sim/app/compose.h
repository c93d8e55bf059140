/// From a Scenario to something that runs: the only place that wires the folders.
#pragma once

#include <memory>
#include <optional>

#include "sim/app/scenario.h"
#include "sim/metrics/forecast.h"

namespace kvcast {

/// Ready to run: `run(cluster, workload.make_source, *timer, ...)`.
struct Experiment {
  ClusterSetup cluster;
  std::unique_ptr<StepTimer> timer;
  WorkloadSetup workload;
  std::vector<SloBound> slo;
  Forecast frame;  // everything that is known before the run
};

/// Sizes the pool, builds the timer and the cluster, and fills what the reports say of them.
/// \throws InputError (infeasible) where the deployment does not fit, saying what would
[[nodiscard]] Experiment compose(Scenario scenario);

/// The forecast of a finished run. \param record must outlive the result
[[nodiscard]] Forecast finish_forecast(const Experiment& experiment, const RunRecord& record);

}  // namespace kvcast
