/// Steps of a model whose layers are spread over the stages of a pipeline.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "hwmodels/collectives.h"
#include "sim/step_timer.h"

namespace kvcast {

/// What a stage hands to the next for each token, and over what. Every tensor-parallel rank sends its part to
/// its like, and the receivers gather the whole (vLLM: send_tensor_dict with an all-gather group).
struct StageTransfer {
  std::int64_t bytes_per_token = 0;  // hidden state and residual
  std::int64_t ranks = 1;            // of a stage
  GroupLink between;                 // of two stages
  GroupLink inside;                  // of the ranks of a stage
};

/// step() is the sum over the stages and the transfers between them: what a step takes that has the pipeline
/// to itself; bytes and FLOP are one GPU's, on average.
/// \param stages timers of the stages, in order; at least one
[[nodiscard]] std::unique_ptr<StepTimer> make_pipeline_timer(std::vector<std::unique_ptr<StepTimer>> stages,
                                                             const StageTransfer& transfer);

}  // namespace kvcast
