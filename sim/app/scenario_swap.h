/// engine.preemption: what becomes of the KV of a sequence that gives way.
#pragma once

#include "sim/app/scenario.h"

namespace kvcast {

/// Reads `preemption` and `swap_space_gib`; fills scenario.engine.batch.swap where sequences are swapped. The
/// pool and the engine's policies have been read. \throws InputError where the scheduler recomputes, or
/// nothing says how large a block is and how fast it moves
void read_preemption(Config& engine, Scenario& scenario);

}  // namespace kvcast
