// kvcast compare: scenarios, or one scenario with values varied, on the same requests.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include "reports/compare_report.h"
#include "reports/progress.h"
#include "reports/report.h"
#include "sim/app/commands.h"
#include "sim/app/compare_traffic.h"
#include "sim/app/experiments.h"
#include "sim/app/grid.h"
#include "sim/plan/comparison.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

constexpr std::int64_t kCellsMax = 1000;

struct Options {
  std::vector<std::string> scenarios;
  std::vector<std::string> vary;
  ReportOptions report;
};

/// What one cell runs.
struct CellPlan {
  std::string label;
  std::string scenario;
  std::vector<Setting> settings;  // of the variation
};

/// Every combination of the values; the last variation changes fastest.
std::vector<CellPlan> plan_grid(const std::string& scenario, const std::vector<Variation>& variations) {
  const std::int64_t count = count_combinations(variations, kCellsMax);
  std::vector<CellPlan> cells;
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<Setting> settings = combination(variations, i);
    std::string label = label_of(settings);
    cells.push_back({std::move(label), scenario, std::move(settings)});
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
  return plan_grid(options.scenarios.empty() ? "default" : options.scenarios.front(),
                   parse_variations(options.vary));
}

/// A value that no combination accepts is a mistake of the user, not a result.
void refuse_useless(const std::vector<CellPlan>& plans, const std::vector<RanPoint>& cells) {
  std::vector<PointOutcome> points;
  for (std::size_t i = 0; i < plans.size(); ++i)
    points.push_back({plans[i].settings, cells[i].refused, cells[i].reason});
  refuse_useless_values(points);
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
        runs_(static_cast<std::int64_t>(plans.size())),
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
      refuse_useless(plans_, ran_);
      throw InputError(ran_.front().reason, ExitCode::infeasible);
    }
    set_baseline(first);
    std::vector<char> paired(plans_.size(), 1);
    for_each_parallel(plans_.size() - first - 1, threads_, [&](std::size_t k) {
      const std::size_t i = first + 1 + k;
      run_one(i);
      if (ran_[i].run && result_.samples == 0) paired[i] = measure_one(i) ? 1 : 0;
    });
    if (result_.samples > 0) measure_by_samples_of_traffic(paired);
    progress_.clear();
    refuse_useless(plans_, ran_);
    result_.paired = std::find(paired.begin(), paired.end(), 0) == paired.end();
    mark_significant(result_);
    return std::move(result_);
  }

 private:
  void run_one(std::size_t i) {
    ran_[i] = run_point(plans_[i].scenario, settings_, plans_[i].settings);
    ComparedCell& cell = result_.cells[i];
    cell.label = plans_[i].label;
    cell.refusal = ran_[i].reason;
    if (ran_[i].run) {
      cell.forecast = ran_[i].run->forecast;
      cell.verdict = verdict_of(cell.forecast);
      cell.slo_met = slo_met(cell.forecast);
    }
    count_run();
  }

  void set_baseline(std::size_t first) {
    const RanExperiment& run = *ran_[first].run;
    result_.baseline = first;
    result_.requests = run.outcomes.size();
    result_.seed = run.forecast.seed;
    result_.version = run.forecast.version;
    result_.has_slo = run.forecast.metrics.has_slo;
    // A queue remembers longer than blocks of what requests saw can be: traffic is drawn or resampled, and
    // simulated again, where that is possible.
    if (result_.requests <= kDrawnRequestsMax) find_traffic(first);
    if (result_.replicating != Replicating::by_outcomes) {
      result_.samples = kSamples;
      return;
    }
    result_.resampling = {block_length_of(run.outcomes), replicates_for(run.outcomes.size()), result_.seed};
    baseline_ = measure(run.forecast, run.outcomes, result_.resampling, kPairedBlocks);
    fill(result_.cells[first], baseline_, nullptr);
  }

  void find_traffic(std::size_t first) {
    std::vector<CellScenario> cells;
    for (std::size_t i = first; i < plans_.size(); ++i) {
      cells.push_back({plans_[i].scenario, settings_});
      cells.back().settings.insert(cells.back().settings.end(), plans_[i].settings.begin(),
                                   plans_[i].settings.end());
    }
    traffics_.emplace(cells, result_.seed, kDrawnRequestsMax);
    first_ = first;
    result_.replicating = traffics_->replicating();
    if (result_.replicating == Replicating::by_blocks) result_.blocks = traffics_->resampler(0)->blocks();
  }

  /// Cells that ran, each on the same samples of the traffic.
  void measure_by_samples_of_traffic(std::vector<char>& paired) {
    std::vector<std::size_t> cells;
    for (std::size_t i = 0; i < plans_.size(); ++i) {
      if (!ran_[i].run) continue;
      cells.push_back(i);
      paired[i] = ran_[i].run->outcomes.size() == result_.requests ? 1 : 0;
      ran_[i].run->outcomes = {};
    }
    runs_ = static_cast<std::int64_t>(plans_.size() + cells.size() * result_.samples);
    std::vector<std::vector<std::vector<double>>> drawn(plans_.size(),
                                                        std::vector<std::vector<double>>(result_.samples));
    for_each_parallel(cells.size() * result_.samples, threads_, [&](std::size_t k) {
      const std::size_t cell = cells[k / result_.samples], sample = k % result_.samples;
      drawn[cell][sample] = draw(cell, sample);
    });
    for (const std::size_t i : cells) {
      const TrafficResampler* resampler = traffics_->resampler(i - first_);
      const MeasuredRun measured =
          measure_by_samples(ran_[i].run->forecast, drawn[i], result_.replicating,
                             resampler != nullptr ? resampler->resampled() : Resampled{});
      if (i == result_.baseline) baseline_ = measured;
      fill(result_.cells[i], measured, i == result_.baseline ? nullptr : &baseline_);
    }
  }

  std::vector<double> draw(std::size_t cell, std::size_t sample) {
    std::vector<Setting> point = plans_[cell].settings;
    Traffic traffic;
    if (result_.replicating == Replicating::by_blocks) {
      traffic = traffics_->resampler(cell - first_)->sample(sample);
    } else {
      constexpr std::uint64_t kStride = 1'000'003;  // seeds that nobody types next to each other
      const std::uint64_t seed = ran_[cell].run->forecast.seed + kStride * (sample + 1);
      point.push_back({"seed", std::to_string(seed % (std::uint64_t{1} << 62))});
    }
    const RanPoint ran = run_point(plans_[cell].scenario, settings_, point, traffic);
    KVCAST_CHECK(ran.run.has_value());
    count_run();
    return compared_values(ran.run->forecast);
  }

  void count_run() {
    const std::lock_guard<std::mutex> lock(drawing_);
    progress_.update(++done_, runs_);
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

  static constexpr std::size_t kSamples = 16;
  static constexpr std::size_t kDrawnRequestsMax = 50'000;
  static constexpr const char* kPairedBlocks = "compare/blocks";

  const std::vector<CellPlan>& plans_;
  std::vector<Setting> settings_;
  unsigned threads_;
  Progress progress_;
  std::mutex drawing_;
  std::int64_t done_ = 0, runs_ = 0;
  std::size_t first_ = 0;  // the first cell that traffics_ knows
  std::optional<CellTraffics> traffics_;
  std::vector<RanPoint> ran_;
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

Command add_compare(CommandParser root, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->report.command = command;
  const CommandParser app = root.add_subcommand(
      "compare", "What if: scenarios on the same requests, each difference with its 90 % interval");
  app.add_option("scenarios", options->scenarios,
                 "Scenario files or built-in ones; the first is what the others are held against")
      .type_name("FILE...");
  app.add_option("--vary", options->vary,
                 "Values of one scenario, the first being the baseline; several --vary make a grid: --vary "
                 "engine.kv_cache_dtype=auto,fp8 --vary engine.block_size=16,32")
      .type_name("A.B=C,D")
      .expected(1)
      .take_all();
  add_report_options(app, options->report);
  return {app, [options] { return compare(*options); }, {}};
}

}  // namespace kvcast
