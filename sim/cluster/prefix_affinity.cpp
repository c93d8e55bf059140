// The replica that was sent the longest prefix of the prompt before; the least loaded where none was. Loads
// do not count otherwise: a popular prefix keeps its replica busy.
#include "sim/cluster/prefix_index.h"

namespace kvcast {
namespace {

class PrefixAffinity final : public Router {
 public:
  PrefixAffinity(const RouterSetup& setup, PrefixKnowledge knowledge) : index_(setup, knowledge) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> loads) override {
    index_.look_up(request, loads);
    const std::size_t picked = longest_match(index_, loads);
    index_.insert(picked);
    return static_cast<ReplicaId>(picked);
  }
  void changed(std::size_t i, std::span<const ReplicaLoad> loads) override { index_.changed(i, loads); }
  [[nodiscard]] RouterNeeds needs() const override {
    return {.requests = true, .held_prefix = index_.needs_held_prefix()};
  }

 private:
  PrefixIndex index_;
};

}  // namespace

RouterMaker make_prefix_affinity(Config& cluster) {
  const PrefixKnowledge knowledge = read_prefix_knowledge(cluster);
  return [knowledge](const RouterSetup& setup) { return std::make_unique<PrefixAffinity>(setup, knowledge); };
}

}  // namespace kvcast
