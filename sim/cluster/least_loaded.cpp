// The replica with the fewest requests inside (running and waiting).
#include <algorithm>

#include "sim/cluster/router.h"

namespace kvcast {
namespace {

class LeastLoaded final : public Router {
 public:
  [[nodiscard]] ReplicaId pick(const Request& /*request*/, std::span<const ReplicaLoad> loads) override {
    const auto least =
        std::min_element(loads.begin(), loads.end(),
                         [](const ReplicaLoad& a, const ReplicaLoad& b) { return a.requests < b.requests; });
    return static_cast<ReplicaId>(least - loads.begin());
  }
  [[nodiscard]] bool reads_loads() const override { return true; }
};

}  // namespace

RouterMaker make_least_loaded(Config& /*cluster*/) {
  return [](std::uint64_t /*seed*/) { return std::make_unique<LeastLoaded>(); };
}

}  // namespace kvcast
