// One queue for all replicas: a request waits at the router until a replica has fewer than
// router_max_requests inside; of several, the least loaded serves it. With one request a replica this is the
// M/G/k queue of the textbooks.
#include "sim/base/config.h"
#include "sim/cluster/load_metric.h"

namespace kvcast {
namespace {

class CentralQueue final : public Router {
 public:
  CentralQueue(LoadMetric metric, std::int64_t requests_max) : metric_(metric), requests_max_(requests_max) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& /*request*/,
                                              std::span<const ReplicaLoad> loads) override {
    const std::size_t least = metric_.least(loads);
    if (loads[least].requests >= requests_max_) return std::nullopt;
    return static_cast<ReplicaId>(least);
  }
  [[nodiscard]] RouterNeeds needs() const override { return metric_.needs(); }

 private:
  LoadMetric metric_;
  std::int64_t requests_max_;
};

}  // namespace

RouterMaker make_central_queue(Config& cluster) {
  const std::int64_t requests_max = cluster.get_int("router_max_requests", {1, 1 << 30}, 256);
  return [requests_max](const RouterSetup&) {
    return std::make_unique<CentralQueue>(LoadMetric(LoadKind::requests, {}), requests_max);
  };
}

}  // namespace kvcast
