/// The timer that bounds rest on where layers are bounded.
#pragma once

#include <algorithm>

#include "sim/step_timer.h"

namespace kvcast {

/// Steps at the least that they can cost where layers are bounded: every token attends to itself alone. A
/// bound on sums of whole contexts would not hold, as long sequences attend to a part of theirs.
class LeastAttention final : public StepTimer {
 public:
  explicit LeastAttention(const StepTimer& timer) : timer_(timer) {}
  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    StepShape least = shape;
    least.decode_context = least.decode_reach = std::min(shape.decode_context, shape.decode_seqs);
    least.prefill_context = least.prefill_pairs = std::min(shape.prefill_pairs, shape.tokens);
    least.prefill_reach = std::min(shape.prefill_reach, shape.tokens);
    least.prefill_reach_pairs = std::min(shape.prefill_reach_pairs, shape.tokens);
    return timer_.step(least);
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t /*context*/) const override {
    StepShape shape;
    shape.tokens = shape.sampled = shape.decode_seqs = seqs;
    shape.decode_context = shape.decode_reach = seqs;
    DecodeLine line;
    line.base = timer_.step(shape);
    return line;
  }

 private:
  const StepTimer& timer_;
};

}  // namespace kvcast
