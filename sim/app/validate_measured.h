/// kvcast validate --measured: the forecast of a scenario beside what a load generator measured.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measured/run_table.h"
#include "sim/app/load_forecast.h"
#include "sim/app/result_files.h"
#include "sim/base/error.h"

namespace kvcast {

/// As the user gave them.
struct MeasuredOptions {
  std::string scenario;               // empty: none given
  std::vector<std::string> measured;  // result files, or one table of runs
  std::string workloads;              // of a table of runs
  std::string max_error;              // percent; empty: no gate
  std::vector<std::string> settings;
  std::string seed;
  ResultPaths results;
  bool quiet = false;
  std::string command;  // the command line, for the HTML report
};

/// Simulates every load that was measured, prints the comparison and writes the files asked for.
/// \returns gate_not_met where an error exceeds --max-error
/// \throws InputError for wrong options, scenarios and result files
[[nodiscard]] ExitCode validate_measured(const MeasuredOptions& options);

/// How vLLM samples a model's tokens where the client asks for nothing: as the generation_config.json beside
/// its weights says (--generation-config auto). These families' files set top_p (huggingface.co); others set
/// no more than a temperature, or are not known to.
[[nodiscard]] Setting sampling_of(const std::string& model);

/// One run of a table in place of a scenario's model, GPU and load. \param changes win over the table's
/// settings
[[nodiscard]] Experiment compose_run(const std::string& scenario, const TableRun& run,
                                     std::vector<Setting> changes);

/// One statistic after the other of one part of a forecast beside its measurement; empty where the forecast
/// has none of them. The run's name is left to the caller.
[[nodiscard]] ValidatedLoad compare_load(const Experiment& experiment, const LoadForecast& forecast,
                                         std::size_t part, const MeasuredLoad& measured);

}  // namespace kvcast
