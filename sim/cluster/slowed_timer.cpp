#include "sim/cluster/slowed_timer.h"

#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

bool is_one(double factor) { return !(factor > 1); }

}  // namespace

void SlowedTimer::slow_down(double factor) {
  KVCAST_CHECK(factor >= 1);
  factor_ = factor;
}

FineDuration SlowedTimer::scaled(FineDuration time) const {
  return FineDuration{std::llround(static_cast<double>(time.count()) * factor_)};
}

DecodeLine SlowedTimer::scaled(DecodeLine line) const {
  line.base.time = scaled(line.base.time);
  line.per_context_token.time = scaled(line.per_context_token.time);
  line.per_reach_token.time = scaled(line.per_reach_token.time);
  return line;
}

StepCost SlowedTimer::step(const StepShape& shape) const {
  StepCost cost = timer_.step(shape);
  if (is_one(factor_)) return cost;
  const bool pure_decode = shape.group_tokens == 0 && shape.prefill_seqs == 0 && shape.decode_seqs > 0 &&
                           shape.verify_tokens == 0 && shape.draft_seqs == 0 &&
                           shape.tokens == shape.decode_seqs && shape.sampled == shape.decode_seqs;
  if (!pure_decode) {
    cost.time = scaled(cost.time);
    return cost;
  }
  const DecodeLine line = shape.decode_reach > 0
                              ? decode_within(shape.decode_seqs, shape.decode_context, shape.decode_reach)
                              : decode(shape.decode_seqs, shape.decode_context);
  cost.time = line.base.time + line.per_context_token.time * shape.decode_context +
              line.per_reach_token.time * shape.decode_reach;
  return cost;
}

DecodeLine SlowedTimer::decode(std::int64_t seqs, std::int64_t context) const {
  const DecodeLine line = timer_.decode(seqs, context);
  return is_one(factor_) ? line : scaled(line);
}

DecodeLine SlowedTimer::decode_within(std::int64_t seqs, std::int64_t context, std::int64_t reach) const {
  const DecodeLine line = timer_.decode_within(seqs, context, reach);
  return is_one(factor_) ? line : scaled(line);
}

void SlowedTimer::stages(const StepShape& shape, std::vector<StageCost>& costs) const {
  timer_.stages(shape, costs);
  if (is_one(factor_)) return;
  for (StageCost& stage : costs) stage = {scaled(stage.time), scaled(stage.transfer)};
}

}  // namespace kvcast
