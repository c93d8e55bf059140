/// Replicas of several shapes behind one router: cluster.pools.
#pragma once

#include <string>
#include <string_view>

#include "sim/app/scenario.h"

namespace kvcast {

/// Reads `cluster.pools`: a list of mappings with a name, keys of `cluster` that say what a replica is, and
/// an `engine` mapping, all laid over those of the scenario. The first pool becomes the scenario's own
/// deployment, the others further_pools. \returns false where there is no such key, and has read nothing
/// \throws InputError for what pools behind one router cannot have
bool read_pools(Config& root, const std::string& folder, Scenario& scenario);

/// Whether `cluster` has the key; asks without being told of by dumps and schemas.
[[nodiscard]] bool cluster_has(const Config& root, std::string_view key);

/// Reads one pool. \param base the scenario's text without the key that lists the pools
/// \param shape what is laid over it
[[nodiscard]] Scenario read_pool(const Config& base, const std::string& folder, const Scenario& scenario,
                                 const std::string& name, Config& shape);
/// Of pools behind one router. \throws InputError at `pool` for what they cannot have together
void check_together(const Config& pool, const Scenario& first, const Scenario& other);
/// Makes the first pool the scenario's own deployment, and tells `root` that cluster and engine have been
/// read.
void take_pools(Config& root, std::vector<Scenario> pools, Scenario& scenario);

}  // namespace kvcast
