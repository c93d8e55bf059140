/// engine.parallel_sampling: how an engine makes several answers of one request.
#pragma once

#include "sim/app/scenario.h"

namespace kvcast {

/// Reads `parallel_sampling` and, with copy_on_write, `beam_fork_rate` and `swap_space_gib`; fills
/// scenario.engine.batch.forks. The pool, the policies and the preemption have been read. \throws InputError
/// where the engine cannot share blocks copy on write
void read_parallel_sampling(Config& engine, Scenario& scenario);

}  // namespace kvcast
