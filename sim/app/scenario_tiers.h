/// engine.kv_offload: KV below the GPU's memory.
#pragma once

#include "sim/app/scenario.h"

namespace kvcast {

/// Reads `kv_offload` where it is given; fills scenario.engine.tiers and .make. The engine's policies have
/// been read. \throws InputError where blocks cannot be told apart, or nothing says how large they are
void read_tiers(Config& engine, Scenario& scenario);

}  // namespace kvcast
