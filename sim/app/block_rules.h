/// How an engine's release manages KV blocks, for the layers of one model.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/memory_report.h"
#include "sim/kv/cached_blocks.h"
#include "sim/sched/scheduler.h"

namespace kvcast {

/// "0.32.0" -> (0, 32). \throws InputError where the text does not begin with two numbers
[[nodiscard]] EngineVersion parse_engine_version(const std::string& text);

/// Settings of vLLM's KV cache manager in this release.
/// \param groups at least one
[[nodiscard]] CachedBlocksSettings vllm_block_rules(std::vector<KvGroup> groups, bool caching,
                                                    EngineVersion version);

/// The groups of a model, those that keep every token first. Recurrent layers with prefix caching hold the
/// states of two blocks: they stand as a window of one block and a token; chunks of local attention stand as
/// windows.
[[nodiscard]] std::vector<KvGroup> kv_groups_of(const KvReport& kv, bool caching);

/// What that simplifies; empty: nothing.
[[nodiscard]] std::string kv_groups_assumption(const KvReport& kv, bool caching);

}  // namespace kvcast
