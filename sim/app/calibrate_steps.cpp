// kvcast calibrate steps LOG...: whole-step times from an engine's own log.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/step_fit.h"
#include "reports/fit_report.h"
#include "sim/app/calibrate.h"
#include "sim/app/outputs.h"
#include "sim/app/result_files.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"
#include "workloads/step_log.h"

namespace kvcast {
namespace {

constexpr double kHoldOutDefault = 0.2;
constexpr std::size_t kBlocks =
    20;  // of each run: neighbouring steps resemble each other, so whole blocks are held out

struct Options {
  std::vector<std::string> logs, hold_out;
  std::string out, columns, device;
  ResultPaths results;
  std::string command;
};

/// Steps of one fit, with the runs that they are from.
struct Group {
  std::string name;
  std::vector<StepSample> samples;
};

StepSample sample_of(const LoggedStep& step) {
  return {.shape = step.shape, .time_us = step.time_us, .start_us = step.start_us, .run = step.run};
}

/// The steps of a log by group, those of each run in order of time.
std::vector<Group> groups_of(const StepLog& log) {
  std::vector<Group> groups;
  for (const std::string& name : log.groups) groups.push_back({.name = name, .samples = {}});
  for (const LoggedStep& step : log.steps) groups[step.group].samples.push_back(sample_of(step));
  for (Group& group : groups) {
    std::stable_sort(group.samples.begin(), group.samples.end(),
                     [](const StepSample& a, const StepSample& b) {
                       return a.run != b.run ? a.run < b.run : a.start_us < b.start_us;
                     });
  }
  return groups;
}

struct Split {
  std::vector<StepSample> fit, held_out;
};

/// Holds out evenly spaced blocks of each run.
Split split_blocks(const Group& group, double share) {
  Split split;
  for (std::size_t begin = 0; begin < group.samples.size();) {
    std::size_t end = begin;
    while (end < group.samples.size() && group.samples[end].run == group.samples[begin].run) ++end;
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t block = (i - begin) * kBlocks / (end - begin);
      const double passed = std::floor(static_cast<double>(block + 1) * share);
      const bool out = passed > std::floor(static_cast<double>(block) * share);
      (out ? split.held_out : split.fit).push_back(group.samples[i]);
    }
    begin = end;
  }
  return split;
}

void print_errors(std::FILE* to, const std::vector<StepErrors>& errors) {
  fmt::print(to, "    {:<18}{:>9}{:>12}{:>10}{:>10}\n", "steps", "n", "median |e|", "p90 |e|", "bias");
  for (const StepErrors& e : errors)
    fmt::print(to, "    {:<18}{:>9}{:>10.2f} %{:>8.2f} %{:>+8.2f} %\n", e.regime, e.steps, 100 * e.median,
               100 * e.p90, 100 * e.bias);
}

std::string term_name(const StepTerm& term) {
  const std::string over = term.count == StepCount::tokens_over ? fmt::format(" {}", term.knee) : "";
  return std::string(to_string(term.count)) + over;
}

void print_model(std::FILE* to, const StepModel& model) {
  fmt::print(to, "  step time = sum of, in microseconds\n");
  for (const StepTerm& term : model.terms) {
    fmt::print(to, "    {:>12.4g} x {:<24} +- {:.2g}\n", term.us, term_name(term), term.us_error);
  }
  fmt::print(
      to, "  the machine's speed over stretches of the log: +- {:.1f} %; kinds of steps apart: +- {:.1f} %\n",
      100 * model.drift, 100 * model.drift_apart);
  fmt::print(to, "  seen: ");
  for (std::size_t i = 0; i < model.ranges.size(); ++i) {
    const StepRange& range = model.ranges[i];
    fmt::print(to, "{}{} {} to {}", i == 0 ? "" : ", ", to_string(range.count), range.min, range.max);
  }
  fmt::print(to, "; kvcast simulate says how many of its steps lie outside\n");
}

/// The samples of one run, or of all others.
std::vector<StepSample> of_run(const Group& group, std::size_t run, bool others) {
  std::vector<StepSample> samples;
  std::copy_if(group.samples.begin(), group.samples.end(), std::back_inserter(samples),
               [&](const StepSample& sample) { return (sample.run == run) != others; });
  return samples;
}

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::string joined_names(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) text += (text.empty() ? "" : ", ") + base_name(path);
  return text;
}

/// Each run judged by a model that was fitted to the others alone.
void print_leave_one_out(std::FILE* to, const Group& group, const StepLog& log, FitReport& report) {
  std::vector<std::size_t> runs;
  for (const StepSample& sample : group.samples) {
    if (runs.empty() || runs.back() != sample.run) runs.push_back(sample.run);
  }
  if (runs.size() < 2) return;
  fmt::print(
      to,
      "  each run held out whole, judged by a fit to the others (speed: its single-sequence decode steps "
      "over "
      "the forecast's; errors after that factor in brackets)\n");
  for (const std::size_t run : runs) {
    const std::vector<StepSample> others = of_run(group, run, true);
    const std::vector<StepSample> own = of_run(group, run, false);
    if (others.size() < kStepSamplesMin) {
      fmt::print(to, "    {:>7} steps: the others are too few for a fit  {}\n", own.size(), log.runs[run]);
      continue;
    }
    const StepModel model = fit_step_model(others, group.name);
    const double speed = speed_against(model, own);
    const StepErrors plain = step_errors(model, own).front();
    const StepErrors scaled = step_errors(model, own, speed).front();
    report.runs.push_back({group.name, base_name(log.runs[run]), plain.steps, plain.median, plain.p90, speed,
                           scaled.median, scaled.p90});
    fmt::print(to,
               "    {:>7} steps: median |e| {:.2f} % [{:.2f} %], p90 {:.1f} % [{:.1f} %], speed {:.3f}  {}\n",
               plain.steps, 100 * plain.median, 100 * scaled.median, 100 * plain.p90, 100 * scaled.p90, speed,
               log.runs[run]);
  }
}

void read_logs(const std::vector<std::string>& paths, const StepColumns* columns, StepLog& log) {
  for (const std::string& path : paths) read_step_log(file_on_disk(path), columns, log);
}

/// --hold-out: one share, or files.
std::optional<double> hold_out_share(const Options& options) {
  if (options.hold_out.empty()) return kHoldOutDefault;
  if (options.hold_out.size() > 1) return std::nullopt;
  const std::optional<double> share = parse_real(options.hold_out.front());
  if (!share) return std::nullopt;
  if (!(*share >= 0 && *share <= 0.9))
    throw InputError("--hold-out: a share from 0 to 0.9, or files, is needed; " + options.hold_out.front() +
                     " is given");
  return share;
}

CalibrationHeader header_of(const Options& options, const StepLog& log, const std::string& held_out) {
  CalibrationHeader header;
  header.kind = "steps";
  const bool cpu = log.engine.find("CPU") != std::string::npos;
  header.device = !options.device.empty() ? options.device : cpu ? "cpu" : "unknown";
  header.engine = log.engine;
  header.source = "step logs " + joined_names(options.logs);
  header.created_by = std::string("kvcast ") + KVCAST_VERSION + " calibrate steps";
  header.notes = log.notes;
  for (std::string& note : header.notes) {
    const std::size_t colon = note.find(": ");
    const std::size_t slash = note.rfind('/', colon);
    if (slash != std::string::npos) note = note.substr(slash + 1);
  }
  header.notes.push_back(held_out);
  return header;
}

const char* kind_of(const StepShape& shape) {
  if (shape.prefill_seqs == 0) return "decode";
  return shape.decode_seqs == 0 ? "prefill" : "mixed";
}

void add_points(const StepModel& model, std::span<const StepSample> samples, bool held_out,
                FitReport& report) {
  for (const StepSample& sample : samples) {
    const std::string kind = kind_of(sample.shape);
    report.points.push_back({.kernel = model.name.empty() ? kind : model.name + ", " + kind,
                             .us = sample.time_us,
                             .forecast = step_us(model, sample.shape),
                             .held_out = held_out});
  }
}

/// Errors on steps that a fit has not seen: other logs, or blocks of these that a fit of its own goes
/// without.
std::vector<StepErrors> held_out_errors(const Group& group, const StepModel& model,
                                        std::optional<double> share, const std::vector<Group>& others,
                                        FitReport& report) {
  for (const Group& other : others) {
    if (other.name != group.name) continue;
    add_points(model, group.samples, false, report);
    add_points(model, other.samples, true, report);
    return step_errors(model, other.samples);
  }
  Split split;
  if (share && *share > 0) split = split_blocks(group, *share);
  if (split.fit.size() < kStepSamplesMin) {
    add_points(model, group.samples, false, report);
    return {};
  }
  const StepModel judge = fit_step_model(split.fit, group.name);
  add_points(judge, split.fit, false, report);
  add_points(judge, split.held_out, true, report);
  return step_errors(judge, split.held_out);
}

/// The fit of one group, with its report.
StepModel fit_group(std::FILE* to, const Group& group, const StepLog& log, std::optional<double> share,
                    const std::vector<Group>& others, FitReport& report) {
  fmt::print(to, "{}\n", group.name.empty() ? "all steps" : group.name);
  StepModel model = fit_step_model(group.samples, group.name);
  model.errors = held_out_errors(group, model, share, others, report);
  for (const StepTerm& term : model.terms)
    report.terms.push_back({group.name, term_name(term), term.us, term.us_error});
  fmt::print(to, "  fitted to {} steps\n", model.steps);
  print_model(to, model);
  if (!model.errors.empty()) {
    fmt::print(to, "  errors on {} steps that {} not seen\n", model.errors.front().steps,
               others.empty() ? "a fit without them has" : "the fit has");
    print_errors(to, model.errors);
  } else {
    fmt::print(to, "  no steps were held out{}\n", share && *share == 0 ? "" : ": there are too few");
  }
  print_leave_one_out(to, group, log, report);
  return model;
}

/// The parts of the report that do not come from the fits. \param steps that were fitted to
void frame_report(const Options& options, const CalibrationHeader& header, const std::string& held_out,
                  std::size_t steps, FitReport& report) {
  std::size_t judged = 0;
  std::vector<double> errors;
  for (const FitPoint& point : report.points) {
    if (!point.held_out) continue;
    ++judged;
    errors.push_back(std::abs(point.forecast / point.us - 1));
  }
  report.title =
      "Calibration " + (header.device == "unknown" ? "" : "of " + header.device + " ") + "from step logs";
  report.sub = header.source + (header.engine.empty() ? "" : "; " + header.engine);
  report.verdict = fmt::format("Fitted to {} steps", steps);
  if (judged > 0) {
    const auto middle = errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2);
    std::nth_element(errors.begin(), middle, errors.end());
    report.verdict +=
        fmt::format("; half of {} steps that a fit had not seen are within {:.1f} %", judged, 100 * *middle);
  }
  report.held_out = "E" + held_out.substr(1) + ".";
  report.row_name = "Steps";
  report.rows = fit_rows(report.points);
  for (const std::vector<std::string>* paths : {&options.logs, &options.hold_out}) {
    std::error_code error;
    for (const std::string& path : *paths)
      if (std::filesystem::exists(path, error)) report.inputs.push_back({path, file_hash(path)});
  }
  if (!options.columns.empty()) report.inputs.push_back({options.columns, file_hash(options.columns)});
  std::sort(report.inputs.begin(), report.inputs.end(),
            [](const InputHash& x, const InputHash& y) { return x.path < y.path; });
  report.command = options.command;
  report.version = KVCAST_VERSION;
}

ExitCode calibrate_steps(const Options& options) {
  if (options.logs.empty())
    throw InputError("kvcast calibrate steps needs LOG...; see kvcast calibrate steps --help");
  if (options.out.empty()) throw InputError("kvcast calibrate steps needs --out FILE");
  const std::optional<double> share = hold_out_share(options);
  std::optional<StepColumns> columns;
  if (!options.columns.empty()) columns = read_step_columns(Config::from_file(options.columns));
  StepLog log, held;
  read_logs(options.logs, columns ? &*columns : nullptr, log);
  if (!share) read_logs(options.hold_out, columns ? &*columns : nullptr, held);
  ResultFiles results(options.results, {options.out});
  OutputFile output(options.out);
  std::FILE* to = results.to_stdout() ? stderr : stdout;
  for (const std::string& note : log.notes) fmt::print(to, "{}\n", note);
  const std::vector<Group> others = groups_of(held);
  const std::string held_out =
      share ? fmt::format("errors are those of a fit that went without {:g} % of each run, in {} blocks",
                          100 * *share, kBlocks)
            : "errors are those on " + joined_names(options.hold_out);
  const CalibrationHeader header = header_of(options, log, held_out);
  FitReport report;
  std::string text = format_calibration_header(header) + "\n";
  for (const Group& group : groups_of(log))
    text += format_step_model(fit_group(to, group, log, share, others, report)) + "\n";
  output.write(text);
  output.commit();
  if (results.any()) {
    frame_report(options, header, held_out, log.steps.size(), report);
    results.write(report);
  }
  return ExitCode::fine;
}

}  // namespace

Command add_calibrate_steps(CommandParser calibrate, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->command = command;
  const CommandParser app = calibrate.add_subcommand(
      "steps", "Fit whole-step times to an engine's own log: what each step computed, and how long it took");
  app.add_option("logs", options->logs,
                 "Step logs: JSON lines {\"step\": {\"start_us\", \"dur_us\", \"scheduled\": [[id, tokens, "
                 "computed], "
                 "...]}}, or CSV with a row a step; plain or compressed")
      .type_name("LOG...");
  app.add_option("--out", options->out, "The calibration to write, for engine.step_time: {calibration: FILE}")
      .type_name("FILE");
  app.add_option("--hold-out", options->hold_out,
                 "Logs to judge the fit on, or the share of each run that a second fit goes without, to be "
                 "judged on it "
                 "(default: 0.2)")
      .type_name("FILE...|SHARE")
      .expected(1, -1);
  app.add_option("--columns", options->columns,
                 "Column map of a CSV, as YAML (default: the columns of vLLM's step tracing; see "
                 "docs/calibration.md)")
      .type_name("FILE");
  app.add_option("--device", options->device, "What the engine ran on, a name of kvcast list gpus or cpu")
      .type_name("NAME");
  declare_results(app, options->results, "the errors of the fit",
                  "a row for each kind of step and decade of time");
  return {app, [options] { return calibrate_steps(*options); }, {}};
}

}  // namespace kvcast
