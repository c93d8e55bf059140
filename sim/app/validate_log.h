/// kvcast validate --engine-log: a forecast of every run of an engine's own log, beside what the engine did.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/app/scenario.h"
#include "sim/base/error.h"
#include "sim/metrics/validation.h"
#include "workloads/engine_log.h"

namespace kvcast {

struct MeasuredOptions;

/// As the user gave them; the rest is MeasuredOptions'.
struct EngineLogOptions {
  std::vector<std::string> logs;
  std::string calibration;
  std::string speed_factor;  // a number, or auto; empty: 1
};

/// One log, replayed.
struct JudgedLog {
  EngineRun run;                 // measured
  double speed = 1;              // that every step time was multiplied by
  ValidatedLoad load;            // TTFT, TPOT, E2EL, throughput: measured and forecast
  std::int64_t preemptions = 0;  // forecast, as the next
  double hit_rate = 0;           // prompt tokens found in the cache at first admission / prompt tokens
  std::string timer;
  std::uint64_t seed = 0;
  std::vector<Assumption> assumptions;
  std::vector<InputHash> inputs;
  bool has_intervals = false;
  std::vector<std::string> notes;
};

/// Makes the log's scenario from its header and replays its requests with the calibration's step times. Of
/// what the engine did, the forecast sees nothing but, with the speed factor auto, its single-sequence decode
/// steps. \param speed_factor a number, auto, or empty for 1 \param settings change the scenario, as --set
/// does \throws InputError for logs that cannot be read and engines that no profile describes
[[nodiscard]] JudgedLog judge_engine_log(const std::string& path, const std::string& calibration,
                                         const std::string& speed_factor,
                                         const std::vector<Setting>& settings = {});

/// Judges every log, prints the comparison and writes the files asked for (--json, --markdown of `common`).
/// \returns gate_not_met where an error exceeds --max-error
[[nodiscard]] ExitCode validate_engine_logs(const EngineLogOptions& options, const MeasuredOptions& common);

}  // namespace kvcast
