#include "tests/coverage/estimators.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>

#include "sim/app/plan_study.h"
#include "sim/base/error.h"
#include "sim/base/rng.h"
#include "sim/plan/comparison.h"
#include "sim/plan/parallel.h"

namespace kvcast::coverage {
namespace {

/// Seeds of the samples that are judged.
std::uint64_t seed_of(std::size_t replication) { return replication + 1; }

const Truth& truth_for(const Truths& truths, std::size_t replication) {
  return truths.speeds[replication % truths.speeds.size()];
}

/// How many times as high as the truth's the limits of a replication are: whoever sets limits knows nothing
/// of the truth, so that all between hopeless and safe are equally likely.
double limits_factor(const Truths& truths, std::size_t replication) {
  constexpr double kDeviations = 3;
  RandomStream random(seed_of(replication), "coverage/limits");
  return std::exp(truths.log_middle + truths.log_deviation * kDeviations * (2 * random.uniform() - 1));
}

/// The sample as kvcast's own JSON lines; arrivals lose what they have below a microsecond.
std::string write_trace(const PlanBench& bench, const std::string& path) {
  std::ofstream out(path);
  for (const Request& request : *bench.traffic())
    out << fmt::format(R"({{"id": "{}", "arrival_us": {}, "input_tokens": {}, "output_tokens": {}}})",
                       static_cast<std::uint64_t>(request.id),
                       request.arrival.time_since_epoch().count() / 1000, request.input.value,
                       request.output.value)
        << '\n';
  out.close();
  KVCAST_CHECK(out.good());
  return path;
}

/// A cell of `compare`: a design on one sample of the traffic, and on others as compare draws them.
MeasuredRun measured(const PlanBench& bench, const Design& design) {
  constexpr std::size_t kSamples = 16;
  std::vector<std::vector<double>> others;
  for (std::size_t i = 0; i < kSamples; ++i)
    others.push_back(compared_values(bench.forecast(design, {.traffic = bench.replication(i)})));
  return measure_by_samples(bench.forecast(design, {}), others, bench.replicating(), bench.resampled());
}

/// One sample of a load: synthetic, or as a trace of which nothing is known but itself.
PlanBench bench_for(const Load& load, std::size_t replication, const Limits& limits,
                    const Replications& replications, bool trace) {
  PlanBench bench = bench_of(load, seed_of(replication), limits);
  if (!trace) return bench;
  const std::string path = replications.folder + "/" + load.name + std::to_string(replication) + ".jsonl";
  return bench_of(load, seed_of(replication), limits, write_trace(bench, path));
}

/// One replication's intervals, by figure; the truth that each should hold.
struct Held {
  std::vector<Interval> intervals;
  std::vector<double> truths;
};

/// Judges every replication with `judge`, side by side.
Judged judge_all(const std::string& estimator, const Load& load, const Replications& replications,
                 const std::function<Held(std::size_t)>& judge) {
  std::vector<Held> held(replications.count);
  for_each_parallel(replications.count, replications.threads, [&](std::size_t i) { held[i] = judge(i); });
  Judged judged;
  judged.coverage.estimator = estimator;
  judged.coverage.load = load.name + (load.kept_aside ? " (kept aside)" : "");
  judged.coverage.count = replications.count;
  for (const Held& one : held) {
    for (std::size_t k = 0; k < figures().size(); ++k)
      judged.coverage.add(figures()[k].key, one.intervals[k], one.truths[k]);
  }
  return judged;
}

}  // namespace

Judged judge_plan(const Load& load, const Truths& truths, const Replications& replications, bool trace) {
  std::vector<Stated> stated(replications.count);
  const auto judge = [&](std::size_t i) {
    const double factor = limits_factor(truths, i);
    const Limits limits{truths.limits.ttft_ms * factor, truths.limits.tpot_ms * factor};
    const PlanBench bench = bench_for(load, i, limits, replications, trace);
    PlanPoint point;
    const Design design = design_of(bench);
    point.forecast = bench.forecast(design, {});
    point.score = bench.score(point.forecast);
    for (const SloTerm& term : point.forecast.slo) point.terms.push_back({term, std::nullopt});
    PlanRuns runs(bench, "", {});
    std::vector<PlanPoint> points{point};
    (void)judge_points(runs, {{design, 1}}, {seed_of(i), 0, 1}, points);
    point = points.front();
    const Truth& truth = truth_for(truths, i);
    stated[i] = {point.meets_probability.value_or(0), truth.met(factor), point.score.met};
    Held held;
    held.truths = truth.means;
    for (const Figure& figure : figures()) {
      for (const PlanFigure& known : point.figures) {
        if (known.key == figure.key) held.intervals.push_back(known.interval);
      }
    }
    KVCAST_CHECK(held.intervals.size() == figures().size());
    return held;
  };
  Judged judged = judge_all(trace ? "plan, trace" : "plan", load, replications, judge);
  judged.stated = stated;
  return judged;
}

Judged judge_compare(const Load& load, const Truths& truths, const Replications& replications, bool trace) {
  const auto judge = [&](std::size_t i) {
    const PlanBench bench = bench_for(load, i, truths.limits, replications, trace);
    Design design = design_of(bench);
    const MeasuredRun baseline = measured(bench, design);
    design.settings.insert(design.settings.end(), load.other.begin(), load.other.end());
    ComparedCell cell;
    fill(cell, measured(bench, design), &baseline);
    const Truth& truth = truths.speeds[truths.speeds.size() / 2];
    Held held;
    for (std::size_t k = 0; k < figures().size(); ++k) {
      const std::optional<Interval> interval = cell.differences[metric_index(figures()[k].key)].interval;
      KVCAST_CHECK(interval.has_value());
      held.intervals.push_back(*interval);
      held.truths.push_back(truth.other_means[k] - truth.means[k]);
    }
    return held;
  };
  return judge_all(trace ? "compare, trace" : "compare", load, replications, judge);
}

Judged judge_simulate(const Load& load, const Truths& truths, const Replications& replications) {
  const auto judge = [&](std::size_t i) {
    const PlanBench bench = bench_of(load, seed_of(i), truths.limits);
    const Design design = design_of(bench);
    const Experiment experiment = bench.experiment(design, {});
    const Metrics metrics = bench.forecast(design, {}).metrics;
    const Uncertainty uncertainty = find_uncertainty(experiment, metrics, metrics.completed, 1);
    KVCAST_CHECK(uncertainty.unknown.empty());
    const Variant variant = at_speed(truth_for(truths, i), time_errors(experiment, metrics));
    const Metrics other = bench.forecast(design, variant).metrics;
    Held held;
    for (const Figure& figure : figures()) {
      const std::string key = figure.key;
      const bool latency = key.ends_with("_ms");
      const UncertainValue* value = latency
                                        ? uncertainty.find(key.substr(4, key.size() - 7), key.substr(0, 3))
                                        : uncertainty.find(key, "");
      KVCAST_CHECK(value != nullptr);
      held.intervals.push_back({value->low, value->high});
      held.truths.push_back(figure.value(other));
    }
    return held;
  };
  return judge_all("simulate", load, replications, judge);
}

}  // namespace kvcast::coverage
