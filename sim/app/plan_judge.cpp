// How sure a plan's numbers are: other samples of the traffic and other speeds of the step times.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sim/app/plan_study.h"
#include "sim/app/uncertainty.h"
#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

constexpr double kStandardErrors = 1.6448536269514722;  // the ends of a 90 % interval

/// A number of a point that gets an interval, beside the terms of the SLO.
struct Figure {
  const char* key;
  double (*value)(const Metrics&);
};

constexpr std::array<Figure, 10> kFigures{{
    {"request_throughput", [](const Metrics& m) { return m.request_throughput; }},
    {"request_goodput", [](const Metrics& m) { return m.request_goodput; }},
    {"output_throughput", [](const Metrics& m) { return m.output_throughput; }},
    {"p50_ttft_ms", [](const Metrics& m) { return m.ttft.p50; }},
    {"p99_ttft_ms", [](const Metrics& m) { return m.ttft.p99; }},
    {"p50_tpot_ms", [](const Metrics& m) { return m.tpot.p50; }},
    {"p99_tpot_ms", [](const Metrics& m) { return m.tpot.p99; }},
    {"p50_e2el_ms", [](const Metrics& m) { return m.e2el.p50; }},
    {"p99_e2el_ms", [](const Metrics& m) { return m.e2el.p99; }},
    {"kv_usage_peak", [](const Metrics& m) { return m.kv_usage_peak; }},
}};

/// What one run showed: the terms of the SLO, then the figures; and how near it came to its limits.
struct Drawn {
  std::vector<double> values;
  double strain = 0;
};

Drawn drawn(const PlanBench& bench, const Forecast& forecast) {
  Drawn result;
  for (const SloTerm& term : forecast.slo) result.values.push_back(term.value_ms);
  for (const Figure& figure : kFigures) result.values.push_back(figure.value(forecast.metrics));
  result.strain = bench.score(forecast).strain;
  return result;
}

/// How far steps that are slower, or faster, by the ends of the calibration's 90 % interval move a number, as
/// logarithms of its ratio. Both 0 where nothing is known of the error.
struct Leaning {
  double slow = 0, fast = 0;
};

Leaning leaning(double value, double slow, double fast) {
  constexpr double kMost = 10;  // e^10: who is left behind is late for ever
  const auto ratio = [&](double to) {
    if (!(value > 0)) return 0.0;
    if (!std::isfinite(to)) return kMost;
    return to > 0 ? std::clamp(portable_log(to / value), -kMost, kMost) : 0.0;
  };
  return {ratio(slow), ratio(fast)};
}

/// Both errors are independent: the distances of the ends from the value add as squares.
Interval widened(double value, const Interval& sampling, const Leaning& lean) {
  if (!(value > 0) || !(sampling.low > 0)) return sampling;
  const double up = portable_log(sampling.high / value), down = portable_log(sampling.low / value);
  const double slow = std::max({lean.slow, lean.fast, 0.0}), fast = std::min({lean.slow, lean.fast, 0.0});
  return {value * portable_exp(-std::sqrt(down * down + fast * fast)),
          value * portable_exp(std::sqrt(up * up + slow * slow))};
}

/// The probability over all speeds that the step times may have, normally distributed in standard errors.
double probability_over_speeds(const std::vector<double>& strains, const Leaning& lean) {
  if (lean.slow == 0 && lean.fast == 0) return probability_within(strains, 1);
  double sum = 0, weights = 0;
  for (int k = -40; k <= 40; ++k) {
    const double z = k / 10.0;
    const double weight = portable_exp(-z * z / 2);
    const double shift = (z >= 0 ? lean.slow : -lean.fast) * z / kStandardErrors;
    sum += weight * probability_within(strains, portable_exp(shift));
    weights += weight;
  }
  return sum / weights;
}

class Judge {
 public:
  Judge(const PlanBench& bench, const Chosen& chosen, unsigned threads, PlanPoint& point)
      : bench_(bench),
        chosen_(chosen),
        threads_(threads),
        point_(point),
        own_(drawn(bench, point.forecast)) {}

  /// \returns relative half-width of the widest interval of an expectation among the terms
  double draw(std::size_t count) {
    const std::size_t from = draws_.size();
    draws_.resize(count);
    for_each_parallel(count - from, threads_, [&](std::size_t i) {
      Traffic traffic = bench_.replication(from + i);
      if (point_.rate_factor != 1) traffic = changed(traffic, {.rate = point_.rate_factor});
      draws_[from + i] = run({.replicas = chosen_.replicas, .traffic = std::move(traffic)});
    });
    double widest = 0;
    for (std::size_t k = 0; k < point_.terms.size(); ++k) {
      const Interval mean = interval_of_mean(with_own(k));
      widest = std::max(widest, (mean.high - mean.low) / std::max(1e-12, mean.high + mean.low));
    }
    return widest;
  }

  void find_leanings() {
    const Experiment experiment = bench_.experiment(chosen_.design, {.replicas = chosen_.replicas});
    const double error =
        experiment.frame.calibrated ? time_errors(experiment, point_.forecast.metrics).steps : 0;
    leanings_.resize(own_.values.size());
    if (error <= 0) return;
    std::array<Drawn, 2> ends;
    for_each_parallel(2, threads_, [&](std::size_t i) {
      ends[i] = run({.replicas = chosen_.replicas,
                     .traffic = chosen_.traffic,
                     .step_factor = factor_of(error, i == 0 ? kStandardErrors : -kStandardErrors)});
    });
    for (std::size_t k = 0; k < own_.values.size(); ++k)
      leanings_[k] = leaning(own_.values[k], ends[0].values[k], ends[1].values[k]);
    strain_leaning_ = leaning(own_.strain, ends[0].strain, ends[1].strain);
  }

  /// \param expectations the draws were asked to make the mean known, too
  void fill(bool expectations) {
    const std::size_t terms = point_.terms.size();
    for (std::size_t k = 0; k < own_.values.size(); ++k) {
      std::vector<double> others;
      for (const Drawn& draw : draws_) others.push_back(draw.values[k]);
      const Interval interval =
          widened(own_.values[k], interval_around(own_.values[k], others), leanings_[k]);
      if (k >= terms) {
        point_.figures.push_back({kFigures[k - terms].key, own_.values[k], interval});
        continue;
      }
      point_.terms[k].interval_ms = interval;
      if (!expectations) continue;
      const Interval mean = interval_of_mean(with_own(k));
      point_.terms[k].mean_ms = (mean.low + mean.high) / 2;
      point_.terms[k].mean_interval_ms = mean;
    }
    std::vector<double> strains{own_.strain};
    for (const Drawn& draw : draws_) strains.push_back(draw.strain);
    point_.meets_probability = probability_over_speeds(strains, strain_leaning_);
  }

 private:
  [[nodiscard]] Drawn run(const Variant& variant) const {
    return drawn(bench_, bench_.forecast(chosen_.design, variant));
  }

  [[nodiscard]] std::vector<double> with_own(std::size_t k) const {
    std::vector<double> values{own_.values[k]};
    for (const Drawn& draw : draws_) values.push_back(draw.values[k]);
    return values;
  }

  const PlanBench& bench_;
  const Chosen& chosen_;
  unsigned threads_;
  PlanPoint& point_;
  Drawn own_;
  std::vector<Drawn> draws_;
  std::vector<Leaning> leanings_;
  Leaning strain_leaning_;
};

/// The statistic of the bootstrap that a term of the SLO is; gaps are pooled, no request owns their
/// percentiles.
std::optional<std::size_t> statistic_index(const SloTerm& term) {
  constexpr std::pair<const char*, Statistic> kMeans[] = {{"ttft", Statistic::mean_ttft},
                                                          {"tpot", Statistic::mean_tpot},
                                                          {"e2el", Statistic::mean_e2el},
                                                          {"queue", Statistic::mean_queue}};
  constexpr const char* kNames[] = {"mean", "p50", "p90", "p95", "p99"};
  const std::string statistic = term.statistic == "median" ? "p50" : term.statistic;
  for (const auto& [metric, mean] : kMeans) {
    for (std::size_t k = 0; k < 5; ++k) {
      if (term.metric == metric && statistic == kNames[k]) return static_cast<std::size_t>(mean) + k;
    }
  }
  if (term.metric == "itl" && statistic == "mean") return static_cast<std::size_t>(Statistic::mean_itl);
  return std::nullopt;
}

/// Traffic that waits for the server cannot be drawn again without it: blocks of what requests saw.
void judge_by_outcomes(const PlanBench& bench, const Chosen& chosen, const Judging& judging,
                       PlanPoint& point) {
  const RanExperiment ran =
      bench.run(chosen.design, {.replicas = chosen.replicas, .traffic = chosen.traffic});
  const Resampling resampling{block_length_of(ran.outcomes), replicates_for(ran.outcomes.size()),
                              judging.seed};
  const std::vector<StatisticValues> replicates = resample(ran.outcomes, resampling, "plan/blocks");
  std::size_t met = 0;
  for (const StatisticValues& values : replicates) {
    met += std::all_of(point.terms.begin(), point.terms.end(), [&](const PlanTerm& term) {
      const std::optional<std::size_t> at = statistic_index(term.term);
      return at ? !(values[*at] > term.term.limit_ms) : term.term.met;
    });
  }
  for (PlanTerm& term : point.terms) {
    const std::optional<std::size_t> at = statistic_index(term.term);
    if (!at) continue;
    std::vector<double> values;
    for (const StatisticValues& replicate : replicates) values.push_back(replicate[*at]);
    term.interval_ms = middle(values, 0.9);
  }
  point.meets_probability =
      static_cast<double>(met) / static_cast<double>(std::max<std::size_t>(replicates.size(), 1));
}

}  // namespace

std::size_t judge_point(const PlanBench& bench, const Chosen& chosen, const Judging& judging,
                        PlanPoint& point) {
  if (bench.replicating() == Replicating::by_outcomes) {
    judge_by_outcomes(bench, chosen, judging, point);
    return 0;
  }
  Judge judge(bench, chosen, judging.threads, point);
  std::size_t count = kReplications;
  double widest = judge.draw(count);
  const bool more = judging.relative_error > 0;
  while (more && widest > judging.relative_error && count < kReplicationsMax) {
    // Errors fall with the root of the number; never more than twice as many at once, the estimate is rough.
    const double ratio = widest / judging.relative_error;
    const double wanted = static_cast<double>(count) * std::min(2.0, std::max(1.1, ratio * ratio));
    count = std::min(kReplicationsMax, static_cast<std::size_t>(std::ceil(wanted)));
    widest = judge.draw(count);
    if (judging.progress) judging.progress();
  }
  judge.find_leanings();
  judge.fill(more);
  return count;
}

}  // namespace kvcast
