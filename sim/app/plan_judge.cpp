// How sure a plan's numbers are: other samples of the traffic and other speeds of the step times.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "sim/app/plan_study.h"
#include "sim/app/uncertainty.h"
#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

constexpr double kStandardErrors = 1.6448536269514722;  // the ends of a 90 % interval

/// What one run showed: the terms of the SLO, then the figures; and how near it came to its limits.
struct Drawn {
  std::vector<double> values;
  double strain = 0;
};

Drawn drawn(const RunNumbers& numbers) {
  Drawn result{numbers.terms, numbers.score.strain};
  result.values.insert(result.values.end(), numbers.figures.begin(), numbers.figures.end());
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

/// Two independent errors: the distances of the ends add as squares.
Leaning both(const Leaning& a, const Leaning& b) {
  const auto add = [](double x, double y) { return std::sqrt(x * x + y * y); };
  return {add(std::max({a.slow, a.fast, 0.0}), std::max({b.slow, b.fast, 0.0})),
          -add(std::min({a.slow, a.fast, 0.0}), std::min({b.slow, b.fast, 0.0}))};
}

/// What the sample leaves open is independent of the speeds too.
Interval widened(double value, const Interval& sampling, const Leaning& lean) {
  if (!(value > 0) || !(sampling.low > 0)) return sampling;
  const double up = portable_log(sampling.high / value), down = portable_log(sampling.low / value);
  const double slow = std::max({lean.slow, lean.fast, 0.0}), fast = std::min({lean.slow, lean.fast, 0.0});
  return {value * portable_exp(-std::sqrt(down * down + fast * fast)),
          value * portable_exp(std::sqrt(up * up + slow * slow))};
}

/// How the terms of an SLO move with the speed of the steps and with that of the frontend.
struct TermLeanings {
  std::vector<Leaning> steps, frontend;  // by term; frontend may be empty
};

/// The logarithm of what a leaning does to a number at so many standard errors.
double shift_of(const Leaning& lean, double errors) {
  return (errors >= 0 ? lean.slow : -lean.fast) * errors / kStandardErrors;
}

/// The mean over all speeds that step times and frontend may have, both normally distributed and independent.
/// \param within the probability where each term is multiplied by its factor
double mean_over_speeds(std::size_t terms, const TermLeanings& lean,
                        const std::function<double(const std::vector<double>& factors)>& within) {
  constexpr int kEnd = 16;  // four standard errors
  constexpr double kStep = 0.25;
  const int steps_end = lean.steps.empty() ? 0 : kEnd, frontend_end = lean.frontend.empty() ? 0 : kEnd;
  std::vector<double> factors(terms, 1.0);
  double sum = 0, weights = 0;
  for (int i = -steps_end; i <= steps_end; ++i) {
    for (int k = -frontend_end; k <= frontend_end; ++k) {
      const double steps = i * kStep, frontend = k * kStep;
      for (std::size_t term = 0; term < terms; ++term) {
        double shift = lean.steps.empty() ? 0 : shift_of(lean.steps[term], steps);
        if (!lean.frontend.empty()) shift += shift_of(lean.frontend[term], frontend);
        factors[term] = portable_exp(shift);
      }
      const double weight = portable_exp(-(steps * steps + frontend * frontend) / 2);
      sum += weight * within(factors);
      weights += weight;
    }
  }
  return sum / weights;
}

/// Judges one point.
class Judge {
 public:
  Judge(PlanRuns& runs, const Chosen& chosen, unsigned threads, PlanPoint& point)
      : runs_(runs),
        chosen_(chosen),
        threads_(threads),
        point_(point),
        own_(drawn(numbers_of(runs.bench(), point.forecast))) {}

  void take_draws_of(Judge& other) { draws_ = std::move(other.draws_); }
  void make_room(std::size_t count) { draws_.resize(count); }
  [[nodiscard]] std::size_t count() const { return draws_.size(); }

  /// One sample of the traffic. \param sample the same for all points
  void draw(std::size_t index, const std::function<Traffic()>& sample) {
    const double rate = chosen_.rate;
    const NamedTraffic traffic{fmt::format("sample {}, rate {}", index, rate), [&sample, rate] {
                                 return rate == 1 ? sample() : changed(sample(), {.rate = rate});
                               }};
    draws_[index] = drawn(runs_.run(chosen_.design, {.replicas = chosen_.replicas}, traffic));
  }

  /// Relative half-width of the widest interval of an expectation among the terms.
  [[nodiscard]] double widest() const {
    double widest = 0;
    for (std::size_t k = 0; k < point_.terms.size(); ++k) {
      const Interval mean = interval_of_mean(with_own(k));
      widest = std::max(widest, (mean.high - mean.low) / std::max(1e-12, mean.high + mean.low));
    }
    return widest;
  }

  void find_leanings() {
    leanings_.resize(own_.values.size());
    const Experiment experiment = runs_.bench().experiment(chosen_.design, {.replicas = chosen_.replicas});
    if (!experiment.frame.calibrated) return;
    const TimeErrors errors = time_errors(experiment, point_.forecast.metrics);
    if (errors.steps <= 0) return;
    std::vector<Variant> ends;
    for (const double sign : {1.0, -1.0}) {
      Variant end{.replicas = chosen_.replicas};
      end.step_factor = factor_of(errors.steps, sign * kStandardErrors);
      ends.push_back(end);
    }
    for (const double sign : {1.0, -1.0}) {
      if (errors.frontend <= 0) break;
      Variant end{.replicas = chosen_.replicas};
      end.frontend_factor = factor_of(errors.frontend, sign * kStandardErrors);
      ends.push_back(end);
    }
    std::vector<Drawn> runs(ends.size());
    for_each_parallel(ends.size(), threads_, [&](std::size_t i) {
      runs[i] = drawn(runs_.run(chosen_.design, ends[i], traffic_of(runs_.bench(), chosen_)));
    });
    for (std::size_t k = 0; k < own_.values.size(); ++k) {
      const auto between = [&](std::size_t slow) {
        return leaning(own_.values[k], runs[slow].values[k], runs[slow + 1].values[k]);
      };
      leanings_[k] = runs.size() == 2 ? between(0) : both(between(0), between(2));
    }
    for (std::size_t k = 0; k < point_.terms.size(); ++k) {
      // Who leaves requests behind misses every term.
      const auto value = [k](const Drawn& run) {
        return std::isfinite(run.strain) ? run.values[k] : run.strain;
      };
      const auto between = [&](std::size_t slow) {
        return leaning(own_.values[k], value(runs[slow]), value(runs[slow + 1]));
      };
      term_leanings_.steps.push_back(between(0));
      if (runs.size() > 2) term_leanings_.frontend.push_back(between(2));
    }
  }

  /// \param expectations the draws were asked to make the mean known, too
  void fill(bool expectations) {
    const std::size_t terms = point_.terms.size();
    for (std::size_t k = 0; k < own_.values.size(); ++k) {
      std::vector<double> others;
      for (const Drawn& draw : draws_) others.push_back(draw.values[k]);
      const Interval interval = widened(
          own_.values[k], interval_around(own_.values[k], others, runs_.bench().resampled()), leanings_[k]);
      if (k >= terms) {
        point_.figures.push_back({plan_figures()[k - terms].key, own_.values[k], interval});
        continue;
      }
      point_.terms[k].interval_ms = interval;
      if (!expectations) continue;
      const Interval mean = interval_of_mean(with_own(k));
      point_.terms[k].mean_ms = (mean.low + mean.high) / 2;
      point_.terms[k].mean_interval_ms = mean;
    }
    point_.meets_probability = probability();
  }

 private:
  /// How near a run comes to its limits where each term is multiplied by its factor.
  [[nodiscard]] double strain_of(const Drawn& run, const std::vector<double>& factors) const {
    if (!std::isfinite(run.strain)) return run.strain;
    double strain = 0;
    for (std::size_t k = 0; k < factors.size(); ++k)
      strain = std::max(strain, run.values[k] * factors[k] / point_.terms[k].term.limit_ms);
    return strain;
  }

  [[nodiscard]] double probability() const {
    const bool by_blocks = runs_.bench().replicating() == Replicating::by_blocks;
    std::vector<double> strains;
    return mean_over_speeds(point_.terms.size(), term_leanings_, [&](const std::vector<double>& factors) {
      strains.clear();
      for (const Drawn& draw : draws_) strains.push_back(strain_of(draw, factors));
      const double own = strain_of(own_, factors);
      if (by_blocks) return probability_within_resampled(own, strains, runs_.bench().resampled());
      strains.push_back(own);
      return probability_within(strains);
    });
  }

  [[nodiscard]] std::vector<double> with_own(std::size_t k) const {
    std::vector<double> values{own_.values[k]};
    for (const Drawn& draw : draws_) values.push_back(draw.values[k]);
    return values;
  }

  PlanRuns& runs_;
  const Chosen& chosen_;
  unsigned threads_;
  PlanPoint& point_;
  Drawn own_;
  std::vector<Drawn> draws_;
  std::vector<Leaning> leanings_;  // of all values, both errors together
  TermLeanings term_leanings_;
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
  const RanExperiment ran = bench.run(chosen.design, {.replicas = chosen.replicas});
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

/// Draws samples up to `count`, each for all judges at once: it is made once.
void draw(const PlanBench& bench, std::vector<Judge>& judges, std::size_t count, unsigned threads) {
  const std::size_t from = judges.front().count();
  for (Judge& judge : judges) judge.make_room(count);
  for_each_parallel(count - from, threads, [&](std::size_t i) {
    const std::size_t index = from + i;
    Traffic made;
    const auto sample = [&] {
      if (made == nullptr) made = bench.replication(index);
      return made;
    };
    for (Judge& judge : judges) judge.draw(index, sample);
  });
}

/// More samples for the first point until the expectation of its terms is known well enough.
void draw_more(const PlanBench& bench, Judge& first, const Judging& judging) {
  std::vector<Judge> alone{first};
  double widest = alone.front().widest();
  while (widest > judging.relative_error && alone.front().count() < kReplicationsMax) {
    // Errors fall with the root of the number; never more than twice as many at once, the estimate is rough.
    const double ratio = widest / judging.relative_error;
    const double wanted =
        static_cast<double>(alone.front().count()) * std::min(2.0, std::max(1.1, ratio * ratio));
    draw(bench, alone, std::min(kReplicationsMax, static_cast<std::size_t>(std::ceil(wanted))),
         judging.threads);
    widest = alone.front().widest();
  }
  first.take_draws_of(alone.front());
}

}  // namespace

std::size_t judge_points(PlanRuns& runs, const std::vector<Chosen>& chosen, const Judging& judging,
                         std::vector<PlanPoint>& points) {
  KVCAST_CHECK(!chosen.empty() && chosen.size() <= points.size());
  const PlanBench& bench = runs.bench();
  if (bench.replicating() == Replicating::by_outcomes) {
    for (std::size_t i = 0; i < chosen.size(); ++i) judge_by_outcomes(bench, chosen[i], judging, points[i]);
    return 0;
  }
  std::vector<Judge> judges;
  for (std::size_t i = 0; i < chosen.size(); ++i)
    judges.emplace_back(runs, chosen[i], judging.threads, points[i]);
  draw(bench, judges, kReplications, judging.threads);
  const bool more = judging.relative_error > 0;
  if (more) draw_more(bench, judges.front(), judging);
  for (std::size_t i = 0; i < judges.size(); ++i) {
    judges[i].find_leanings();
    judges[i].fill(more && i == 0);
  }
  return judges.front().count();
}

}  // namespace kvcast
