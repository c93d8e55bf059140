#include "hwmodels/pipeline_timer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr double kFinePerUs = 1e3 * (1 << kFineBits);

/// The time of a message by its tokens: the fastest of some ways, each a line.
class MessageTime {
 public:
  MessageTime() = default;
  MessageTime(CollectiveOp op, std::int64_t ranks, const GroupLink& link, double bytes_per_token) {
    for (const CollectiveLine& line : lower_envelope(collective_lines(op, ranks, link))) {
      ways_.push_back({std::llround(line.fixed_us * kFinePerUs),
                       std::llround(line.us_per_byte * bytes_per_token * kFinePerUs)});
    }
  }

  [[nodiscard]] std::int64_t at(std::int64_t tokens) const {
    std::int64_t best = ways_.empty() ? 0 : std::numeric_limits<std::int64_t>::max();
    for (const Way& way : ways_) best = std::min(best, way.fixed + way.per_token * tokens);
    return best;
  }

 private:
  struct Way {
    std::int64_t fixed = 0, per_token = 0;  // 2^-20 ns
  };
  std::vector<Way> ways_;
};

class PipelineTimer final : public StepTimer {
 public:
  PipelineTimer(std::vector<std::unique_ptr<StepTimer>> stages, const StageTransfer& transfer)
      : stages_(std::move(stages)) {
    KVCAST_CHECK(!stages_.empty());
    const auto bytes = static_cast<double>(transfer.bytes_per_token);
    if (stages_.size() == 1 || transfer.bytes_per_token == 0) return;
    send_ = {CollectiveOp::send, 2, transfer.between, bytes / static_cast<double>(transfer.ranks)};
    if (transfer.ranks > 1) gather_ = {CollectiveOp::all_gather, transfer.ranks, transfer.inside, bytes};
  }

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    StepCost sum;
    for (const auto& stage : stages_) {
      const StepCost cost = stage->step(shape);
      sum.time += cost.time;
      sum.hbm_bytes += cost.hbm_bytes;
      sum.flop += cost.flop;
    }
    sum.time += hand_over(shape.tokens) * further();
    sum.hbm_bytes /= further() + 1;
    sum.flop /= further() + 1;
    return sum;
  }

  /// Only one stage has a line for bytes and FLOP that are whole numbers: the means of several are rounded,
  /// so a line holds for the context that it is asked for.
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    if (stages_.size() == 1) return stages_.front()->decode(seqs, context);
    StepShape shape;
    shape.tokens = shape.sampled = shape.decode_seqs = seqs;
    shape.decode_context = context;
    DecodeLine line;
    line.base = step(shape);
    line.context_max = context;
    return line;
  }

  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override {
    if (stages_.size() == 1) return stages_.front()->decode_within(seqs, context, reach);
    StepShape shape;
    shape.tokens = shape.sampled = shape.decode_seqs = seqs;
    shape.decode_context = context;
    shape.decode_reach = reach;
    DecodeLine line;
    line.base = step(shape);
    line.context_max = context;
    line.reach_max = reach;
    return line;
  }

  void stages(const StepShape& shape, std::vector<StageCost>& costs) const override {
    costs.clear();
    const FineDuration transfer = hand_over(shape.tokens);
    for (const auto& stage : stages_) costs.push_back({stage->step(shape).time, transfer});
    costs.back().transfer = {};
  }

  [[nodiscard]] StepParts parts(const StepShape& shape) const override {
    StepParts sum;
    const StepCost cost = step(shape);
    std::int64_t bytes = 0;
    for (const auto& stage : stages_) {
      const StepParts parts = stage->parts(shape);
      for (std::size_t i = 0; i < kStepParts; ++i) {
        sum.time[i] += parts.time[i];
        sum.bytes[i] += parts.bytes[i] / (further() + 1);
        bytes += parts.bytes[i] / (further() + 1);
      }
    }
    sum.time_of(StepPart::communication) += hand_over(shape.tokens).count() * further();
    sum.bytes_of(StepPart::weights) += cost.hbm_bytes - bytes;  // what dividing rounded off
    return sum;
  }

  /// The stages run kernels of one kind: their errors are taken to be the same ones.
  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    double sum = 0, total = 0;
    for (const auto& stage : stages_) {
      const auto time = static_cast<double>(stage->step(shape).time.count());
      sum += time * stage->relative_error(shape);
      total += time;
    }
    return total > 0 ? sum / total : 0;
  }

 private:
  [[nodiscard]] std::int64_t further() const { return static_cast<std::int64_t>(stages_.size()) - 1; }
  [[nodiscard]] FineDuration hand_over(std::int64_t tokens) const {
    return FineDuration{send_.at(tokens) + gather_.at(tokens)};
  }

  std::vector<std::unique_ptr<StepTimer>> stages_;
  MessageTime send_, gather_;
};

}  // namespace

std::unique_ptr<StepTimer> make_pipeline_timer(std::vector<std::unique_ptr<StepTimer>> stages,
                                               const StageTransfer& transfer) {
  return std::make_unique<PipelineTimer>(std::move(stages), transfer);
}

}  // namespace kvcast
