#include "sim/cluster/load_metric.h"

#include <algorithm>
#include <cmath>

#include "sim/base/config.h"

namespace kvcast {

RouterNeeds LoadMetric::needs() const {
  return {.requests = true,
          .prompt_tokens = kind_ == LoadKind::prompt_tokens,
          .scrape_interval = kind_ == LoadKind::kv_cache ? scrape_interval_ : Duration{}};
}

bool LoadMetric::less(const ReplicaLoad& a, const ReplicaLoad& b) const {
  if (a.open != b.open) return a.open;
  if (kind_ == LoadKind::prompt_tokens && a.prompt_tokens != b.prompt_tokens)
    return a.prompt_tokens < b.prompt_tokens;
  if (kind_ == LoadKind::kv_cache) {
    const Int128 left = static_cast<Int128>(a.scraped.blocks_used) * b.blocks;
    const Int128 right = static_cast<Int128>(b.scraped.blocks_used) * a.blocks;
    if (left != right) return left < right;
  }
  return a.requests < b.requests;
}

std::size_t LoadMetric::least(std::span<const ReplicaLoad> loads) const {
  const auto at = std::min_element(loads.begin(), loads.end(),
                                   [this](const ReplicaLoad& a, const ReplicaLoad& b) { return less(a, b); });
  return static_cast<std::size_t>(at - loads.begin());
}

Duration read_scrape_interval(Config& cluster) {
  return Duration{std::llround(1e6 * cluster.get_real("router_scrape_ms", {0.001, 1e9}, 50))};
}

LoadMetric read_load_metric(Config& cluster) {
  const std::string name = cluster.get_string("router_load", "requests");
  if (name == "requests") return {LoadKind::requests, {}};
  if (name == "prompt-tokens") return {LoadKind::prompt_tokens, {}};
  if (name != "kv-cache") cluster.fail("router_load", "must be requests, prompt-tokens or kv-cache");
  return {LoadKind::kv_cache, read_scrape_interval(cluster)};
}

}  // namespace kvcast
