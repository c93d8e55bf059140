#include "sim/app/compose_spread.h"

#include "hwmodels/overlapped_timer.h"
#include "hwmodels/pipeline_timer.h"
#include "hwmodels/weights.h"
#include "sim/app/scenario_parallel.h"

namespace kvcast {
namespace {

/// Hidden state and residual of each token (vLLM's IntermediateTensors).
StageTransfer transfer_of(const Deployment& deployment) {
  constexpr std::int64_t kTensors = 2;
  const ModelSpec& model = *deployment.model;
  const ParallelShape shape = shape_of(deployment.memory);
  const NodeSpec node = deployment.spread.node ? *deployment.spread.node : default_node(*deployment.gpu);
  StageTransfer transfer;
  transfer.bytes_per_token = kTensors * model.hidden_size * model.dtype_bytes;
  transfer.ranks = shape.tensor;
  transfer.between = group_link(node, *deployment.gpu, {shape.pipeline, shape.tensor * shape.context});
  transfer.inside = group_link(node, *deployment.gpu, {shape.tensor, 1});
  return transfer;
}

std::unique_ptr<StepTimer> compose_slice(const Deployment& deployment, const SliceTimer& make,
                                         SpreadOptions spread, bool has_host) {
  if (deployment.communication_overlap == 0) return make(spread, has_host);
  spread.ops = OpChoice::computing;
  std::unique_ptr<StepTimer> computing = make(spread, has_host);
  spread.ops = OpChoice::communicating;
  return overlapped_timer(std::move(computing), make(spread, false), deployment.communication_overlap);
}

}  // namespace

std::unique_ptr<StepTimer> compose_spread(const Deployment& deployment, const SliceTimer& make) {
  const std::int64_t count = deployment.memory.pipeline_parallel_size;
  if (count == 1) return compose_slice(deployment, make, deployment.spread, true);
  std::vector<std::unique_ptr<StepTimer>> stages;
  for (std::int64_t stage = 0; stage < count; ++stage) {
    SpreadOptions spread = deployment.spread;
    const auto [first, last] = stage_layers(*deployment.model, count, stage);
    spread.slice = {first, last, stage == 0, stage == count - 1};
    stages.push_back(compose_slice(deployment, make, spread, stage == 0));
  }
  return make_pipeline_timer(std::move(stages), transfer_of(deployment));
}

std::unique_ptr<StepTimer> divide_over_stages(const Deployment& deployment, const AffineTime& formula) {
  const std::int64_t count = deployment.memory.pipeline_parallel_size;
  if (count == 1) return make_affine_timer(formula);
  const auto share = static_cast<double>(count);
  std::vector<std::unique_ptr<StepTimer>> stages;
  for (std::int64_t stage = 0; stage < count; ++stage) {
    stages.push_back(make_affine_timer(
        {formula.base_us / share, formula.per_token_us / share, formula.per_context_token_us / share}));
  }
  return make_pipeline_timer(std::move(stages), {});
}

}  // namespace kvcast
