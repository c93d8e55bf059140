/// How one replica is spread over GPUs: the keys of cluster and engine that say so.
#pragma once

#include "sim/app/scenario.h"

namespace kvcast {

/// Reads tensor, pipeline, context and data parallelism, expert parallelism and the node, and checks them
/// against model, engine and node. \throws InputError at the offending key
void read_parallelism(Config& engine, Config& cluster, ReadFor use, Deployment& deployment);

/// How the GPUs of one replica are divided.
[[nodiscard]] ParallelShape shape_of(const MemoryOptions& memory);

/// Ranks that hold a part each of every cache.
[[nodiscard]] std::int64_t cache_parts(const MemoryOptions& memory);

/// "TP 2, PP 4 on HGX H100, ..."; of a single rank or plain tensor parallelism in the default node: "TP 2".
[[nodiscard]] std::string describe_parallelism(const Deployment& deployment);

/// Refuses what pipelines and ranks that step together cannot have beside them.
/// \throws InputError at the offending key
void check_spread_engine(const Config& engine, const Scenario& scenario);

/// What the simulated engine simplifies of it, one sentence each.
[[nodiscard]] std::vector<std::string> parallel_assumptions(const Deployment& deployment);

}  // namespace kvcast
