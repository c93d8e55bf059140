// 13 published runs of vLLM 0.15.1 on H100 by stage: each model family is judged with frontend times that
// were fitted to the other families. Nothing else is fitted; step times come from the embedded kernel
// calibration.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>

#include "measured/run_table.h"
#include "reports/validation_report.h"
#include "sim/app/validate_measured.h"
#include "tests/support/data.h"
#include "tests/support/errors_by_ranks.h"

namespace kvcast {
namespace {

/// One stage's mean TTFT without any frontend, and its measurement.
struct Point {
  std::string family;
  double tokens = 0;
  double measured_ms = 0;
  double forecast_ms = 0;
};

struct Frontend {
  double before_ms = 0;
  double per_token_ms = 0;
  double sum = INFINITY;  // of the relative errors
};

double sum_of_errors(const std::vector<Point>& points, const std::string& left_out, double before,
                     double per_token) {
  double sum = 0;
  for (const Point& point : points) {
    if (point.family == left_out) continue;
    sum += std::abs(point.forecast_ms + before + per_token * point.tokens - point.measured_ms) /
           point.measured_ms;
  }
  return sum;
}

/// Least absolute relative errors over before + per_token * tokens, neither negative: the best line passes
/// two points, or one and a bound.
Frontend fit(const std::vector<Point>& points, const std::string& left_out) {
  Frontend best;
  const auto consider = [&](double before, double per_token) {
    if (before < 0 || per_token < 0) return;
    const double sum = sum_of_errors(points, left_out, before, per_token);
    if (sum < best.sum) best = {before, per_token, sum};
  };
  consider(0, 0);
  for (const Point& a : points) {
    const double rest = a.measured_ms - a.forecast_ms;
    consider(rest, 0);
    consider(0, rest / a.tokens);
    for (const Point& b : points) {
      if (a.tokens == b.tokens || a.family == left_out || b.family == left_out) continue;
      const double slope = (rest - (b.measured_ms - b.forecast_ms)) / (a.tokens - b.tokens);
      consider(rest - slope * a.tokens, slope);
    }
  }
  return best;
}

std::vector<Setting> settings_of(const Frontend& frontend) {
  return {{"engine.frontend.before_us", std::to_string(1000 * frontend.before_ms)},
          {"engine.frontend.per_input_token_us", std::to_string(1000 * frontend.per_token_ms)}};
}

/// "meta-llama/Llama-2-7b-hf" is of Llama-2, the two Qwen2.5 of Qwen2.5, and so on.
std::string family_of(const std::string& model) {
  const std::string name = model.substr(model.find('/') + 1);
  std::size_t end = name.find('-');
  if (name.starts_with("Llama-")) end = name.find('-', end + 1);
  return name.substr(0, end);
}

std::int64_t ranks_of(const TableRun& run) {
  for (const auto& [path, value] : run.settings) {
    if (path == "cluster.tensor_parallel_size") return std::stoll(value);
  }
  return 1;
}

double input_tokens(const PartSummary& part) {
  return static_cast<double>(part.input_tokens) / static_cast<double>(part.completed);
}

double median_of(const Validation& validation, const std::string& metric) {
  for (const ErrorSummary& summary : summarize_errors(validation)) {
    if (summary.metric == metric && summary.statistic == "mean") return summary.median;
  }
  return INFINITY;
}

constexpr const char* kScenario = "vllm-0.15-h100";

std::vector<Point> points_of(const std::vector<TableRun>& runs) {
  std::vector<Point> points;
  for (const TableRun& run : runs) {
    const Experiment experiment = compose_run(kScenario, run, settings_of({0, 0, 0}));
    const LoadForecast forecast = forecast_load(experiment);
    for (const MeasuredLoad& load : run.loads) {
      const auto measured = load.find("ttft", "mean");
      const auto own = statistic_of(forecast.base, *load.stage, "ttft", "mean");
      BOOST_REQUIRE(measured && own);
      points.push_back(
          {family_of(run.model), input_tokens(forecast.base.parts[*load.stage]), *measured, *own});
    }
  }
  return points;
}

BOOST_AUTO_TEST_SUITE(vllm_runs)

BOOST_AUTO_TEST_CASE(each_family_judged_by_the_others) {
  const auto folder = test::data_folder("measured");
  if (!folder || !std::filesystem::exists(*folder / "vllm_0.15_runs.csv")) return;
  const auto runs = read_run_table(file_on_disk((*folder / "vllm_0.15_runs.csv").string()),
                                   file_on_disk((*folder / "vllm_0.15_runs_workloads.json").string()));
  const std::vector<Point> points = points_of(runs);
  const Frontend all = fit(points, "");
  std::map<std::string, Frontend> folds;
  test::ErrorsByRanks by_ranks;
  Validation validation;
  validation.title = "13 runs of vLLM 0.15.1 on H100, each family judged by the others";
  for (const TableRun& run : runs) {
    const std::string family = family_of(run.model);
    if (!folds.contains(family)) folds[family] = fit(points, family);
    const Experiment experiment = compose_run(kScenario, run, settings_of(folds[family]));
    const LoadForecast forecast = forecast_load(experiment);
    validation.timer = experiment.frame.timer;
    if (forecast.slow) validation.confidence = 0.9;
    for (const MeasuredLoad& load : run.loads) {
      ValidatedLoad compared = compare_load(experiment, forecast, *load.stage, load);
      compared.run = run.name;
      for (const ValidatedValue& value : compared.values) {
        if (value.statistic == "mean") by_ranks.add(value.metric, ranks_of(run), value.error());
      }
      validation.loads.push_back(std::move(compared));
    }
  }
  for (const auto& [family, frontend] : folds) {
    BOOST_TEST_MESSAGE("without " << family << ": " << 1000 * frontend.before_ms << " us + "
                                  << 1000 * frontend.per_token_ms << " us a prompt token");
  }
  BOOST_TEST_MESSAGE("all: " << 1000 * all.before_ms << " us + " << 1000 * all.per_token_ms
                             << " us a prompt token\n");
  BOOST_TEST_MESSAGE(to_markdown(validation));
  BOOST_TEST_MESSAGE(by_ranks.table());
  BOOST_TEST(validation.loads.size() == 21U);
  BOOST_TEST(median_of(validation, "e2el") < 0.07);
  BOOST_TEST(median_of(validation, "ttft") < 0.12);
  BOOST_TEST(median_of(validation, "itl") < 0.09);
  const Coverage coverage = coverage_of(validation);
  BOOST_TEST(static_cast<double>(coverage.inside) >= 0.8 * static_cast<double>(coverage.of));
  BOOST_TEST(static_cast<double>(coverage.inside) <= 0.97 * static_cast<double>(coverage.of));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
