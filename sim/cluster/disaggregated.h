/// Clusters in which some replicas compute prompts and others go on with their KV.
#pragma once

#include "sim/cluster/pools.h"

namespace kvcast {

/// One pass over a source, as run() makes it. \param pools of a setup with `disaggregation`: two, of which
/// the first computes prompts \throws InputError from the source, and for requests that two replicas cannot
/// serve
[[nodiscard]] RunRecord run_disaggregated(const Pools& pools, RequestSource& source, const RunHooks& hooks);

/// How often the router of a pool reads its engines' metrics; 0: it does not.
[[nodiscard]] Duration scrape_interval_of(const Pools& pools, std::size_t pool);

}  // namespace kvcast
