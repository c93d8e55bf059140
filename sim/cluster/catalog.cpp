#include "sim/base/error.h"
#include "sim/cluster/router.h"

namespace kvcast {

std::size_t first_open(std::span<const ReplicaLoad> loads) {
  std::size_t i = 0;
  while (i < loads.size() && !loads[i].open) ++i;
  KVCAST_CHECK(i < loads.size());
  return i;
}

const RouterCatalog& router_catalog() {
  static const RouterCatalog catalog(
      "router",
      {
          {"round-robin", "each replica in turn", make_round_robin},
          {"least-loaded", "least inside: requests, prompt tokens or KV cache", make_least_loaded},
          {"power-of-two", "the less loaded of two drawn at random", make_power_of_two},
          {"central-queue", "one queue; who is free serves its head", make_central_queue},
          {"session-affinity", "all turns of a session to one replica", make_session_affinity},
          {"prefix-affinity", "longest prefix routed there before", make_prefix_affinity},
          {"cache-aware", "longest prefix unless loads differ too much (SGLang's router)", make_cache_aware},
          {"kv-cost", "least prefill left to do plus KV held (Dynamo's router)", make_kv_cost},
          {"weighted-score", "weighted sum of prefix, queue and KV scores (llm-d's router)",
           make_weighted_score},
          {"slo-aware", "meets the TTFT limit with the longest prefix, else the earliest first token",
           make_slo_aware},
      });
  return catalog;
}

}  // namespace kvcast
