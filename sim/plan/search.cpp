#include "sim/plan/search.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "sim/base/error.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

constexpr std::size_t kRequestsMin = 500;  // a percentile of fewer says little
constexpr std::size_t kBatch = 4;  // candidates raised between two looks at all of them; never by threads

/// How a candidate stands: what it promises by what is known of it so far. Short runs promise too much rather
/// than too little, since queues have had no time to grow.
struct Standing {
  std::size_t candidate = 0;
  std::int64_t replicas = 0;
  std::size_t level = 0;  // runs of how much of the traffic it rests on; 0: none
  Score score;
};

class Search {
 public:
  Search(const std::vector<Candidate>& candidates, const SearchSettings& settings,
         const std::function<Score(const Trial&)>& run, const std::function<void(std::size_t)>& progress)
      : candidates_(candidates),
        settings_(settings),
        run_(run),
        progress_(progress),
        trials_(candidates.size()) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& candidate = candidates[i];
      points_ += climbs() ? static_cast<std::size_t>(std::max<std::int64_t>(candidate.replicas_max, 0)) : 1;
      Standing standing;
      standing.candidate = i;
      standing.replicas = climbs() ? candidate.replicas_min : candidate.replicas_max;
      // Nothing is known yet: the best that bounds leave possible.
      standing.score = {standing.replicas <= candidate.replicas_max, 0, 0, 1};
      standings_.push_back(standing);
    }
    for (const std::size_t divisor : {std::size_t{32}, std::size_t{8}, std::size_t{3}, std::size_t{1}}) {
      const std::size_t requests = settings.requests / divisor;
      if (divisor == 1 || (requests >= kRequestsMin && requests < settings.requests))
        levels_.push_back(requests);
    }
  }

  SearchResult take() {
    while (!standings_.empty() && !enough()) {
      std::stable_sort(standings_.begin(), standings_.end(),
                       [&](const Standing& a, const Standing& b) { return better(a, b); });
      std::size_t raised = 0;
      while (raised < std::min(kBatch, standings_.size()) && standings_[raised].level < levels_.size())
        ++raised;
      if (raised == 0) {  // the lowest stands on all of the traffic: nothing else promises as much
        finalists_.push_back(standings_.front());
        standings_.erase(standings_.begin());
        continue;
      }
      for_each_parallel(raised, settings_.threads, [&](std::size_t k) { raise(standings_[k]); });
    }
    return finish();
  }

 private:
  [[nodiscard]] double cost(const Standing& standing) const {
    return candidates_[standing.candidate].cost_per_replica * static_cast<double>(standing.replicas);
  }

  [[nodiscard]] bool better(const Standing& a, const Standing& b) const {
    if (!climbs() && a.score.good_share != b.score.good_share) return a.score.good_share > b.score.good_share;
    return is_better({a.candidate, a.replicas, a.score}, cost(a), {b.candidate, b.replicas, b.score}, cost(b),
                     Objective::cost);
  }

  /// Whether the objective asks for the number of replicas.
  [[nodiscard]] bool climbs() const { return settings_.objective == Objective::cost; }

  [[nodiscard]] double work() const {
    double requests = 0;
    for (const std::vector<Trial>& trials : trials_) {
      for (const Trial& trial : trials) requests += static_cast<double>(trial.requests);
    }
    return requests / std::max(1.0, static_cast<double>(points_) * static_cast<double>(settings_.requests));
  }

  /// The first finalist is the answer; others are for comparison, as far as the work allows.
  [[nodiscard]] bool enough() const {
    if (finalists_.empty()) return false;
    if (finalists_.size() >= settings_.finalists_max) return true;
    return finalists_.size() >= settings_.finalists_min ? work() > settings_.work_share / 2
                                                        : work() > settings_.work_share;
  }

  /// Runs a trial, or remembers that it was run.
  Score try_out(std::size_t candidate, std::int64_t replicas, std::size_t requests) {
    for (const Trial& trial : trials_[candidate]) {
      if (trial.replicas == replicas && trial.requests == requests) return trial.score;
    }
    Trial trial{candidate, replicas, requests, {}};
    trial.score = run_(trial);
    trials_[candidate].push_back(trial);
    const std::lock_guard<std::mutex> lock(counting_);
    progress_(++runs_);
    return trial.score;
  }

  /// A standing on the next larger part of the traffic, with the fewest replicas that meet the SLO there.
  void raise(Standing& standing) {
    const std::size_t requests = levels_[standing.level];
    const Candidate& candidate = candidates_[standing.candidate];
    ++standing.level;
    standing.replicas = std::min(standing.replicas, candidate.replicas_max);
    standing.score = try_out(standing.candidate, standing.replicas, requests);
    if (!climbs()) return;
    if (!standing.score.met) {
      climb(standing, requests);
    } else if (standing.level == levels_.size()) {
      descend(standing, requests);
    }
  }

  /// Up in growing steps to a number that meets the SLO, then between it and the last that did not: taking it
  /// that more replicas never hurt.
  void climb(Standing& standing, std::size_t requests) {
    const Candidate& candidate = candidates_[standing.candidate];
    std::int64_t fails = standing.replicas;
    for (std::int64_t step = 1; !standing.score.met && standing.replicas < candidate.replicas_max;
         step *= 2) {
      fails = standing.replicas;
      standing.replicas = std::min(standing.replicas + step, candidate.replicas_max);
      standing.score = try_out(standing.candidate, standing.replicas, requests);
    }
    while (standing.score.met && standing.replicas - fails > 1) {
      const std::int64_t middle = fails + (standing.replicas - fails) / 2;
      const Score between = try_out(standing.candidate, middle, requests);
      if (between.met) {
        standing.replicas = middle;
        standing.score = between;
      } else {
        fails = middle;
      }
    }
  }

  /// Down while one replica less meets the SLO too: what the shorter runs asked for may have been a burst.
  void descend(Standing& standing, std::size_t requests) {
    while (standing.replicas > candidates_[standing.candidate].replicas_min) {
      const Score fewer = try_out(standing.candidate, standing.replicas - 1, requests);
      if (!fewer.met) return;
      --standing.replicas;
      standing.score = fewer;
    }
  }

  SearchResult finish() {
    SearchResult result;
    for (const Standing& standing : finalists_)
      result.finalists.push_back({standing.candidate, standing.replicas, standing.score});
    const auto cost_of = [&](const Finalist& finalist) {
      return candidates_[finalist.candidate].cost_per_replica * static_cast<double>(finalist.replicas);
    };
    std::stable_sort(result.finalists.begin(), result.finalists.end(),
                     [&](const Finalist& a, const Finalist& b) {
                       return is_better(a, cost_of(a), b, cost_of(b), settings_.objective);
                     });
    for (const std::vector<Trial>& trials : trials_)
      result.trials.insert(result.trials.end(), trials.begin(), trials.end());
    result.points = points_;
    result.work_share = work();
    return result;
  }

  const std::vector<Candidate>& candidates_;
  const SearchSettings& settings_;
  const std::function<Score(const Trial&)>& run_;
  const std::function<void(std::size_t)>& progress_;
  std::vector<std::size_t> levels_;  // requests
  std::vector<Standing> standings_;
  std::vector<Standing> finalists_;
  std::vector<std::vector<Trial>> trials_;  // by candidate; each is touched by one thread at a time
  std::mutex counting_;
  std::size_t runs_ = 0;
  std::size_t points_ = 0;
};

}  // namespace

bool is_better(const Finalist& a, double cost_a, const Finalist& b, double cost_b, Objective objective) {
  if (objective == Objective::goodput && a.score.goodput != b.score.goodput)
    return a.score.goodput > b.score.goodput;
  if (a.score.met != b.score.met) return a.score.met;
  if (!a.score.met) {
    if (a.score.strain != b.score.strain) return a.score.strain < b.score.strain;
    return a.candidate < b.candidate;
  }
  if (cost_a != cost_b) return cost_a < cost_b;
  if (a.score.strain != b.score.strain) return a.score.strain < b.score.strain;
  return a.candidate < b.candidate;
}

SearchResult search(const std::vector<Candidate>& candidates, const SearchSettings& settings,
                    const std::function<Score(const Trial&)>& run,
                    const std::function<void(std::size_t)>& progress) {
  KVCAST_CHECK(settings.requests > 0);
  return Search(candidates, settings, run, progress).take();
}

namespace {

/// Every point, grouped by cost: those of one group are simulated side by side.
std::vector<std::vector<Trial>> points_by_cost(const std::vector<Candidate>& candidates,
                                               const SearchSettings& settings) {
  const bool climbs = settings.objective == Objective::cost;
  std::map<double, std::vector<Trial>> by_cost;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::int64_t first = climbs ? 1 : candidates[i].replicas_max;
    for (std::int64_t replicas = first; replicas <= candidates[i].replicas_max; ++replicas) {
      const double cost = climbs ? candidates[i].cost_per_replica * static_cast<double>(replicas) : 0;
      by_cost[cost].push_back({i, replicas, settings.requests, {}});
    }
  }
  std::vector<std::vector<Trial>> groups;
  for (auto& [cost, trials] : by_cost) groups.push_back(std::move(trials));
  return groups;
}

}  // namespace

SearchResult search_all(const std::vector<Candidate>& candidates, const SearchSettings& settings,
                        const std::function<Score(const Trial&)>& run,
                        const std::function<void(std::size_t)>& progress) {
  const bool climbs = settings.objective == Objective::cost;
  SearchResult result;
  std::mutex counting;
  std::size_t done = 0;
  bool met = false;
  for (std::vector<Trial>& group : points_by_cost(candidates, settings)) {
    result.points += group.size();
    if (met) continue;  // dearer than a point that meets the SLO: whatever it does, it cannot win
    for_each_parallel(group.size(), settings.threads, [&](std::size_t k) {
      group[k].score = run(group[k]);
      const std::lock_guard<std::mutex> lock(counting);
      progress(++done);
    });
    met =
        climbs && std::any_of(group.begin(), group.end(), [](const Trial& trial) { return trial.score.met; });
    result.trials.insert(result.trials.end(), group.begin(), group.end());
  }
  for (const Trial& trial : result.trials) {
    KVCAST_CHECK(!climbs || !trial.score.met || trial.replicas >= candidates[trial.candidate].replicas_min);
    result.finalists.push_back({trial.candidate, trial.replicas, trial.score});
  }
  const auto cost = [&](const Finalist& finalist) {
    return candidates[finalist.candidate].cost_per_replica * static_cast<double>(finalist.replicas);
  };
  std::stable_sort(result.finalists.begin(), result.finalists.end(),
                   [&](const Finalist& a, const Finalist& b) {
                     return is_better(a, cost(a), b, cost(b), settings.objective);
                   });
  result.work_share = static_cast<double>(result.trials.size()) / static_cast<double>(result.points);
  return result;
}

}  // namespace kvcast
