#include "sim/app/explain.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>

#include "reports/explain_report.h"
#include "reports/progress.h"
#include "reports/report.h"
#include "sim/app/commands.h"
#include "sim/app/experiments.h"
#include "sim/app/scenario_elasticity.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

struct Options {
  std::string scenario = "default";
  ReportOptions report;
  std::string requests, perfetto;
  std::string requests_max, trace_from, trace_for, trace_requests;
  bool no_what_if = false;
};

std::int64_t optional_count(const char* name, const std::string& text, std::int64_t fallback) {
  return text.empty() ? fallback : parse_integer(name, text, 1, std::numeric_limits<std::int64_t>::max());
}

/// \throws InputError for what is no number of seconds, 0 or more
Duration seconds_of(const char* name, const std::string& text) {
  constexpr double kSecondsMax = 1e9;
  const std::optional<double> seconds = parse_real(text);
  if (!seconds || !(*seconds >= 0 && *seconds <= kSecondsMax))
    throw InputError(std::string(name) + " " + text + ": a number of seconds is needed, 0 to 1e9");
  return Duration{std::llround(*seconds * 1e9)};
}

TraceWindow window_of(const Options& options) {
  TraceWindow window;
  if (!options.trace_from.empty()) window.from = kStart + seconds_of("--trace-from", options.trace_from);
  if (!options.trace_for.empty()) window.until = window.from + seconds_of("--trace-for", options.trace_for);
  window.requests_max = optional_count("--trace-requests", options.trace_requests, window.requests_max);
  if (options.perfetto.empty() &&
      !(options.trace_from.empty() && options.trace_for.empty() && options.trace_requests.empty()))
    throw InputError(
        "--trace-from, --trace-for and --trace-requests choose what --perfetto FILE holds; it is missing");
  return window;
}

std::unique_ptr<OutputFile> open_file(const std::string& path) {
  return path.empty() ? nullptr : std::make_unique<OutputFile>(path);
}

void write_requests(OutputFile* file, const std::string& path, const std::vector<RequestTime>& requests) {
  constexpr std::string_view kCsv = ".csv";
  const bool csv = path.size() > kCsv.size() && path.ends_with(kCsv);
  write_report(file, csv ? request_times_csv(requests) : request_times_json(requests));
}

ExitCode explain(const Options& options) {
  const std::vector<Setting> settings = settings_of(options.report);
  const std::int64_t requests_max = optional_count("--requests-max", options.requests_max, 0);
  const TraceWindow window = window_of(options);
  ScenarioText text = open_scenario(options.scenario, settings);
  Scenario scenario = read_scenario(text);
  std::vector<WhatIf> changes;
  if (!options.no_what_if) changes = candidate_changes(scenario, text.config);
  Experiment experiment = compose(std::move(scenario));
  refuse_elasticity(experiment.cluster, "kvcast explain has no parts for time on replicas that were lost");
  limit_requests(experiment, requests_max);
  experiment.frame.resolved = text.config.dump() + experiment.resolved_pools;
  experiment.frame.command = options.report.command;
  ReportFiles files(options.report);
  const std::unique_ptr<OutputFile> requests = open_file(options.requests);
  const std::unique_ptr<OutputFile> perfetto = open_file(options.perfetto);

  std::unique_ptr<StepTrace> trace;
  if (perfetto) trace = std::make_unique<StepTrace>(timer_of(experiment), window);
  Progress progress(options.report.quiet ? ProgressMode::off : parse_progress(options.report.progress),
                    requests_max > 0 ? requests_max : experiment.workload.requests_max, "requests");
  const ExplainedRun run =
      run_explained(experiment, trace.get(), [&](std::int64_t arrived) { progress.update(arrived); });
  progress.clear();
  Forecast forecast = finish_forecast(experiment, run.record);
  Explanation explanation;
  explanation.statistics = explain_statistics(run.requests);
  explanation.device = run.device;
  explanation.requests = static_cast<std::int64_t>(run.requests.size());
  if (run.record.completed > 0)
    explanation.device_total_ns =
        (run.record.last_token - run.record.first_arrival).count() * forecast.facts.stages_of_all_replicas();
  explanation.hbm = hbm_lines(forecast);
  explanation.has_slo = !forecast.slo.empty();
  explanation.base = measured(forecast, nullptr);
  explanation.changes = std::move(changes);
  try_changes(options.scenario, settings, requests_max, threads_of(options.report), explanation.base,
              explanation.changes);
  forecast.explanation = &explanation;

  write_report(files.json.get(), files.json ? to_json(forecast) : "");
  write_report(files.csv.get(), files.csv ? explain_csv(explanation) : "");
  write_report(files.markdown.get(), files.markdown ? explain_markdown(forecast, explanation) : "");
  write_report(files.report.get(), files.report ? to_html(forecast) : "");
  write_requests(requests.get(), options.requests, run.requests);
  if (perfetto) write_report(perfetto.get(), to_perfetto(*trace, forecast.facts.replicas));
  if (files.table && options.requests != "-" && options.perfetto != "-")
    std::fputs(explain_table(forecast, explanation, color_wanted(stdout)).c_str(), stdout);
  return slo_met(forecast) ? ExitCode::fine : ExitCode::gate_not_met;
}

}  // namespace

Command add_explain(CommandParser root, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->report.command = command;
  const CommandParser app = root.add_subcommand(
      "explain", "Where each millisecond and byte of a scenario went, and what to change first");
  app.add_option("scenario", options->scenario,
                 "Scenario file, or a built-in one of kvcast list scenarios (default: default)")
      .type_name("FILE");
  add_report_options(app, options->report);
  app.add_option("--requests", options->requests,
                 "Write one row a request with its parts: CSV where the name ends in .csv, else JSON lines")
      .type_name("FILE");
  app.add_option("--perfetto", options->perfetto,
                 "Write a trace for ui.perfetto.dev: every replica's steps, links, loads and requests")
      .type_name("FILE");
  app.add_option("--trace-from", options->trace_from, "Begin of the trace, simulated seconds (default: 0)")
      .type_name("S");
  app.add_option("--trace-for", options->trace_for, "Length of the trace, seconds (default: all)")
      .type_name("S");
  app.add_option("--trace-requests", options->trace_requests, "Most requests in the trace (default: 1000)")
      .type_name("N");
  app.add_option("--requests-max", options->requests_max, "Take the first N requests of the workload")
      .type_name("N");
  app.add_flag("--no-what-if", options->no_what_if, "Explain only: simulate no changes");
  return {app, [options] { return explain(*options); }, {}};
}

}  // namespace kvcast
