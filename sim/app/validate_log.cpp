#include "sim/app/validate_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include "hwmodels/engine_profile.h"
#include "hwmodels/scaled_timer.h"
#include "hwmodels/step_fit.h"
#include "reports/report.h"
#include "reports/validation_report.h"
#include "sim/app/load_forecast.h"
#include "sim/app/options.h"
#include "sim/app/validate_measured.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"
#include "sim/metrics/uncertainty.h"
#include "workloads/engine_log.h"
#include "workloads/step_log.h"

namespace kvcast {
namespace {

constexpr double kUsPerMs = 1e3;
constexpr double kUsPerSecond = 1e6;

/// The profile of a version: the newest that is not newer.
std::string profile_of(const EngineRun& run, const std::string& path) {
  const auto minor_of = [](const std::string& version) {
    const std::size_t dot = version.find('.');
    return dot == std::string::npos
               ? std::nullopt
               : parse_real(
                     version.substr(dot + 1, version.find_first_not_of("0123456789", dot + 1) - (dot + 1)));
  };
  const auto wanted = minor_of(run.version);
  std::string best;
  for (const EngineProfileName& profile : list_engine_profiles()) {
    if (!profile.name.starts_with("vllm-0.")) continue;
    const auto minor = minor_of(profile.name.substr(5));
    if (wanted && minor && *minor <= *wanted) best = profile.name;
  }
  if (best.empty())
    throw InputError(fmt::format("{}:1:1: vllm_version: no engine profile describes {}", path,
                                 kvcast::quoted(run.version)),
                     ExitCode::bad_data);
  return best;
}

/// "a/b.jsonl.gz" -> "b": two runs of one case have one name in their headers.
std::string stem_of(const std::string& path) {
  const std::string name = path.substr(path.find_last_of('/') + 1);
  return name.substr(0, name.find(".json"));
}

/// The header's engine arguments as a scenario's keys.
std::vector<Setting> settings_of(const EngineRun& run, const std::string& path,
                                 const std::string& calibration, double speed_factor) {
  std::vector<Setting> settings = {
      {"engine.profile", profile_of(run, path)},
      {"engine.step_time.calibration", yaml_scalar(calibration)},
      {"engine.step_time.speed_factor", fmt::format("{}", speed_factor)},
      {"engine.frontend", "{before_us: 0, per_input_token_us: 0, after_us: 0}"},
      {"workload.trace.path", yaml_scalar(path)},
      {"workload.trace.format", "engine-log"},
  };
  for (const auto& [key, value] : run.settings) {
    const std::string name = key == "num_gpu_blocks" ? "num_gpu_blocks_override" : key;
    const bool literal = parse_real(value).has_value() || value == "true" || value == "false";
    settings.push_back({"engine." + name, literal ? value : yaml_scalar(value)});
  }
  return settings;
}

/// The run's single-sequence decode steps over the calibration's: all that a forecast learns from the judged
/// run.
double own_speed(const std::string& path, const std::string& calibration) {
  StepLog log;
  read_step_log(file_on_disk(path), nullptr, log);
  std::vector<StepSample> samples;
  for (const LoggedStep& step : log.steps)
    samples.push_back(
        {.shape = step.shape, .time_us = step.time_us, .start_us = step.start_us, .run = step.run});
  return speed_against(pick_step_model(load_calibration(calibration, "--calibration"), "", "--calibration"),
                       samples);
}

double percentile(const std::vector<double>& sorted, double percent) {
  const double at = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

struct Statistic {
  std::string metric, statistic;
  double measured = 0;
};

/// What the engine's users saw, in milliseconds and tokens per second.
std::vector<Statistic> statistics_of(const EngineRun& run) {
  std::vector<double> ttft, tpot, e2el;
  double begin = run.answers.front().arrival_us, end = 0, tokens = 0;
  for (const EngineAnswer& answer : run.answers) {
    ttft.push_back((answer.first_token_us - answer.arrival_us) / kUsPerMs);
    e2el.push_back((answer.last_token_us - answer.arrival_us) / kUsPerMs);
    if (answer.output_tokens > 1)
      tpot.push_back((answer.last_token_us - answer.first_token_us) /
                     static_cast<double>(answer.output_tokens - 1) / kUsPerMs);
    begin = std::min(begin, answer.arrival_us);
    end = std::max(end, answer.last_token_us);
    tokens += static_cast<double>(answer.output_tokens);
  }
  std::vector<Statistic> statistics;
  const auto add = [&](const char* metric, std::vector<double>& values, const char* name, double percent) {
    if (values.empty()) return;
    std::sort(values.begin(), values.end());
    statistics.push_back({metric, name, percentile(values, percent)});
  };
  add("ttft", ttft, "p50", 50);
  add("ttft", ttft, "p99", 99);
  add("tpot", tpot, "p50", 50);
  add("e2el", e2el, "p50", 50);
  add("e2el", e2el, "p99", 99);
  if (end > begin) statistics.push_back({"output_throughput", "", tokens / (end - begin) * kUsPerSecond});
  return statistics;
}

ValidatedLoad compare(const Experiment& experiment, const LoadForecast& forecast, const EngineRun& run) {
  ValidatedLoad load;
  load.load = run.name;
  for (const Statistic& measured : statistics_of(run)) {
    const auto own = statistic_of(forecast.base, 0, measured.metric, measured.statistic);
    if (!own || measured.measured <= 0) continue;
    ValidatedValue value{measured.metric, measured.statistic, measured.measured, *own, {}};
    if (forecast.slow && forecast.fast) {
      const double slow = statistic_of(*forecast.slow, 0, measured.metric, measured.statistic).value_or(*own);
      const double fast = statistic_of(*forecast.fast, 0, measured.metric, measured.statistic).value_or(*own);
      value.interval = ErrorBand{std::min({slow, fast, *own}), std::max({slow, fast, *own})};
    }
    load.values.push_back(std::move(value));
  }
  if (!load.values.empty()) find_cause(load, latency_parts(experiment, forecast.base, 0));
  return load;
}

double speed_of(const std::string& path, const std::string& calibration, const std::string& speed_factor) {
  if (speed_factor == "auto") return std::round(1e4 * own_speed(path, calibration)) / 1e4;
  if (speed_factor.empty()) return 1;
  const auto given = parse_real(speed_factor);
  if (!given || *given < 1 / kSpeedFactorMax || *given > kSpeedFactorMax)
    throw InputError(fmt::format("--speed-factor: {} is given, auto or a number from {} to {} is needed",
                                 kvcast::quoted(speed_factor), 1 / kSpeedFactorMax, kSpeedFactorMax));
  return *given;
}

/// The same timer for a run whose speed was measured: its error is then not the drift of the machine, but how
/// far kinds of steps drift apart.
void know_speed(const std::string& calibration, double speed, Experiment& experiment) {
  StepModel model = pick_step_model(load_calibration(calibration, "--calibration"), "", "--calibration");
  model.drift = model.drift_apart;
  std::unique_ptr<FittedStepTimer> timer = make_step_timer(model);
  experiment.timer_note = [fitted = timer.get()] { return fitted->unseen(); };
  experiment.timer = scaled_timer(std::move(timer), speed);
}

/// The speed, preemptions and hit rate of a run, which are no latencies.
std::string line_of(const JudgedLog& judged) {
  const EngineRun& run = judged.run;
  const double hits = static_cast<double>(run.cached_tokens) /
                      static_cast<double>(std::max<std::int64_t>(run.prompt_tokens, 1));
  return fmt::format(
      "{}: step times x {:.3f}; preemptions {} measured, {} forecast; prompt tokens found in the cache "
      "{:.1f} "
      "% measured, {:.1f} % forecast",
      run.name, judged.speed, run.preemptions, judged.preemptions, 100 * hits, 100 * judged.hit_rate);
}

/// A share, from percent; infinite where no gate is asked for.
double max_error_of(const MeasuredOptions& common) {
  if (common.max_error.empty()) return std::numeric_limits<double>::infinity();
  const auto percent = parse_real(common.max_error);
  if (!percent || *percent < 0)
    throw InputError("--max-error: " + kvcast::quoted(common.max_error) +
                     " is given, a percentage from 0 on is needed");
  return *percent / 100;
}

}  // namespace

JudgedLog judge_engine_log(const std::string& path, const std::string& calibration,
                           const std::string& speed_factor, const std::vector<Setting>& settings) {
  JudgedLog judged;
  judged.run = read_engine_run(file_on_disk(path));
  judged.run.name = stem_of(path);
  judged.speed = speed_of(path, calibration, speed_factor);
  ScenarioText text{.config = Config::empty(path), .path = path, .hash = file_hash(path), .folder = ""};
  for (const Setting& setting : settings_of(judged.run, path, calibration, judged.speed))
    text.config.set(setting.path, setting.value);
  for (const Setting& setting : settings) text.config.set(setting.path, setting.value);
  Experiment experiment = compose(read_scenario(text));
  if (speed_factor == "auto") know_speed(calibration, judged.speed, experiment);
  const LoadForecast forecast = forecast_load(experiment);
  judged.load = compare(experiment, forecast, judged.run);
  judged.has_intervals = forecast.slow.has_value();
  judged.preemptions = forecast.base.metrics.preemptions;
  judged.hit_rate = forecast.base.metrics.prefix_hit_rate_tokens;
  judged.timer = experiment.frame.timer;
  judged.seed = experiment.frame.seed;
  judged.assumptions = experiment.frame.assumptions;
  judged.inputs = experiment.frame.inputs;
  judged.notes = experiment.frame.notes;
  if (const std::string note = experiment.timer_note ? experiment.timer_note() : ""; !note.empty())
    judged.notes.push_back(note);
  return judged;
}

ExitCode validate_engine_logs(const EngineLogOptions& options, const MeasuredOptions& common) {
  if (options.calibration.empty())
    throw InputError(
        "kvcast validate --engine-log needs --calibration FILE, as made by kvcast calibrate steps");
  ResultFiles files(common.results);
  const double max_error = max_error_of(common);
  const std::vector<Setting> settings = parse_settings(common.settings);
  Validation validation;
  validation.version = KVCAST_VERSION;
  validation.title =
      fmt::format("{} log{} of a real engine", options.logs.size(), options.logs.size() == 1 ? "" : "s");
  for (const std::string& path : options.logs) {
    JudgedLog judged = judge_engine_log(path, options.calibration, options.speed_factor, settings);
    validation.notes.push_back(line_of(judged));
    for (const std::string& note : judged.notes) validation.notes.push_back(judged.run.name + ": " + note);
    validation.timer = judged.timer;
    validation.seed = fmt::format("{}", judged.seed);
    add_provenance(judged.assumptions, judged.inputs, validation);
    if (judged.has_intervals) validation.confidence = Uncertainty::kConfidence;
    validation.loads.push_back(std::move(judged.load));
  }
  validation.command = common.command;
  files.write(validation);
  if (!common.quiet && !files.to_stdout())
    std::fputs(to_table(validation, color_wanted(stdout)).c_str(), stdout);
  return largest_error(validation) > max_error ? ExitCode::gate_not_met : ExitCode::fine;
}

}  // namespace kvcast
