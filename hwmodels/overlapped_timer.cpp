#include "hwmodels/overlapped_timer.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

class OverlappedTimer final : public StepTimer {
 public:
  OverlappedTimer(std::unique_ptr<StepTimer> computing, std::unique_ptr<StepTimer> communicating,
                  double share)
      : computing_(std::move(computing)), communicating_(std::move(communicating)), share_(share) {
    KVCAST_CHECK(share >= 0 && share <= 1);
  }

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    StepCost cost = computing_->step(shape);
    const FineDuration link = communicating_->step(shape).time;
    const FineDuration beside = hidden(link);
    cost.time = link - beside + std::max(cost.time, beside);
    return cost;
  }

  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    return joined(computing_->decode(seqs, context), communicating_->decode(seqs, context), context, 0);
  }

  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override {
    return joined(computing_->decode_within(seqs, context, reach),
                  communicating_->decode_within(seqs, context, reach), context, reach);
  }

  [[nodiscard]] StepParts parts(const StepShape& shape) const override {
    StepParts parts = computing_->parts(shape);
    parts.time_of(StepPart::communication) += (step(shape).time - computing_->step(shape).time).count();
    return parts;
  }

  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    return computing_->relative_error(shape);
  }

 private:
  [[nodiscard]] FineDuration hidden(FineDuration link) const {
    return FineDuration{static_cast<std::int64_t>(std::floor(share_ * static_cast<double>(link.count())))};
  }

  /// What decoding sends does not grow with the context, so that it is a bound that computation outgrows.
  [[nodiscard]] DecodeLine joined(DecodeLine line, const DecodeLine& link, std::int64_t context,
                                  std::int64_t reach) const {
    KVCAST_CHECK(link.per_context_token.time.count() == 0 && link.per_reach_token.time.count() == 0);
    const FineDuration beside = hidden(link.base.time);
    const FineDuration alone =
        line.base.time + line.per_context_token.time * context + line.per_reach_token.time * reach;
    if (alone >= beside) {
      line.base.time += link.base.time - beside;
      return line;
    }
    const std::int64_t room = (beside - alone).count();
    const auto last = [room](std::int64_t at, std::int64_t slope, std::int64_t known, bool shared) {
      return slope == 0 ? known : std::min(known, at + room / slope / (shared ? 2 : 1));
    };
    const bool both = line.per_context_token.time.count() > 0 && line.per_reach_token.time.count() > 0;
    line.context_max = last(context, line.per_context_token.time.count(), line.context_max, both);
    line.reach_max = last(reach, line.per_reach_token.time.count(), line.reach_max, both);
    line.base.time = link.base.time;
    line.per_context_token.time = line.per_reach_token.time = {};
    return line;
  }

  std::unique_ptr<StepTimer> computing_, communicating_;
  double share_;
};

}  // namespace

std::unique_ptr<StepTimer> overlapped_timer(std::unique_ptr<StepTimer> computing,
                                            std::unique_ptr<StepTimer> communicating, double share) {
  return std::make_unique<OverlappedTimer>(std::move(computing), std::move(communicating), share);
}

}  // namespace kvcast
