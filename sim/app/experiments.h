/// What `compare` and `plan` share: options of commands that run many experiments, and running one of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/app/command_parser.h"
#include "sim/app/compose.h"
#include "sim/app/options.h"
#include "sim/app/outputs.h"
#include "sim/plan/request_outcomes.h"

namespace kvcast {

/// Options as the user gave them.
struct ReportOptions {
  std::vector<std::string> settings;
  std::string seed, threads;
  std::string progress = "auto";
  std::string json, report, csv, markdown;
  bool quiet = false;
  std::string command;
};

/// Declares --set, --seed, --threads, --json, --report, --csv, --markdown, --progress and --quiet.
void add_report_options(CommandParser app, ReportOptions& options);

/// --set and --seed as settings. \throws InputError for values that are none
[[nodiscard]] std::vector<Setting> settings_of(const ReportOptions& options);
/// --threads: empty means all cores. \throws InputError unless it is 1 to 1024
[[nodiscard]] unsigned parse_threads(const std::string& text);
[[nodiscard]] unsigned threads_of(const ReportOptions& options);

/// The result files that were asked for, opened before the work so that a wrong path fails at once.
class ReportFiles {
 public:
  /// \throws InputError where a file cannot be created, or two go to standard output
  explicit ReportFiles(const ReportOptions& options);

  std::unique_ptr<OutputFile> json, report, csv, markdown;
  bool table = true;  // to standard output: not quiet, and nothing else goes there
};
/// Writes and commits where the file was asked for.
void write_report(OutputFile* file, const std::string& text);

/// A finished run with what each request saw of it.
struct RanExperiment {
  Forecast forecast;  // record is null
  std::vector<RequestOutcome> outcomes;
};

/// Runs an experiment on one thread. \throws InputError (bad data) where the workload holds no request
[[nodiscard]] RanExperiment run_experiment(Experiment& experiment);

}  // namespace kvcast
