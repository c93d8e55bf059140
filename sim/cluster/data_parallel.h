/// Data-parallel ranks of one engine: each with its own scheduler and cache, all stepping together because
/// they share the experts.
#pragma once

#include <cstdint>

#include "sim/cluster/engine.h"

namespace kvcast {

/// An engine of `ranks` ranks, each as EngineSetup says. A step of the group begins when the one before has
/// ended on all; every rank plans its own, ranks with nothing to do run one dummy token, and the group's step
/// lasts as long as its slowest rank's, with StepShape::group_tokens the tokens of all. A request goes to the
/// rank with the least 4 x waiting + running, the first of equals. Source: vLLM, v1/engine (core.py:
/// DPEngineCoreProc's dummy batches; core_client.py: DPLBAsyncMPClient's score, taken live here).
[[nodiscard]] EngineMaker make_data_parallel(std::int64_t ranks);

}  // namespace kvcast
