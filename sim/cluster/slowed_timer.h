/// A replica that is slower for a while.
#pragma once

#include "sim/step_timer.h"

namespace kvcast {

/// Contract: every step of another timer, multiplied by a factor that may change between steps; 1 changes
/// nothing. Pure decode steps cost what the scaled line of decode() says, so that both stay equal to 2^-20
/// ns.
class SlowedTimer final : public StepTimer {
 public:
  explicit SlowedTimer(const StepTimer& timer) : timer_(timer) {}

  /// \param factor at least 1; of steps that are planned from now on
  void slow_down(double factor);

  [[nodiscard]] StepCost step(const StepShape& shape) const override;
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override;
  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override;
  void stages(const StepShape& shape, std::vector<StageCost>& costs) const override;
  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    return timer_.relative_error(shape);
  }

 private:
  [[nodiscard]] FineDuration scaled(FineDuration time) const;
  [[nodiscard]] DecodeLine scaled(DecodeLine line) const;

  const StepTimer& timer_;
  double factor_ = 1;
};

}  // namespace kvcast
