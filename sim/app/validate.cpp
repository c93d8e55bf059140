// kvcast validate: is what kvcast decides what the engine decided, and what it forecasts what was measured?
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "reports/decisions_report.h"
#include "sim/app/commands.h"
#include "sim/app/result_files.h"
#include "sim/app/validate_log.h"
#include "sim/app/validate_measured.h"
#include "sim/app/vllm_decisions.h"
#include "sim/base/hash.h"
#include "sim/sglang/replay_log.h"
#include "workloads/lines.h"

namespace kvcast {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  LineReader reader(file_on_disk(path));
  while (reader.next()) lines.emplace_back(reader.text());
  return lines;
}

ReplayedLog replay_sglang(const std::vector<std::string>& lines, const std::string& path) {
  ReplayedLog log;
  for (const StepPath way : {StepPath::step_by_step, StepPath::closed_form}) {
    const DecisionReplay replay = replay_sglang_log(lines, path, way);
    log.name = replay.log_case;
    log.engine = "SGLang " + replay.version;
    log.steps = replay.steps;
    log.steps_grouped = replay.steps_in_runs;
    if (!replay.difference) continue;
    const auto& d = *replay.difference;
    log.difference =
        ReplayDifference{fmt::format("line {}{}{}", d.line, d.field.empty() ? "" : ", ", d.field), d.expected,
                         d.made, d.context};
    if (way == StepPath::closed_form) log.difference->where += " (closed form)";
    break;
  }
  return log;
}

ReplayedLog replay_vllm(const std::string& path) {
  const LogCheck check = check_vllm_log(path);
  ReplayedLog log;
  log.name = check.name;
  log.engine = check.engine;
  log.steps = check.steps;
  log.steps_grouped = check.steps_grouped;
  log.note = check.note;
  if (check.difference)
    log.difference = ReplayDifference{check.difference->where, check.difference->expected,
                                      check.difference->made, check.difference->context};
  return log;
}

/// The header names its engine: vLLM's logs have a "type", SGLang's a "k".
ReplayedLog replay_log(const std::string& path) {
  const std::vector<std::string> lines = lines_of(path);
  if (lines.empty())
    throw InputError(path + ":1:1: the file is empty; a decision log begins with a header",
                     ExitCode::bad_data);
  const bool sglang = lines.front().find("\"sglang_version\"") != std::string::npos ||
                      lines.front().find("\"k\"") != std::string::npos;
  ReplayedLog log = sglang ? replay_sglang(lines, path) : replay_vllm(path);
  log.path = path;
  return log;
}

/// Prints each log as it comes: a folder of them takes a while.
ExitCode replay(const std::vector<std::string>& logs, const MeasuredOptions& common) {
  ResultFiles files(common.results);
  const bool show = !common.quiet && !files.to_stdout();
  DecisionsReport report;
  report.version = KVCAST_VERSION;
  report.command = common.command;
  for (const std::string& path : logs) {
    report.logs.push_back(replay_log(path));
    report.inputs.push_back({path, file_hash(path)});
    if (show) std::fputs(to_text(report.logs.back()).c_str(), stdout);
  }
  files.write(report);
  if (show) fmt::print("{}\n", verdict_of(report));
  return report.equal() == logs.size() ? ExitCode::fine : ExitCode::gate_not_met;
}

void declare_engine_log(CommandParser app, EngineLogOptions& options) {
  app.add_option(
         "--engine-log", options.logs,
         "Logs of a real engine with header, requests and steps: each is replayed with its own settings")
      .type_name("LOG...")
      .expected(1, -1);
  app.add_option("--calibration", options.calibration,
                 "With --engine-log: the step times, as made by kvcast calibrate steps")
      .type_name("FILE");
  app.add_option("--speed-factor", options.speed_factor,
                 "Multiplies every step time (default: 1); with --engine-log also auto: the log's "
                 "single-sequence decode "
                 "steps over the calibration's")
      .type_name("X|auto");
}

void declare_measured(CommandParser app, MeasuredOptions& options) {
  app.add_option("scenario", options.scenario, "Scenario to forecast, a file or a built-in one")
      .type_name("SCENARIO");
  app.add_option(
         "--measured", options.measured,
         "Result files of vllm bench serve, SGLang bench_serving, GuideLLM, AIPerf, inference-perf or kvcast "
         "--requests, or a table of runs")
      .type_name("FILE...")
      .expected(1, -1);
  app.add_option("--workloads", options.workloads, "JSON list of the loads of a table of runs")
      .type_name("FILE");
  app.add_option("--max-error", options.max_error, "Exit with 1 where an error is larger, in percent")
      .type_name("PCT");
  app.add_option("--set", options.settings, "Change a value of the scenario, as path=value (repeatable)")
      .type_name("A.B=C")
      .expected(1)
      .take_all();
  app.add_option("--seed", options.seed, "Seed of all randomness (default: the scenario's, else 1)")
      .type_name("N");
  declare_results(app, options.results, "the comparison", "a row for each number, or each decision log");
  app.add_flag("--quiet", options.quiet, "No table: only the files asked for and the exit code");
}

}  // namespace

Command add_validate(CommandParser root, const std::string& command) {
  const CommandParser app = root.add_subcommand(
      "validate",
      "Compare with a real engine: its decisions step by step, or its measured latencies and throughput");
  auto logs = std::make_shared<std::vector<std::string>>();
  auto measured = std::make_shared<MeasuredOptions>();
  measured->command = command;
  app.add_option("--decisions", *logs, "Decision logs of vLLM or SGLang, JSON lines, plain or compressed")
      .type_name("LOG...")
      .expected(1, -1);
  declare_measured(app, *measured);
  auto engine = std::make_shared<EngineLogOptions>();
  declare_engine_log(app, *engine);
  return {app,
          [logs, measured, engine] {
            const int kinds = (logs->empty() ? 0 : 1) + (measured->measured.empty() ? 0 : 1) +
                              (engine->logs.empty() ? 0 : 1);
            if (kinds != 1) {
              throw InputError(
                  "kvcast validate needs one of --decisions LOG..., a scenario and --measured FILE..., or "
                  "--engine-log "
                  "LOG...; see kvcast validate --help");
            }
            if (!engine->logs.empty()) return validate_engine_logs(*engine, *measured);
            if (!engine->calibration.empty())
              throw InputError(
                  "--calibration goes with --engine-log; a scenario has engine.step_time.calibration");
            if (engine->speed_factor == "auto")
              throw InputError(
                  "--speed-factor auto goes with --engine-log, whose steps it is taken from; give a number");
            if (!engine->speed_factor.empty())
              measured->settings.push_back("engine.step_time.speed_factor=" + engine->speed_factor);
            return logs->empty() ? validate_measured(*measured) : replay(*logs, *measured);
          },
          {}};
}

}  // namespace kvcast
