/// cluster.elasticity: replicas that come and go.
#pragma once

#include "sim/app/scenario.h"

namespace kvcast {

/// Reads cluster.elasticity, where it is there, into scenario.fleet and scenario.replicas_max. The rest of
/// the cluster has been read. \throws InputError also for what it cannot be combined with
void read_elasticity(Config& cluster, Scenario& scenario);

/// ", 1 to 8 as the queue asks, failures every 3,600 s": what goes behind the number of replicas.
[[nodiscard]] std::string describe_fleet(const FleetSetup& fleet);

/// \throws InputError where the scenario has replicas that come and go, which `what` does not work with
void refuse_elasticity(const ClusterSetup& cluster, const std::string& what);

}  // namespace kvcast
