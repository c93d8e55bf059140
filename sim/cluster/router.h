/// Which replica serves a request.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "sim/base/catalog.h"
#include "sim/request.h"

namespace kvcast {

class Config;

/// What a router may know of a replica.
struct ReplicaLoad {
  std::int64_t requests = 0;  // routed there and not ended
};

/// Contract: pick() is called once a request, at its arrival, in order of arrival. Ties go to the smaller
/// replica. A router that does not read loads must depend on the sequence of calls alone: replicas may then
/// be simulated apart.
class Router {
 public:
  virtual ~Router() = default;
  [[nodiscard]] virtual ReplicaId pick(const Request& request, std::span<const ReplicaLoad> loads) = 0;
  [[nodiscard]] virtual bool reads_loads() const = 0;
};

using RouterMaker = std::function<std::unique_ptr<Router>(std::uint64_t seed)>;
RouterMaker make_round_robin(Config& cluster);
RouterMaker make_least_loaded(Config& cluster);
RouterMaker make_power_of_two(Config& cluster);

using RouterCatalog = Catalog<RouterMaker (*)(Config&)>;
[[nodiscard]] const RouterCatalog& router_catalog();

}  // namespace kvcast
