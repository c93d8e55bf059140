/// From a Scenario to something that runs: the only place that wires the folders.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/app/scenario.h"
#include "sim/metrics/forecast.h"

namespace kvcast {

/// Ready to run: `run(cluster, workload.make_source, *timer, ...)`.
struct Experiment {
  ClusterSetup cluster;
  std::unique_ptr<StepTimer> timer;
  std::function<std::string()> timer_note;  // what the timer says after a run; may be empty
  WorkloadSetup workload;                   // as the engine sees it, frontend included
  SourceMaker clients;                      // the workload before the frontend
  FrontendDelays frontend;
  double model_error =
      0;  // relative standard error of the sum of kernels that the timer is, beside the kernels' own
  double frontend_error = 0;  // relative standard error of the frontend's times
  std::optional<SpeculationPlan> speculation;
  std::int64_t max_num_seqs = 0;  // of the engine; only with speculation
  std::vector<SloBound> slo;
  std::string resolved_pools;            // every setting of the pools in force, where there are several
  std::optional<SglangSettings> sglang;  // what cluster.engine.make runs, where it is SGLang's engine
  Forecast frame;                        // everything that is known before the run
};

/// Every file that decides what the scenario forecasts, itself included, in order of path.
[[nodiscard]] std::vector<InputHash> input_files(const Scenario& scenario);

/// Sizes the pool, builds the timer and the cluster, and fills what the reports say of them.
/// \throws InputError (infeasible) where the deployment does not fit, saying what would
[[nodiscard]] Experiment compose(Scenario scenario);

/// The forecast of a finished run. \param record must outlive the result
[[nodiscard]] Forecast finish_forecast(const Experiment& experiment, const RunRecord& record);

}  // namespace kvcast
