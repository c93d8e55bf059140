/// Keys of a scenario that choose a bounded cache: engine.allocator and the section of its name.
#pragma once

#include <optional>
#include <string>

#include "hwmodels/memory_report.h"
#include "hwmodels/retention.h"
#include "sim/base/config.h"
#include "sim/kv/cached_blocks.h"
#include "sim/sched/reach.h"

namespace kvcast {

/// Reads the section of `allocator` (engine.ring, engine.sinks, ...); a plan of form `all` for allocators
/// that keep everything. \throws InputError for impossible numbers
[[nodiscard]] RetentionPlan read_retention(Config& engine, const std::string& allocator);

/// engine.kv_quantization and engine.kv_cache_dtype_skip_layers, given to the model's layers.
/// \param block_size of the deployment; 0: the engine's choice, taken to be 16
void read_storage(Config& engine, std::int64_t block_size, ModelSpec& model);

/// apply_retention(), the scenario's place named in what it refuses.
void retain(Config& engine, const RetentionPlan& plan, ModelSpec& model);

/// Forms that choose by the scores of a whole prompt: their authors compute it in one step, and so must the
/// engine.
[[nodiscard]] bool needs_whole_prompts(const RetentionPlan& plan);

/// What bounded layers attend to: the widest bound, where layers have several.
[[nodiscard]] Reach reach_of(const ModelSpec& model);
/// Without a model: every layer as the plan says.
[[nodiscard]] Reach reach_of(const RetentionPlan& plan);

/// Bounds of a group without a model.
void bound_group(const RetentionPlan& plan, KvGroup& group);

/// "ring, window 1,024"; empty where everything is kept.
[[nodiscard]] std::string describe_retention(const RetentionPlan& plan);

}  // namespace kvcast
