/// Runs with every request's time explained, and what must hold of the explanations.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/metrics/breakdown.h"
#include "tests/support/random_runs.h"

namespace kvcast::test {

/// A timer's steps with some split into parts, uneven and dependent on every count.
class SplitTimer final : public StepTimer {
 public:
  explicit SplitTimer(const StepTimer& timer) : timer_(timer) {}
  [[nodiscard]] StepCost step(const StepShape& shape) const override { return timer_.step(shape); }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    return timer_.decode(seqs, context);
  }
  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override {
    return timer_.decode_within(seqs, context, reach);
  }
  void stages(const StepShape& shape, std::vector<StageCost>& costs) const override {
    timer_.stages(shape, costs);
  }
  [[nodiscard]] StepParts parts(const StepShape& shape) const override;

 private:
  const StepTimer& timer_;
};

struct Explained {
  RunRecord record;
  Watcher watcher;
  std::vector<RequestTime> requests;
  DeviceTime device;
  std::vector<std::shared_ptr<const StepTimer>> timers;  // of further pools
};

/// Walks step by step, with the steps split by SplitTimer.
[[nodiscard]] Explained explain_run(const ClusterSetup& setup, const SourceMaker& source,
                                    const StepTimer& timer, const BreakdownOptions& options = {});

/// Parts against wholes, to the nanosecond, and against a plain walk over the steps; what is wrong, or
/// nothing.
[[nodiscard]] std::string problem_of(const Explained& explained, const BreakdownOptions& options = {});

}  // namespace kvcast::test
