/// Which replica serves a request.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/base/catalog.h"
#include "sim/kv/block_allocator.h"
#include "sim/metrics/record.h"
#include "sim/request.h"
#include "sim/step_timer.h"

namespace kvcast {

class Config;

/// What a router may know of a replica.
struct ReplicaLoad {
  std::int64_t requests = 0;       // routed there and not ended
  std::int64_t prompt_tokens = 0;  // of these requests
  TimelinePoint scraped;           // the engine's metrics at its last scrape
  std::int64_t blocks = 0;         // of its KV pool
  Tokens held_prefix;              // of the request that is routed, in the engine's cache at this moment
  bool open = true;                // takes requests

  [[nodiscard]] double kv_usage() const {
    return blocks == 0 ? 0 : static_cast<double>(scraped.blocks_used) / static_cast<double>(blocks);
  }
};

/// What of ReplicaLoad a router reads. Without any, its choices must depend on the sequence of calls alone:
/// replicas may then be simulated apart.
struct RouterNeeds {
  bool requests = false;
  bool prompt_tokens = false;
  Duration scrape_interval{};  // how old `scraped` may be; 0: not read
  bool held_prefix = false;

  [[nodiscard]] bool any() const {
    return requests || prompt_tokens || scrape_interval > Duration{} || held_prefix;
  }
};

/// Contract: pick() is called for a request at its arrival, in order of arrival; it picks a replica that is
/// open, and some is. Nothing: the request waits at the router, before all that come later, and is asked for
/// again whenever a request has ended somewhere. Ties go to the smaller replica.
class Router {
 public:
  virtual ~Router() = default;
  /// Replica i takes requests from now on, or none any more (loads[i].open). What a router remembers of one
  /// that closes it forgets: it is empty when it comes back.
  virtual void changed(std::size_t /*i*/, std::span<const ReplicaLoad> /*loads*/) {}
  [[nodiscard]] virtual std::optional<ReplicaId> pick(const Request& request,
                                                      std::span<const ReplicaLoad> loads) = 0;
  [[nodiscard]] virtual RouterNeeds needs() const = 0;
};

/// What a router knows of a replica before any request: replicas may be of unlike GPUs and shapes.
struct ReplicaFacts {
  PoolSize pool;
  const StepTimer* timer = nullptr;
};

/// What a router is made for.
struct RouterSetup {
  std::uint64_t seed = 1;
  std::vector<ReplicaFacts> replicas;
  std::optional<Duration> ttft_slo;
};

/// The first replica that is open; some must be.
[[nodiscard]] std::size_t first_open(std::span<const ReplicaLoad> loads);

using RouterMaker = std::function<std::unique_ptr<Router>(const RouterSetup&)>;
RouterMaker make_round_robin(Config& cluster);
RouterMaker make_least_loaded(Config& cluster);
RouterMaker make_power_of_two(Config& cluster);
RouterMaker make_central_queue(Config& cluster);
RouterMaker make_session_affinity(Config& cluster);
RouterMaker make_prefix_affinity(Config& cluster);
RouterMaker make_cache_aware(Config& cluster);
RouterMaker make_kv_cost(Config& cluster);
RouterMaker make_weighted_score(Config& cluster);
RouterMaker make_slo_aware(Config& cluster);

using RouterCatalog = Catalog<RouterMaker (*)(Config&)>;
[[nodiscard]] const RouterCatalog& router_catalog();

}  // namespace kvcast
