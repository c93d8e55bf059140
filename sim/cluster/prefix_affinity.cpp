// The replica that was sent the longest prefix of the prompt before; the least loaded where none was. Loads
// do not count otherwise: a popular prefix keeps its replica busy.
#include "sim/cluster/prefix_index.h"

namespace kvcast {
namespace {

class PrefixAffinity final : public Router {
 public:
  explicit PrefixAffinity(const RouterSetup& setup) : index_(setup.replicas, setup.pool) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> loads) override {
    index_.look_up(request);
    const std::size_t picked = longest_match(index_, loads);
    index_.insert(picked);
    return static_cast<ReplicaId>(picked);
  }
  [[nodiscard]] RouterNeeds needs() const override { return {.requests = true}; }

 private:
  PrefixIndex index_;
};

}  // namespace

RouterMaker make_prefix_affinity(Config& /*cluster*/) {
  return [](const RouterSetup& setup) { return std::make_unique<PrefixAffinity>(setup); };
}

}  // namespace kvcast
