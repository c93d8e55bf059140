#include "sim/app/validate_measured.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "measured/measured.h"
#include "reports/report.h"
#include "reports/validation_report.h"
#include "sim/app/options.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"
#include "sim/metrics/uncertainty.h"
#include "workloads/arrivals.h"

namespace kvcast {
namespace {

/// Names of GPUs in tables of runs.
constexpr std::array<std::pair<const char*, const char*>, 7> kHardware = {{{"H100", "h100-sxm"},
                                                                           {"H100-SXM-80GB", "h100-sxm"},
                                                                           {"H200", "h200"},
                                                                           {"A100", "a100-80-sxm"},
                                                                           {"A100-80", "a100-80-sxm"},
                                                                           {"A100-80GB", "a100-80-sxm"},
                                                                           {"L40S", "l40s"}}};

/// \throws InputError where a table's GPU is none that is known; cluster.gpu can name it
Setting gpu_of(const TableRun& run) {
  std::vector<std::string> known;
  for (const auto& [name, gpu] : kHardware) {
    if (run.hardware == name) return {"cluster.gpu", gpu};
    known.emplace_back(name);
  }
  throw InputError("hardware " + quoted(run.hardware) + " is not known" + known_names(run.hardware, known) +
                   "; --set cluster.gpu=NAME says what it is");
}

std::vector<Setting> settings_of(const MeasuredOptions& options) {
  std::vector<Setting> settings = parse_settings(options.settings);
  if (!options.seed.empty()) {
    (void)parse_integer("--seed", options.seed, 0, std::numeric_limits<std::int64_t>::max());
    settings.push_back({"seed", options.seed});
  }
  return settings;
}

/// Notes stand once, however many loads have them.
void add_note(const std::string& note, Validation& validation) {
  auto& notes = validation.notes;
  if (!note.empty() && std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
}

void note_frame(const Experiment& experiment, Validation& validation) {
  validation.timer = experiment.frame.timer;
  validation.version = experiment.frame.version;
  validation.seed = fmt::format("{}", experiment.frame.seed);
  add_provenance(experiment.frame.assumptions, experiment.frame.inputs, validation);
  for (const std::string& note : experiment.frame.notes) add_note(note, validation);
}

void add_load(const Experiment& experiment, const LoadForecast& forecast, std::size_t part,
              const MeasuredLoad& measured, const std::string& run, Validation& validation) {
  ValidatedLoad load = compare_load(experiment, forecast, part, measured);
  load.run = run;
  if (forecast.slow) validation.confidence = Uncertainty::kConfidence;
  if (load.values.empty()) {
    validation.skipped.push_back(
        fmt::format("{}{}{}: the forecast has none of its statistics (no request completed)", run,
                    run.empty() ? "" : ", ", measured.name));
    return;
  }
  validation.loads.push_back(std::move(load));
}

// ---- A table of runs --------------------------------------------------------------------------------------

void validate_run(const MeasuredOptions& options, const TableRun& run, Validation& validation) {
  std::optional<Experiment> experiment;
  try {
    experiment = compose_run(options.scenario, run, settings_of(options));
  } catch (const InputError& error) {
    validation.skipped.push_back(run.name + ": " + error.what());
    return;
  }
  const LoadForecast forecast = forecast_load(*experiment);
  note_frame(*experiment, validation);
  for (const MeasuredLoad& load : run.loads) {
    if (*load.stage >= forecast.base.parts.size()) {
      validation.skipped.push_back(
          fmt::format("{}, {}: its load has {} stages", run.name, load.name, forecast.base.parts.size()));
      continue;
    }
    add_load(*experiment, forecast, *load.stage, load, run.name, validation);
  }
}

Validation validate_table(const MeasuredOptions& options, const TraceFile& table) {
  if (options.measured.size() > 1) throw InputError("--measured: a table of runs stands alone");
  if (options.workloads.empty()) {
    throw InputError(
        "--measured " + table.name +
        ": a table of runs needs --workloads FILE, the JSON list that says each run's load and settings");
  }
  Validation validation;
  const std::vector<TableRun> runs = read_run_table(table, file_on_disk(options.workloads));
  validation.title = fmt::format("{} ({} runs)", table.name, runs.size());
  add_provenance({}, {{table.name, file_hash(table.name)}, {options.workloads, file_hash(options.workloads)}},
                 validation);
  for (const TableRun& run : runs) validate_run(options, run, validation);
  return validation;
}

// ---- Result files -----------------------------------------------------------------------------------------

enum class WorkloadKind : std::uint8_t { none, trace, synthetic, inference_perf };

WorkloadKind kind_of(const MeasuredOptions& options) {
  ScenarioText text = open_scenario(options.scenario, settings_of(options));
  const std::vector<std::string> keys = text.config.child("workload").keys();
  const auto has = [&](const char* key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); };
  if (has("trace")) return WorkloadKind::trace;
  if (has("inference_perf")) return WorkloadKind::inference_perf;
  return has("synthetic") ? WorkloadKind::synthetic : WorkloadKind::none;
}

/// The load as an arrival process of a synthetic workload; nothing where the file states none.
std::vector<Setting> arrivals_of(const MeasuredLoad& load) {
  std::vector<Setting> settings;
  const bool rated = load.rate && std::isfinite(*load.rate) && *load.rate > 0;
  if (rated) {
    const double shape = load.burstiness.value_or(1);
    const std::string process = std::isinf(shape) ? "process: constant"
                                : shape == 1      ? "process: poisson"
                                                  : fmt::format("process: gamma, burstiness: {}", shape);
    settings.push_back({"workload.synthetic.arrivals", fmt::format("{{{}, rate: {}}}", process, *load.rate)});
    if (load.concurrency) settings.push_back({"workload.max_concurrency", std::to_string(*load.concurrency)});
  } else if (load.concurrency) {
    settings.push_back({"workload.synthetic.arrivals",
                        fmt::format("{{process: closed-loop, concurrency: {}}}", *load.concurrency)});
  } else if (load.rate) {
    settings.push_back({"workload.synthetic.arrivals", "{process: at-once}"});
  }
  const std::int64_t requests = load.completed.value_or(0) + load.failed.value_or(0);
  if (!settings.empty() && requests > 0)
    settings.push_back({"workload.synthetic.requests", std::to_string(requests)});
  return settings;
}

/// Average lengths, where the file knows no more.
std::vector<Setting> lengths_of(const MeasuredLoad& load, const std::string& path) {
  if (!load.completed || *load.completed == 0 || !load.input_tokens || !load.output_tokens) {
    throw InputError(
        path + ": the file does not say how long the requests were; give the scenario a workload",
        ExitCode::usage);
  }
  const auto mean = [&](double total) {
    return std::max<std::int64_t>(1, std::llround(total / static_cast<double>(*load.completed)));
  };
  return {{"workload.synthetic.input", fmt::format("{{fixed: {}}}", mean(*load.input_tokens))},
          {"workload.synthetic.output", fmt::format("{{fixed: {}}}", mean(*load.output_tokens))}};
}

/// The file's own requests as lines; arrivals that it does not know are drawn at its rate.
std::string lines_of(const MeasuredLoad& load, std::uint64_t seed) {
  std::unique_ptr<ArrivalProcess> arrivals;
  const bool rated = load.rate && std::isfinite(*load.rate) && *load.rate > 0;
  if (!load.arrivals_known && rated)
    arrivals = renewal_arrivals({.rate = *load.rate, .shape = load.burstiness.value_or(1)}, seed);
  std::string lines;
  for (std::size_t i = 0; i < load.requests.size(); ++i) {
    const MeasuredRequest& request = load.requests[i];
    std::int64_t arrival_us = std::llround(request.arrival_s * 1e6);
    if (arrivals) arrival_us = arrivals->next().time_since_epoch().count() / 1000;
    lines += fmt::format(R"({{"id": "{}", "arrival_us": {}, "input_tokens": {}, "output_tokens": {}}})", i,
                         arrival_us, request.input, request.output);
    lines += '\n';
  }
  return lines;
}

/// The experiment that stands for one load of a file.
Experiment compose_load(const MeasuredOptions& options, WorkloadKind kind, const MeasuredLoad& load,
                        const std::string& path) {
  std::vector<Setting> settings = settings_of(options);
  const bool own_requests = kind == WorkloadKind::none && !load.requests.empty();
  if (kind == WorkloadKind::synthetic || (kind == WorkloadKind::none && !own_requests)) {
    for (Setting& setting : arrivals_of(load)) settings.push_back(std::move(setting));
  }
  if (kind == WorkloadKind::none && !own_requests) {
    for (Setting& setting : lengths_of(load, path)) settings.push_back(std::move(setting));
  }
  ScenarioText text = open_scenario(options.scenario, settings);
  Scenario scenario = read_scenario(text);
  if (own_requests) {
    const std::int64_t concurrency = load.arrivals_known ? 0 : load.concurrency.value_or(0);
    scenario.workload = make_lines_workload(path, lines_of(load, scenario.seed), concurrency, scenario.seed);
  }
  return compose(std::move(scenario));
}

void validate_file(const MeasuredOptions& options, WorkloadKind kind, const MeasuredFile& file,
                   Validation& validation) {
  if (kind == WorkloadKind::trace && file.loads.size() > 1) {
    throw InputError(fmt::format(
        "{}: it holds {} loads, but the scenario's trace is one; use a synthetic workload or none", file.path,
        file.loads.size()));
  }
  for (const MeasuredLoad& load : file.loads) {
    const Experiment experiment = compose_load(options, kind, load, file.path);
    const LoadForecast forecast = forecast_load(experiment);
    note_frame(experiment, validation);
    if (kind == WorkloadKind::none && load.requests.empty()) {
      add_note(
          "neither scenario nor file say how long single requests were: all have the average lengths, which "
          "lets clients "
          "of a closed loop move in step",
          validation);
    }
    const std::size_t parts = forecast.base.parts.size();
    const std::size_t part = load.stage.value_or(0);
    if (part >= parts || (parts > 1 && !load.stage)) {
      throw InputError(
          fmt::format("{}: the scenario's load has {} stages, and the file {}", file.path, parts,
                      load.stage ? fmt::format("is of stage {}", part) : "names none (stage_N_...json)"));
    }
    add_load(experiment, forecast, part, load, options.measured.size() > 1 ? file.path : "", validation);
  }
}

Validation validate_results(const MeasuredOptions& options) {
  if (!options.workloads.empty())
    throw InputError("--workloads belongs to a table of runs; --measured names result files");
  const WorkloadKind kind = kind_of(options);
  Validation validation;
  for (const std::string& path : options.measured) {
    const MeasuredFile file = read_measured(file_on_disk(path));
    add_provenance({}, {{path, file_hash(path)}}, validation);
    validation.title += fmt::format("{}{} ({})", validation.title.empty() ? "" : ", ", path, file.tool);
    add_note(file.note, validation);
    validate_file(options, kind, file, validation);
  }
  return validation;
}

/// A share, from percent. \throws InputError where it is none
std::optional<double> max_error_of(const MeasuredOptions& options) {
  if (options.max_error.empty()) return std::nullopt;
  const auto percent = parse_real(options.max_error);
  if (!percent || *percent < 0)
    throw InputError("--max-error: " + quoted(options.max_error) +
                     " is given, a percentage from 0 on is needed");
  return *percent / 100;
}

}  // namespace

ValidatedLoad compare_load(const Experiment& experiment, const LoadForecast& forecast, std::size_t part,
                           const MeasuredLoad& measured) {
  ValidatedLoad load;
  load.load = measured.name;
  for (const MeasuredValue& value : measured.values) {
    if (value.statistic == "std") continue;  // a spread, not a level: no error is judged by it
    const auto own = statistic_of(forecast.base, part, value.metric, value.statistic);
    if (!own || value.value <= 0) continue;
    ValidatedValue validated{value.metric, value.statistic, value.value, *own, {}};
    if (forecast.slow && forecast.fast) {
      const double slow = statistic_of(*forecast.slow, part, value.metric, value.statistic).value_or(*own);
      const double fast = statistic_of(*forecast.fast, part, value.metric, value.statistic).value_or(*own);
      validated.interval = ErrorBand{std::min({slow, fast, *own}), std::max({slow, fast, *own})};
    }
    load.values.push_back(std::move(validated));
  }
  if (!load.values.empty()) find_cause(load, latency_parts(experiment, forecast.base, part));
  return load;
}

Setting sampling_of(const std::string& model) {
  constexpr std::array kFamilies = {"Llama-2-", "Llama-3", "Llama-4-", "Qwen2.5-", "Qwen3-"};
  const bool named = std::any_of(kFamilies.begin(), kFamilies.end(),
                                 [&](const char* family) { return model.find(family) != std::string::npos; });
  return {"engine.sampling", named ? "top_k_top_p" : "greedy"};
}

Experiment compose_run(const std::string& scenario, const TableRun& run, std::vector<Setting> changes) {
  std::vector<Setting> settings = {{"model", run.model}};
  const bool named = std::any_of(changes.begin(), changes.end(),
                                 [](const Setting& change) { return change.path == "cluster.gpu"; });
  if (!named) settings.push_back(gpu_of(run));
  for (const auto& [path, value] : run.settings) {
    if (path == "workload.inference_perf") {
      settings.push_back({"workload", "{inference_perf: " + value + "}"});
    } else {
      settings.push_back({path, value});
    }
  }
  settings.push_back(sampling_of(run.model));
  for (Setting& setting : changes) settings.push_back(std::move(setting));
  ScenarioText text = open_scenario(scenario, settings);
  return compose(read_scenario(text));
}

ExitCode validate_measured(const MeasuredOptions& options) {
  if (options.scenario.empty())
    throw InputError("kvcast validate --measured needs a scenario: kvcast validate SCENARIO --measured FILE");
  const std::optional<double> max_error = max_error_of(options);
  ResultFiles files(options.results);
  const TraceFile first = file_on_disk(options.measured.front());
  Validation validation = is_run_table(first) ? validate_table(options, first) : validate_results(options);
  validation.command = options.command;
  files.write(validation);
  if (!options.quiet && !files.to_stdout())
    std::fputs(to_table(validation, color_wanted(stdout)).c_str(), stdout);
  if (validation.loads.empty()) return ExitCode::gate_not_met;
  return max_error && largest_error(validation) > *max_error ? ExitCode::gate_not_met : ExitCode::fine;
}

}  // namespace kvcast
