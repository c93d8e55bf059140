/// What "loaded" means to routers that compare loads: cluster.router_load.
#pragma once

#include "sim/cluster/router.h"

namespace kvcast {

enum class LoadKind { requests, prompt_tokens, kv_cache };

/// Contract: compares loads by one metric, equal ones by requests inside; replicas that are not open come
/// last.
class LoadMetric {
 public:
  LoadMetric(LoadKind kind, Duration scrape_interval) : kind_(kind), scrape_interval_(scrape_interval) {}

  [[nodiscard]] RouterNeeds needs() const;
  [[nodiscard]] bool less(const ReplicaLoad& a, const ReplicaLoad& b) const;
  /// The least loaded, of equals the first.
  [[nodiscard]] std::size_t least(std::span<const ReplicaLoad> loads) const;

 private:
  LoadKind kind_;
  Duration scrape_interval_;  // of the KV cache's use
};

/// Reads router_load (requests, prompt-tokens, kv-cache) and, for the last, router_scrape_ms.
[[nodiscard]] LoadMetric read_load_metric(Config& cluster);

/// How old the metrics are that a router reads from engines (router_scrape_ms). The default is that of the
/// Gateway API Inference Extension's endpoint picker: 50 ms.
[[nodiscard]] Duration read_scrape_interval(Config& cluster);

}  // namespace kvcast
