// The less loaded of two replicas drawn at random (Mitzenmacher, "The Power of Two Choices", 2001).
#include <algorithm>
#include <vector>

#include "sim/base/rng.h"
#include "sim/cluster/load_metric.h"

namespace kvcast {
namespace {

class PowerOfTwo final : public Router {
 public:
  PowerOfTwo(std::uint64_t seed, LoadMetric metric) : stream_(seed, "router"), metric_(metric) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& /*request*/,
                                              std::span<const ReplicaLoad> loads) override {
    const auto n = static_cast<std::int64_t>(some_closed_ ? open_.size() : loads.size());
    if (n == 1) return static_cast<ReplicaId>(place(0));
    const std::int64_t a = stream_.integer(0, n - 1);
    std::int64_t b = stream_.integer(0, n - 2);
    if (b >= a) ++b;
    const std::size_t first = place(std::min(a, b));
    const std::size_t second = place(std::max(a, b));
    return static_cast<ReplicaId>(metric_.less(loads[second], loads[first]) ? second : first);
  }
  void changed(std::size_t /*i*/, std::span<const ReplicaLoad> loads) override {
    open_.clear();
    for (std::size_t i = 0; i < loads.size(); ++i) {
      if (loads[i].open) open_.push_back(i);
    }
    some_closed_ = open_.size() < loads.size();
  }
  [[nodiscard]] RouterNeeds needs() const override { return metric_.needs(); }

 private:
  /// The replica that is drawn as number `drawn` of those that are open.
  [[nodiscard]] std::size_t place(std::int64_t drawn) const {
    const auto i = static_cast<std::size_t>(drawn);
    return some_closed_ ? open_[i] : i;
  }

  bool some_closed_ = false;
  std::vector<std::size_t> open_;  // where some are closed
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
