// Each replica in turn.
#include "sim/cluster/router.h"

namespace kvcast {
namespace {

class RoundRobin final : public Router {
 public:
  [[nodiscard]] std::optional<ReplicaId> pick(const Request& /*request*/,
                                              std::span<const ReplicaLoad> loads) override {
    std::size_t picked = next_;
    while (!loads[picked].open) picked = picked + 1 == loads.size() ? 0 : picked + 1;
    next_ = picked + 1 == loads.size() ? 0 : picked + 1;
    return static_cast<ReplicaId>(picked);
  }
  [[nodiscard]] RouterNeeds needs() const override { return {}; }

 private:
  std::size_t next_ = 0;
};

}  // namespace

RouterMaker make_round_robin(Config& /*cluster*/) {
  return [](const RouterSetup&) { return std::make_unique<RoundRobin>(); };
}

}  // namespace kvcast
