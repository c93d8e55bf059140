/// Clusters for laws of queueing theory.
#pragma once

#include <cstdint>

#include "sim/cluster/cluster.h"

namespace kvcast::test {

/// Replicas that serve one sequence at a time, with room for everything that waits.
[[nodiscard]] ClusterSetup single_servers(std::int64_t replicas, RouterMaker router);

}  // namespace kvcast::test
