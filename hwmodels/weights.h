/// Bytes of the weights on one rank, by part, as vLLM's model classes create them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "hwmodels/model_spec.h"

namespace kvcast {

/// How the weights are spread.
struct WeightSplit {
  std::int64_t tensor_parallel = 1;
  std::int64_t pipeline_parallel = 1;
  bool expert_parallel = false;  // whole experts spread over the tensor-parallel ranks
  std::string moe_backend;       // "marlin", or "" and "triton": how MXFP4 experts are padded
  /// Tensor-parallel groups (data- and context-parallel ranks) that whole experts are spread over together.
  std::int64_t expert_groups = 1;
};

/// Bytes by part of the model.
struct WeightParts {
  std::int64_t embed = 0, lm_head = 0, attention = 0, state_layers = 0, mlp_and_router = 0, experts = 0,
               shared_experts = 0, norm = 0, vision = 0;
  [[nodiscard]] std::int64_t total() const;
};

struct StageWeights {
  WeightParts parts;
  std::int64_t buffer_bytes = 0;        // rotary tables, KV scales, index maps, copies of convolution weights
  std::int64_t mla_absorbed_bytes = 0;  // kv_b_proj once more in the model's dtype, as two absorbed matrices
};

/// Layers [first, second) of a pipeline stage, as vLLM partitions them: the remainder goes to the stages
/// before the last.
[[nodiscard]] std::pair<std::size_t, std::size_t> stage_layers(const ModelSpec& model, std::int64_t stages,
                                                               std::int64_t stage);

/// \throws InputError (exit code 4) with weights_refused where the file does not say enough, and where the
/// split does not divide the model
[[nodiscard]] StageWeights count_weights(const ModelSpec& model, const WeightSplit& split,
                                         std::int64_t stage);

/// A drafter's weights: "mtp" (the checkpoint's prediction layers) or "eagle" (one layer of the target's
/// shape). As created; the engine later shares embedding and LM head with the target where the checkpoint has
/// none of its own: the shareable bytes.
struct DraftWeights {
  WeightParts parts;
  std::int64_t buffer_bytes = 0;
  std::int64_t mla_absorbed_bytes = 0;
  std::int64_t shareable_bytes = 0;
};
[[nodiscard]] DraftWeights count_draft_weights(const ModelSpec& model, const WeightSplit& split,
                                               const std::string& method);

/// Refuses what engines refuse: heads, experts or vocabulary that do not divide over the ranks.
/// \throws InputError
void check_split(const ModelSpec& model, const WeightSplit& split);

/// KV heads of one rank: split while there are enough, replicated beyond. \throws InputError where neither
/// divides
[[nodiscard]] std::int64_t kv_heads_per_rank(std::int64_t kv_heads, std::int64_t tensor_parallel);

}  // namespace kvcast
