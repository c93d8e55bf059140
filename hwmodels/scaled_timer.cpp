#include "hwmodels/scaled_timer.h"

#include <cmath>

#include "sim/base/error.h"
#include "sim/base/shares.h"

namespace kvcast {
namespace {

constexpr double kTimeMax = 4e18;

class ScaledTimer final : public StepTimer {
 public:
  ScaledTimer(const StepTimer& timer, std::unique_ptr<StepTimer> owned, double factor)
      : owned_(std::move(owned)), timer_(timer), factor_(factor) {
    KVCAST_CHECK(factor >= 1 / kSpeedFactorMax);
    KVCAST_CHECK(factor <= kSpeedFactorMax);
  }

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    // Ranks that step together make no runs of steps: nothing has to follow the line.
    const bool pure_decode = shape.group_tokens == 0 && shape.prefill_seqs == 0 && shape.decode_seqs > 0 &&
                             shape.tokens == shape.decode_seqs && shape.sampled == shape.decode_seqs;
    StepCost cost = timer_.step(shape);
    if (pure_decode) {
      const DecodeLine line = shape.decode_reach > 0
                                  ? decode_within(shape.decode_seqs, shape.decode_context, shape.decode_reach)
                                  : decode(shape.decode_seqs, shape.decode_context);
      cost.time = line.base.time + line.per_context_token.time * shape.decode_context +
                  line.per_reach_token.time * shape.decode_reach;
    } else {
      cost.time = scaled(cost.time);
    }
    return cost;
  }

  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    return scaled(timer_.decode(seqs, context));
  }

  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override {
    return scaled(timer_.decode_within(seqs, context, reach));
  }

  [[nodiscard]] StepParts parts(const StepShape& shape) const override {
    const StepParts inside = timer_.parts(shape);
    StepParts parts = inside;
    divide(step(shape).time.count(), inside.time.data(), parts.time.data(), kStepParts);
    return parts;
  }

  void stages(const StepShape& shape, std::vector<StageCost>& costs) const override {
    timer_.stages(shape, costs);
    for (StageCost& stage : costs) stage = {scaled(stage.time), scaled(stage.transfer)};
  }

  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    return timer_.relative_error(shape);
  }

 private:
  [[nodiscard]] DecodeLine scaled(DecodeLine line) const {
    line.base.time = scaled(line.base.time);
    line.per_context_token.time = scaled(line.per_context_token.time);
    line.per_reach_token.time = scaled(line.per_reach_token.time);
    return line;
  }
  [[nodiscard]] FineDuration scaled(FineDuration time) const {
    const double fine = static_cast<double>(time.count()) * factor_;
    return FineDuration{fine >= kTimeMax ? static_cast<std::int64_t>(kTimeMax) : std::llround(fine)};
  }

  std::unique_ptr<StepTimer> owned_;
  const StepTimer& timer_;
  double factor_;
};

}  // namespace

std::unique_ptr<StepTimer> scaled_timer(std::unique_ptr<StepTimer> timer, double factor) {
  KVCAST_CHECK(timer != nullptr);
  const StepTimer& inside = *timer;
  return std::make_unique<ScaledTimer>(inside, std::move(timer), factor);
}

std::unique_ptr<StepTimer> scaled_timer(const StepTimer& timer, double factor) {
  return std::make_unique<ScaledTimer>(timer, nullptr, factor);
}

}  // namespace kvcast
