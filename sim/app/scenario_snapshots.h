/// engine.state_snapshots: where recurrent layers keep a state for prompts that begin alike.
#pragma once

#include "sim/app/scenario.h"
#include "sim/kv/cached_blocks.h"

namespace kvcast {

/// Reads `state_snapshots` into the groups of recurrent layers. The model's memory and the features have been
/// read. \throws InputError where no layer is recurrent or nothing is looked for again
void read_snapshots(Config& engine, Scenario& scenario, CachedBlocksSettings& layers);

}  // namespace kvcast
