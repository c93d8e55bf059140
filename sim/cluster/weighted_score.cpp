// The highest weighted sum of scores in [0, 1], as llm-d and the Gateway API Inference Extension pick
// endpoints: the share of the prompt that is held, the queue (1 for the shortest, 0 for the longest) and the
// free share of the KV cache. Queue and cache use are the engine's own metrics, as old as the last scrape.
// The default weights are those of llm-d's guide to intelligent inference scheduling: 3, 2 and 2.
#include <algorithm>

#include "sim/base/config.h"
#include "sim/cluster/load_metric.h"
#include "sim/cluster/prefix_index.h"

namespace kvcast {
namespace {

struct Weights {
  double prefix, queue, kv_cache;
};

class WeightedScore final : public Router {
 public:
  WeightedScore(const RouterSetup& setup, const Weights& weights, Duration scrape_interval,
                PrefixKnowledge knowledge)
      : index_(setup, knowledge), weights_(weights), scrape_interval_(scrape_interval) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> loads) override {
    index_.look_up(request, loads);
    const std::size_t first = first_open(loads);
    std::int64_t least = loads[first].scraped.waiting, most = least;
    for (std::size_t i = first + 1; i < loads.size(); ++i) {
      if (!loads[i].open) continue;
      least = std::min(least, loads[i].scraped.waiting);
      most = std::max(most, loads[i].scraped.waiting);
    }
    const auto shortest = static_cast<double>(least);
    const auto longest = static_cast<double>(most);
    std::size_t best = first;
    double highest = -1;
    for (std::size_t i = first; i < loads.size(); ++i) {
      if (!loads[i].open) continue;
      const auto waiting = static_cast<double>(loads[i].scraped.waiting);
      const double queue = longest > shortest ? (longest - waiting) / (longest - shortest) : 1;
      const double prefix = static_cast<double>(index_.matched(i)) / static_cast<double>(request.input.value);
      const double score =
          weights_.prefix * prefix + weights_.queue * queue + weights_.kv_cache * (1 - loads[i].kv_usage());
      const bool fewer = loads[i].requests < loads[best].requests;
      if (score < highest || (!(score > highest) && !fewer)) continue;
      highest = score;
      best = i;
    }
    index_.insert(best);
    return static_cast<ReplicaId>(best);
  }
  void changed(std::size_t i, std::span<const ReplicaLoad> loads) override { index_.changed(i, loads); }
  [[nodiscard]] RouterNeeds needs() const override {
    return {.requests = true, .scrape_interval = scrape_interval_, .held_prefix = index_.needs_held_prefix()};
  }

 private:
  PrefixIndex index_;
  Weights weights_;
  Duration scrape_interval_;
};

}  // namespace

RouterMaker make_weighted_score(Config& cluster) {
  Config own = cluster.child("weighted_score");
  const Weights weights{.prefix = own.get_real("prefix", {0, 1e6}, 3),
                        .queue = own.get_real("queue", {0, 1e6}, 2),
                        .kv_cache = own.get_real("kv_cache", {0, 1e6}, 2)};
  const Duration interval = read_scrape_interval(cluster);
  const PrefixKnowledge knowledge = read_prefix_knowledge(cluster);
  return [weights, interval, knowledge](const RouterSetup& setup) {
    return std::make_unique<WeightedScore>(setup, weights, interval, knowledge);
  };
}

}  // namespace kvcast
