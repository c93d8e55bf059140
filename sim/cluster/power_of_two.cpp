// The less loaded of two replicas drawn at random (Mitzenmacher, "The Power of Two Choices", 2001).
#include <algorithm>

#include "sim/base/rng.h"
#include "sim/cluster/load_metric.h"

namespace kvcast {
namespace {

class PowerOfTwo final : public Router {
 public:
  PowerOfTwo(std::uint64_t seed, LoadMetric metric) : stream_(seed, "router"), metric_(metric) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& /*request*/,
                                              std::span<const ReplicaLoad> loads) override {
    const auto n = static_cast<std::int64_t>(loads.size());
    if (n == 1) return ReplicaId{0};
    const std::int64_t a = stream_.integer(0, n - 1);
    std::int64_t b = stream_.integer(0, n - 2);
    if (b >= a) ++b;
    const auto first = static_cast<std::size_t>(std::min(a, b));
    const auto second = static_cast<std::size_t>(std::max(a, b));
    return static_cast<ReplicaId>(metric_.less(loads[second], loads[first]) ? second : first);
  }
  [[nodiscard]] RouterNeeds needs() const override { return metric_.needs(); }

 private:
  RandomStream stream_;
  LoadMetric metric_;
};

}  // namespace

RouterMaker make_power_of_two(Config& cluster) {
  return [metric = read_load_metric(cluster)](const RouterSetup& setup) {
    return std::make_unique<PowerOfTwo>(setup.seed, metric);
  };
}

}  // namespace kvcast
