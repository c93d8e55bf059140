/// SGLang 0.5.23 as an engine of a cluster: scheduler, radix cache, and the normal or the overlap loop around
/// them.
#pragma once

#include "sim/cluster/engine.h"
#include "sim/sglang/observer.h"
#include "sim/sglang/settings.h"

namespace kvcast {

/// The pool and its page come from EngineSetup::pool, context_len from EngineSetup::max_model_len, the path
/// from EngineSetup::path; scheduler, order and allocator are not used. CPU work costs no time. Decisions
/// equal those of SGLang's own scheduler (tests/oracles/sglang.cpp). \throws InputError from the maker if the
/// settings contradict each other or name an unknown eviction policy
[[nodiscard]] EngineMaker make_sglang_engine(SglangSettings settings);

}  // namespace kvcast
