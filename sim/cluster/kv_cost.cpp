// NVIDIA Dynamo's KV router (docs.nvidia.com/dynamo, "KV Router", cost function): the lowest
// overlap_score_weight * blocks to prefill + blocks of the requests inside. Of equal costs the replica with
// fewer requests.
#include "sim/base/config.h"
#include "sim/cluster/prefix_index.h"

namespace kvcast {
namespace {

class KvCost final : public Router {
 public:
  KvCost(const RouterSetup& setup, double weight, PrefixKnowledge knowledge)
      : index_(setup, knowledge), weight_(weight) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> loads) override {
    index_.look_up(request, loads);
    std::size_t best = first_open(loads);
    for (std::size_t i = best + 1; i < loads.size(); ++i) {
      if (!loads[i].open) continue;
      const double cost = cost_of(request, loads[i], i);
      const double lowest = cost_of(request, loads[best], best);
      if (cost < lowest || (!(lowest < cost) && loads[i].requests < loads[best].requests)) best = i;
    }
    index_.insert(best);
    return static_cast<ReplicaId>(best);
  }
  void changed(std::size_t i, std::span<const ReplicaLoad> loads) override { index_.changed(i, loads); }
  [[nodiscard]] RouterNeeds needs() const override {
    return {.requests = true, .prompt_tokens = true, .held_prefix = index_.needs_held_prefix()};
  }

 private:
  /// In tokens.
  [[nodiscard]] double cost_of(const Request& request, const ReplicaLoad& load, std::size_t i) const {
    return weight_ * static_cast<double>(request.input.value - index_.matched(i)) +
           static_cast<double>(load.prompt_tokens);
  }

  PrefixIndex index_;
  double weight_;
};

}  // namespace

RouterMaker make_kv_cost(Config& cluster) {
  Config own = cluster.child("kv_cost");
  const double weight = own.get_real("overlap_score_weight", {0, 1e6}, 1);
  const PrefixKnowledge knowledge = read_prefix_knowledge(cluster);
  return [weight, knowledge](const RouterSetup& setup) {
    return std::make_unique<KvCost>(setup, weight, knowledge);
  };
}

}  // namespace kvcast
