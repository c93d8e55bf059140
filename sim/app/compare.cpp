// kvcast compare: scenarios, or one scenario with values varied, on the same requests.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include "reports/compare_report.h"
#include "reports/progress.h"
#include "reports/report.h"
#include "sim/app/commands.h"
#include "sim/app/experiments.h"
#include "sim/base/text.h"
#include "sim/plan/comparison.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

constexpr std::size_t kCellsMax = 1000;

struct Options {
  std::vector<std::string> scenarios;
  std::vector<std::string> vary;
  ReportOptions report;
};

/// One `--vary path=a,b,c`.
struct Variation {
  std::string path;
  std::vector<std::string> values;
};

/// What one cell runs.
struct CellPlan {
  std::string label;
  std::string scenario;
  std::vector<Setting> settings;  // of the variation
};

/// Splits at commas outside of brackets and quotes.
std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 0) {
      values.emplace_back();
      continue;
    }
    values.back() += c;
  }
  return values;
}

Variation parse_variation(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw InputError("--vary " + text +
                     ": a variation reads path=a,b,c, for example --vary engine.block_size=16,32,64");
  }
  Variation variation{text.substr(0, equals), split_values(text.substr(equals + 1))};
  for (std::size_t i = 0; i < variation.values.size(); ++i) {
    const std::string& value = variation.values[i];
    if (value.empty()) throw InputError("--vary " + text + ": value " + std::to_string(i + 1) + " is empty");
    if (std::count(variation.values.begin(), variation.values.end(), value) > 1)
      throw InputError("--vary " + text + ": " + kvcast::quoted(value) + " is given twice");
  }
  if (variation.values.size() < 2)
    throw InputError("--vary " + text + ": at least two values are needed; --set changes one for all");
  return variation;
}

/// "block_size" of "engine.block_size".
std::string last_key(const std::string& path) { return path.substr(path.rfind('.') + 1); }

/// Every combination of the values; the last variation changes fastest.
std::vector<CellPlan> plan_grid(const std::string& scenario, const std::vector<Variation>& variations) {
  std::size_t count = 1;
  for (std::size_t i = 0; i < variations.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (variations[k].path == variations[i].path)
        throw InputError("--vary " + variations[i].path + ": is given twice; list all values in one");
    }
    count *= variations[i].values.size();
    if (count > kCellsMax) {
      throw InputError(fmt::format("--vary: more than {} combinations", kCellsMax));
    }
  }
  std::vector<CellPlan> cells;
  for (std::size_t i = 0; i < count; ++i) {
    CellPlan cell;
    cell.scenario = scenario;
    std::size_t rest = i;
    for (auto v = variations.rbegin(); v != variations.rend(); ++v) {
      const std::string& value = v->values[rest % v->values.size()];
      rest /= v->values.size();
      cell.settings.push_back({v->path, value});
      cell.label = last_key(v->path) + "=" + value + (cell.label.empty() ? "" : ", ") + cell.label;
    }
    std::reverse(cell.settings.begin(), cell.settings.end());
    cells.push_back(std::move(cell));
  }
  return cells;
}

std::vector<CellPlan> plan_files(const std::vector<std::string>& scenarios) {
  std::vector<CellPlan> cells;
  for (const std::string& scenario : scenarios) {
    const auto name = [](const std::string& path) { return std::filesystem::path(path).stem().string(); };
    const bool alone = std::count_if(scenarios.begin(), scenarios.end(), [&](const std::string& other) {
                         return name(other) == name(scenario);
                       }) == 1;
    cells.push_back({alone ? name(scenario) : scenario, scenario, {}});
  }
  return cells;
}

std::vector<CellPlan> plan_cells(const Options& options) {
  if (options.vary.empty()) {
    if (options.scenarios.size() < 2)
      throw InputError("compare needs two scenarios, or one and --vary; see kvcast compare --help");
    return plan_files(options.scenarios);
  }
  if (options.scenarios.size() > 1)
    throw InputError("--vary changes one scenario; compare several without it");
  std::vector<Variation> variations;
  for (const std::string& text : options.vary) variations.push_back(parse_variation(text));
  return plan_grid(options.scenarios.empty() ? "default" : options.scenarios.front(), variations);
}

/// A cell that was run, or why it was not.
struct RanCell {
  std::optional<RanExperiment> run;
  std::string refusal;
  bool by_engine = false;  // refused as impossible rather than as too large
};

RanCell run_cell(const CellPlan& plan, std::vector<Setting> settings) {
  settings.insert(settings.end(), plan.settings.begin(), plan.settings.end());
  RanCell cell;
  try {
    ScenarioText text = open_scenario(plan.scenario, settings);
    Experiment experiment = compose(read_scenario(text));
    cell.run = run_experiment(experiment);
  } catch (const InputError& error) {
    if (error.code() == ExitCode::bad_data) throw;
    if (error.code() == ExitCode::usage && plan.settings.empty()) throw;  // a scenario that cannot be read
    cell.refusal = error.what();
    cell.by_engine = error.code() == ExitCode::usage;
  }
  return cell;
}

/// A value that no combination accepts is a mistake of the user, not a result.
void refuse_useless_values(const std::vector<CellPlan>& plans, const std::vector<RanCell>& cells) {
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (!cells[i].by_engine) continue;
    for (const Setting& setting : plans[i].settings) {
      bool accepted = false;
      for (std::size_t k = 0; k < plans.size() && !accepted; ++k) {
        const bool same = std::any_of(
            plans[k].settings.begin(), plans[k].settings.end(),
            [&](const Setting& other) { return other.path == setting.path && other.value == setting.value; });
        accepted = same && !cells[k].by_engine;
      }
      if (!accepted) throw InputError(cells[i].refusal);
    }
  }
}

/// Runs the cells of a comparison and measures each against the first that runs.
class Comparer {
 public:
  Comparer(const std::vector<CellPlan>& plans, std::vector<Setting> settings, const ReportOptions& options)
      : plans_(plans),
        settings_(std::move(settings)),
        threads_(threads_of(options)),
        progress_(options.quiet ? ProgressMode::off : parse_progress(options.progress),
                  static_cast<std::int64_t>(plans.size()), "runs"),
        ran_(plans.size()) {
    result_.cells.resize(plans.size());
  }

  Comparison run() {
    std::size_t first = 0;
    for (; first < plans_.size(); ++first) {
      run_one(first);
      if (ran_[first].run) break;
    }
    if (first == plans_.size()) {
      refuse_useless_values(plans_, ran_);
      throw InputError(ran_.front().refusal, ExitCode::infeasible);
    }
    set_baseline(first);
    std::vector<char> paired(plans_.size(), 1);
    for_each_parallel(plans_.size() - first - 1, threads_, [&](std::size_t k) {
      const std::size_t i = first + 1 + k;
      run_one(i);
      if (ran_[i].run) paired[i] = measure_one(i) ? 1 : 0;
    });
    progress_.clear();
    refuse_useless_values(plans_, ran_);
    result_.paired = std::find(paired.begin(), paired.end(), 0) == paired.end();
    mark_significant(result_);
    return std::move(result_);
  }

 private:
  void run_one(std::size_t i) {
    ran_[i] = run_cell(plans_[i], settings_);
    ComparedCell& cell = result_.cells[i];
    cell.label = plans_[i].label;
    cell.refusal = ran_[i].refusal;
    if (ran_[i].run) {
      cell.forecast = ran_[i].run->forecast;
      cell.verdict = verdict_of(cell.forecast);
      cell.slo_met = slo_met(cell.forecast);
    }
    const std::lock_guard<std::mutex> lock(drawing_);
    progress_.update(++done_);
  }

  void set_baseline(std::size_t first) {
    const RanExperiment& run = *ran_[first].run;
    result_.baseline = first;
    result_.requests = run.outcomes.size();
    result_.seed = run.forecast.seed;
    result_.version = run.forecast.version;
    result_.has_slo = run.forecast.metrics.has_slo;
    result_.resampling = {block_length_of(run.outcomes), replicates_for(run.outcomes.size()), result_.seed};
    baseline_ = measure(run.forecast, run.outcomes, result_.resampling, kPairedBlocks);
    fill(result_.cells[first], baseline_, nullptr);
  }

  /// \returns whether the cell saw as many requests as the baseline: those get equal blocks, others blocks of
  /// their own.
  bool measure_one(std::size_t i) {
    RanExperiment& run = *ran_[i].run;
    const bool paired = run.outcomes.size() == result_.requests;
    const std::string stream = paired ? kPairedBlocks : fmt::format("{}/{}", kPairedBlocks, i);
    fill(result_.cells[i], measure(run.forecast, run.outcomes, result_.resampling, stream), &baseline_);
    run.outcomes = {};  // a grid of many cells would not fit into memory
    return paired;
  }

  static constexpr const char* kPairedBlocks = "compare/blocks";

  const std::vector<CellPlan>& plans_;
  std::vector<Setting> settings_;
  unsigned threads_;
  Progress progress_;
  std::mutex drawing_;
  std::int64_t done_ = 0;
  std::vector<RanCell> ran_;
  MeasuredRun baseline_;
  Comparison result_;
};

ExitCode compare(const Options& options) {
  const std::vector<CellPlan> plans = plan_cells(options);
  Comparer comparer(plans, settings_of(options.report), options.report);
  ReportFiles files(options.report);
  Comparison comparison = comparer.run();
  comparison.command = options.report.command;
  write_report(files.json.get(), to_json(comparison));
  write_report(files.csv.get(), to_csv(comparison));
  write_report(files.markdown.get(), to_markdown(comparison));
  write_report(files.report.get(), to_html(comparison));
  if (files.table) fmt::print("{}", to_table(comparison, color_wanted(stdout)));
  return ExitCode::fine;
}

}  // namespace

Command add_compare(CLI::App& root, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->report.command = command;
  CLI::App* app = root.add_subcommand(
      "compare", "What if: scenarios on the same requests, each difference with its 90 % interval");
  app->add_option("scenarios", options->scenarios,
                  "Scenario files or built-in ones; the first is what the others are held against")
      ->type_name("FILE...");
  app->add_option("--vary", options->vary,
                  "Values of one scenario, the first being the baseline; several --vary make a grid: --vary "
                  "engine.kv_cache_dtype=auto,fp8 --vary engine.block_size=16,32")
      ->type_name("A.B=C,D")
      ->expected(1)
      ->take_all();
  add_report_options(*app, options->report);
  return {app, [options] { return compare(*options); }, {}};
}

}  // namespace kvcast
