/// engine.preemption: what becomes of the KV of a sequence that gives way.
#pragma once

#include <string>

#include "sim/app/scenario.h"

namespace kvcast {

/// `preemption`: recompute, swap or cheapest.
[[nodiscard]] std::string read_preemption_name(Config& engine);

/// Reads `preemption` and `swap_space_gib`; fills scenario.engine.batch.swap where sequences are swapped. The
/// pool and the engine's policies have been read. \throws InputError where the scheduler recomputes, or
/// nothing says how large a block is and how fast it moves
void read_preemption(Config& engine, Scenario& scenario);

/// Whether every layer keeps every token.
[[nodiscard]] bool every_layer_keeps_all(const KvReport& kv);

/// Reads `swap_space_gib`. \param bytes_per_s at which blocks move to the host
[[nodiscard]] SwapSpace read_swap_space(Config& engine, const KvReport& kv, double bytes_per_s);

}  // namespace kvcast
