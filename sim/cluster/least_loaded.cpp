// The replica with the least inside (running and waiting).
#include "sim/cluster/load_metric.h"

namespace kvcast {
namespace {

class LeastLoaded final : public Router {
 public:
  explicit LeastLoaded(LoadMetric metric) : metric_(metric) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& /*request*/,
                                              std::span<const ReplicaLoad> loads) override {
    return static_cast<ReplicaId>(metric_.least(loads));
  }
  [[nodiscard]] RouterNeeds needs() const override { return metric_.needs(); }

 private:
  LoadMetric metric_;
};

}  // namespace

RouterMaker make_least_loaded(Config& cluster) {
  return [metric = read_load_metric(cluster)](const RouterSetup&) {
    return std::make_unique<LeastLoaded>(metric);
  };
}

}  // namespace kvcast
