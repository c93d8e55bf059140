// The less loaded of two replicas drawn at random (Mitzenmacher, "The Power of Two Choices", 2001).
#include <algorithm>

#include "sim/base/rng.h"
#include "sim/cluster/router.h"

namespace kvcast {
namespace {

class PowerOfTwo final : public Router {
 public:
  explicit PowerOfTwo(std::uint64_t seed) : stream_(seed, "router") {}

  [[nodiscard]] ReplicaId pick(const Request& /*request*/, std::span<const ReplicaLoad> loads) override {
    const auto n = static_cast<std::int64_t>(loads.size());
    if (n == 1) return ReplicaId{0};
    const std::int64_t a = stream_.integer(0, n - 1);
    std::int64_t b = stream_.integer(0, n - 2);
    if (b >= a) ++b;
    const auto first = static_cast<std::size_t>(std::min(a, b));
    const auto second = static_cast<std::size_t>(std::max(a, b));
    return static_cast<ReplicaId>(loads[second].requests < loads[first].requests ? second : first);
  }
  [[nodiscard]] bool reads_loads() const override { return true; }

 private:
  RandomStream stream_;
};

}  // namespace

RouterMaker make_power_of_two(Config& /*cluster*/) {
  return [](std::uint64_t seed) { return std::make_unique<PowerOfTwo>(seed); };
}

}  // namespace kvcast
