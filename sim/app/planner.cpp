#include "sim/app/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <set>

#include "reports/format.h"
#include "sim/app/plan_bench.h"
#include "sim/app/plan_study.h"
#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

constexpr std::size_t kPointsShown = 10;
constexpr std::size_t kPointsJudged = 3;
constexpr std::size_t kReasonsShown = 5;

// The goal "rate" is a search over a ladder whose step 1 is the fastest traffic and whose last is the
// slowest.
constexpr double kRateHighest = 16;
constexpr double kRatePerStep = 1.0442737824274138;  // 2^(1/16)
constexpr std::int64_t kRateSteps = 129;             // down to 1/16

double rate_of_step(std::int64_t step) {
  return kRateHighest * portable_exp(-portable_log(kRatePerStep) * static_cast<double>(step - 1));
}

class Planner {
 public:
  explicit Planner(const PlanQuestion& question)
      : question_(question),
        bench_(question.scenario, question.settings, question.space),
        runs_(bench_, question.journal, [this](std::size_t requests) { report(requests); }) {}

  PlanResult make() {
    if (question_.relative_error > 0 && bench_.replicating() != Replicating::by_seed)
      throw InputError(
          "--target-relative-error: needs synthetic traffic, which can be drawn again without end; this "
          "traffic is one "
          "sample, whose error no simulation makes smaller");
    fill_frame();
    designs_ = bench_.designs(question_.threads);
    sort_out();
    bound();
    look();
    collect_points();
    finish();
    return std::move(result_);
  }

 private:
  [[nodiscard]] PlanGoal goal() const { return question_.space.goal; }
  [[nodiscard]] bool by_rate() const { return goal() == PlanGoal::rate; }

  void fill_frame() {
    result_.goal = to_string(goal());
    result_.requests = bench_.requests();
    result_.rate = bench_.rate();
    result_.notes = bench_.notes();
    result_.seed = bench_.base().seed;
    result_.version = KVCAST_VERSION;
    std::string terms;
    for (const SloBound& bound : bench_.base().slo) {
      terms += fmt::format(", {} {} at most {}", bound.statistic, latency_text(bound.metric).name,
                           latency(bound.limit_ms));
    }
    const std::string model =
        bench_.base().deployment.model ? bench_.base().deployment.model->name : "step times by formula";
    result_.title =
        fmt::format("{}: {} requests{}{}", model, grouped(static_cast<std::int64_t>(result_.requests)),
                    result_.rate > 0 ? fmt::format(" at {} req/s", significant(result_.rate)) : "", terms);
  }

  /// Those that fit, and why the others do not.
  void sort_out() {
    result_.candidates = designs_.size();
    for (std::size_t i = 0; i < designs_.size(); ++i) {
      if (designs_[i].refusal.empty()) {
        fitting_.push_back(i);
        continue;
      }
      ++result_.candidates_unfit;
      const bool known =
          std::find(result_.unfit.begin(), result_.unfit.end(), designs_[i].refusal) != result_.unfit.end();
      if (!known && result_.unfit.size() < kReasonsShown) result_.unfit.push_back(designs_[i].refusal);
    }
    const auto calibrated = std::count_if(fitting_.begin(), fitting_.end(),
                                          [&](std::size_t i) { return designs_[i].calibrated; });
    if (calibrated > 0 && static_cast<std::size_t>(calibrated) < fitting_.size()) {
      result_.notes.emplace_back(
          "Some GPUs of the search have calibrated step times and others those of their data sheet, which "
          "real engines "
          "do not reach: between them the comparison favours the uncalibrated");
    }
    if (fitting_.empty()) {
      throw InputError("no design fits; the first: " + designs_.front().refusal, ExitCode::infeasible);
    }
  }

  [[nodiscard]] std::int64_t replicas_max(const Design& design) const {
    return bench_.space().max_gpus / design.gpus_per_replica;
  }

  /// Ladders of all designs that fit, cut from below by what no scheduler can do.
  void bound() {
    std::vector<PlanBench::Floor> floors(fitting_.size());
    // The router changes no bound.
    std::map<std::string, std::size_t> first_of_kind;
    std::vector<std::size_t> same_as(fitting_.size());
    std::vector<std::size_t> kinds;
    for (std::size_t k = 0; k < fitting_.size(); ++k) {
      std::string kind;
      for (const PlanChoice& choice : designs_[fitting_[k]].choices) {
        if (choice.key != "cluster.router") kind += choice.value + "\n";
      }
      const auto [at, is_new] = first_of_kind.try_emplace(kind, k);
      same_as[k] = at->second;
      if (is_new) kinds.push_back(k);
    }
    for_each_parallel(kinds.size(), question_.threads, [&](std::size_t i) {
      const std::size_t k = kinds[i];
      floors[k] = bench_.floor(designs_[fitting_[k]], by_rate() ? nullptr : bench_.traffic());
    });
    for (std::size_t k = 0; k < fitting_.size(); ++k) {
      const Design& design = designs_[fitting_[k]];
      const PlanBench::Floor floor = floors[same_as[k]];
      Candidate candidate;
      candidate.replicas_max = by_rate() ? kRateSteps : replicas_max(design);
      candidate.cost_per_replica =
          by_rate() ? 1 : design.price_per_gpu_hour * static_cast<double>(design.gpus_per_replica);
      candidate.replicas_min = floor.hopeless ? candidate.replicas_max + 1 : floor.replicas_min;
      if (floor.hopeless || candidate.replicas_min > candidate.replicas_max) ++result_.candidates_hopeless;
      if (goal() != PlanGoal::goodput) {
        result_.points_bounded +=
            static_cast<std::size_t>(std::min(candidate.replicas_min - 1, candidate.replicas_max));
      } else {
        candidate.replicas_min = candidate.replicas_max;  // the whole budget, whatever its goodput
      }
      candidates_.push_back(candidate);
    }
    const bool none = std::all_of(candidates_.begin(), candidates_.end(), [](const Candidate& candidate) {
      return candidate.replicas_min > candidate.replicas_max;
    });
    if (!none) return;
    // Nothing can meet the SLO: the largest clusters show what comes nearest.
    for (Candidate& candidate : candidates_) candidate.replicas_min = candidate.replicas_max;
  }

  Score run_trial(const Trial& trial) {
    const Chosen at = chosen({trial.candidate, trial.replicas, {}});
    const RunNumbers numbers =
        runs_.run(at.design, {.replicas = at.replicas, .requests = trial.requests}, traffic_of(bench_, at));
    if (trial.requests == bench_.requests()) {
      const std::lock_guard<std::mutex> lock(keeping_);
      whole_runs_.insert_or_assign({trial.candidate, trial.replicas}, numbers);
    }
    return numbers.score;
  }

  /// Tells of the requests that were simulated, and of how many it will be.
  void report(std::size_t requests) {
    simulated_ += static_cast<double>(requests);
    if (question_.progress) question_.progress(simulated_, std::max(expected_, simulated_));
  }

  /// What follows the search: samples and speeds of the judged, the knee and the sensitivity of the winner.
  [[nodiscard]] double expected_after_search() const {
    constexpr double kSpeeds = 4, kStudy = 30;
    const double runs =
        static_cast<double>(kPointsJudged) * (static_cast<double>(kReplications) + kSpeeds) + kStudy;
    return runs * static_cast<double>(bench_.requests());
  }

  void look() {
    SearchSettings settings;
    settings.objective = goal() == PlanGoal::goodput ? Objective::goodput : Objective::cost;
    settings.requests = bench_.requests();
    settings.threads = question_.threads;
    double points = 0;
    for (const Candidate& candidate : candidates_)
      points += settings.objective == Objective::cost ? static_cast<double>(candidate.replicas_max) : 1;
    // Half of its budget is what a search takes as a rule.
    const double share = question_.exhaustive ? 1 : settings.work_share / 2;
    expected_ = share * points * static_cast<double>(bench_.requests()) + expected_after_search();
    const std::function<Score(const Trial&)> run = [this](const Trial& trial) { return run_trial(trial); };
    found_ = question_.exhaustive ? search_all(candidates_, settings, run, [](std::size_t) {})
                                  : search(candidates_, settings, run, [](std::size_t) {});
    expected_ = simulated_ + expected_after_search();
    result_.points_total = found_.points;
    result_.runs = found_.trials.size();
    result_.work_share = found_.work_share;
  }

  [[nodiscard]] Chosen chosen(const Finalist& finalist) const {
    const Design& design = designs_[fitting_[finalist.candidate]];
    if (!by_rate()) return {design, finalist.replicas};
    return {design, replicas_max(design), rate_of_step(finalist.replicas)};
  }

  /// Equal for points that are the same cluster: routers have nothing to choose between where there is one
  /// replica.
  [[nodiscard]] std::string kind_of(const Finalist& finalist) const {
    const Design& design = designs_[fitting_[finalist.candidate]];
    const std::int64_t replicas = by_rate() ? replicas_max(design) : finalist.replicas;
    std::string kind = std::to_string(finalist.replicas);
    for (const PlanChoice& choice : design.choices) {
      if (replicas > 1 || choice.key != "cluster.router") kind += "\n" + choice.value;
    }
    return kind;
  }

  PlanPoint point_of(const Finalist& finalist) {
    const Chosen at = chosen(finalist);
    PlanPoint point;
    point.choices = at.design.choices;
    point.replicas = at.replicas;
    point.gpus = at.replicas * at.design.gpus_per_replica;
    point.cost_per_hour = at.design.price_per_gpu_hour * static_cast<double>(point.gpus);
    point.label = bench_.label(at.design, at.replicas);
    point.score = finalist.score;
    if (by_rate()) point.rate_factor = rate_of_step(finalist.replicas);
    point.forecast = runs_.forecast(at.design, {.replicas = at.replicas}, traffic_of(bench_, at));
    for (const SloTerm& term : point.forecast.slo) point.terms.push_back({term, std::nullopt});
    return point;
  }

  void collect_points() {
    std::set<std::string> seen;
    for (const Finalist& finalist : found_.finalists) {
      if (shown_.size() == kPointsShown) break;
      if (!seen.insert(kind_of(finalist)).second) continue;
      shown_.push_back(finalist);
      result_.points.push_back(point_of(finalist));
    }
    const auto figure = [](const RunNumbers& numbers, const char* key) {
      return numbers.figures[plan_figure_index(key)];
    };
    for (const auto& [key, numbers] : whole_runs_) {
      const double tpot_ms = figure(numbers, "p50_tpot_ms");
      if (tpot_ms <= 0) continue;  // nobody was answered by more than a token
      const Chosen at = chosen({key.first, key.second, {}});
      const auto gpus = static_cast<double>(at.replicas * at.design.gpus_per_replica);
      FrontPoint point;
      point.label = bench_.label(at.design, at.replicas);
      point.output_per_gpu = figure(numbers, "output_throughput") / gpus;
      point.output_per_user = 1e3 / tpot_ms;
      point.cost_per_hour = at.design.price_per_gpu_hour * gpus;
      point.p99_ttft_ms = figure(numbers, "p99_ttft_ms");
      point.met = numbers.score.met;
      result_.front.push_back(point);
    }
    mark_fronts(result_.front);
  }

  void finish() {
    KVCAST_CHECK(!shown_.empty());
    result_.feasible = goal() == PlanGoal::goodput || shown_.front().score.met;
    const Chosen best = chosen(shown_.front());
    const PlanPoint& first = result_.points.front();
    result_.assumptions = first.forecast.assumptions;
    result_.inputs = first.forecast.inputs;
    judge();
    if (!result_.feasible) {
      find_advice(runs_, best, first.forecast, result_);
    } else {
      find_binding(runs_, best, result_);
      find_knee(runs_, best, question_.threads, result_);
      find_sensitivity(runs_, best, question_.threads, result_);
      fill_deploy(bench_, best, result_);
    }
    result_.verdict = verdict();
  }

  void judge() {
    result_.replicating = bench_.replicating();
    result_.blocks = bench_.blocks();
    std::vector<Chosen> judged;
    for (std::size_t i = 0; i < std::min(shown_.size(), kPointsJudged); ++i)
      judged.push_back(chosen(shown_[i]));
    const Judging judging{result_.seed, question_.relative_error, question_.threads};
    result_.replications = judge_points(runs_, judged, judging, result_.points);
    check_relative_error();
  }

  /// Says where the error asked for was out of reach.
  void check_relative_error() {
    if (question_.relative_error <= 0) return;
    for (const PlanTerm& term : result_.points.front().terms) {
      if (!term.mean_interval_ms) continue;
      const Interval& mean = *term.mean_interval_ms;
      if ((mean.high - mean.low) <= question_.relative_error * (mean.high + mean.low)) continue;
      result_.notes.push_back(
          fmt::format("The relative error asked for was not reached with {} samples of the traffic",
                      grouped(static_cast<std::int64_t>(result_.replications))));
      return;
    }
  }

  [[nodiscard]] std::string verdict() const {
    const PlanPoint& best = result_.points.front();
    if (!result_.feasible) {
      return fmt::format("No cluster of up to {} GPUs meets the SLO; the nearest is {}.",
                         bench_.space().max_gpus, best.label);
    }
    std::string terms;
    for (const PlanTerm& term : best.terms) {
      terms += fmt::format("{}{} {} {}{} (limit {})", terms.empty() ? "" : ", ", term.term.statistic,
                           latency_text(term.term.metric).name, latency(term.term.value_ms),
                           term.interval_ms ? fmt::format(" [{} to {}]", latency(term.interval_ms->low),
                                                          latency(term.interval_ms->high))
                                            : "",
                           latency(term.term.limit_ms));
    }
    std::string text = best.label;
    if (by_rate()) {
      text += fmt::format(" carries {} times the traffic, {} req/s", significant(best.rate_factor),
                          significant(best.rate_factor * result_.rate));
    } else if (goal() == PlanGoal::goodput) {
      text += fmt::format(" has the most goodput, {} req/s", significant(best.score.goodput));
    } else {
      text += " is the cheapest that meets the SLO";
    }
    text += fmt::format(", {} USD an hour: {}", fixed(best.cost_per_hour, 2), terms);
    if (best.meets_probability)
      text += fmt::format("; another sample of this traffic meets it with probability {}",
                          fixed(*best.meets_probability, 2));
    return text + (result_.binding.empty() ? "" : "; " + result_.binding) + ".";
  }

  const PlanQuestion& question_;
  PlanBench bench_;
  double simulated_ = 0, expected_ = 0;  // requests
  PlanRuns runs_;
  std::vector<Design> designs_;
  std::vector<std::size_t> fitting_;  // designs that can run; candidates_ are these, in this order
  std::vector<Candidate> candidates_;
  SearchResult found_;
  std::vector<Finalist> shown_;  // the first that are different clusters; result_.points are these
  std::mutex keeping_;
  std::map<std::pair<std::size_t, std::int64_t>, RunNumbers>
      whole_runs_;  // by candidate and replicas (or rate step)
  PlanResult result_;
};

}  // namespace

PlanResult make_plan(const PlanQuestion& question) { return Planner(question).make(); }

}  // namespace kvcast
