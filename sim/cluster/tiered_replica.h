/// A replica with tiers of KV below its GPU's memory.
#pragma once

#include <memory>

#include "sim/cluster/cluster.h"

namespace kvcast {

/// EngineSetup::make where EngineSetup::tiers says what there is.
[[nodiscard]] std::unique_ptr<Engine> make_tiered_replica(ReplicaId id, const ClusterSetup& setup,
                                                          const StepTimer& timer, const RunHooks& hooks);

}  // namespace kvcast
