// Predicts the first token: each replica computes the prompts that were sent to it one after another, each as
// long as a step of its tokens that are not held. Among replicas that meet slo.ttft_ms, the one that holds
// most of the prompt (of equals the one with fewer requests); where none does, the earliest.
#include <algorithm>

#include "sim/cluster/prefix_index.h"
#include "sim/engine/fine_instant.h"

namespace kvcast {
namespace {

class SloAware final : public Router {
 public:
  SloAware(const RouterSetup& setup, PrefixKnowledge knowledge)
      : index_(setup, knowledge),
        limit_(setup.ttft_slo),
        replicas_(setup.replicas),
        busy_until_(setup.replicas.size(), FineInstant{kStart}) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> loads) override {
    index_.look_up(request, loads);
    const FineInstant now{request.arrival};
    std::size_t best = first_open(loads);
    FineInstant best_at = first_token(request, best, now);
    for (std::size_t i = best + 1; i < loads.size(); ++i) {
      if (!loads[i].open) continue;
      const FineInstant at = first_token(request, i, now);
      const bool meets = meets_limit(request, at), best_meets = meets_limit(request, best_at);
      if (meets != best_meets ? !meets : !better(loads, i, best, at, best_at, meets)) continue;
      best = i;
      best_at = at;
    }
    busy_until_[best] = best_at;
    index_.insert(best);
    return static_cast<ReplicaId>(best);
  }
  void changed(std::size_t i, std::span<const ReplicaLoad> loads) override {
    index_.changed(i, loads);
    busy_until_[i] = FineInstant{kStart};
  }
  [[nodiscard]] RouterNeeds needs() const override {
    return {.requests = true, .held_prefix = index_.needs_held_prefix()};
  }

 private:
  [[nodiscard]] FineInstant first_token(const Request& request, std::size_t i, FineInstant now) const {
    const std::int64_t held = std::min(index_.matched(i), request.input.value - 1);
    const std::int64_t tokens = request.input.value - held;
    StepShape shape;
    shape.tokens = tokens;
    shape.sampled = shape.prefill_seqs = 1;
    shape.prefill_context = request.input.value;
    shape.prefill_pairs = tokens * held + tokens * (tokens + 1) / 2;
    return std::max(now, busy_until_[i]) + replicas_[i].timer->step(shape).time.count();
  }

  [[nodiscard]] bool meets_limit(const Request& request, FineInstant at) const {
    return limit_ && at <= FineInstant{request.arrival - request.delay_before + *limit_};
  }

  [[nodiscard]] bool better(std::span<const ReplicaLoad> loads, std::size_t i, std::size_t best,
                            FineInstant at, FineInstant best_at, bool meets) const {
    if (!meets) return at < best_at;
    if (index_.matched(i) != index_.matched(best)) return index_.matched(i) > index_.matched(best);
    return loads[i].requests < loads[best].requests;
  }

  PrefixIndex index_;
  std::optional<Duration> limit_;
  std::vector<ReplicaFacts> replicas_;
  std::vector<FineInstant> busy_until_;  // with prompts
};

}  // namespace

RouterMaker make_slo_aware(Config& cluster) {
  const PrefixKnowledge knowledge = read_prefix_knowledge(cluster);
  return [knowledge](const RouterSetup& setup) { return std::make_unique<SloAware>(setup, knowledge); };
}

}  // namespace kvcast
