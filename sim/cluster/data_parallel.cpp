#include "sim/cluster/data_parallel.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "sim/cluster/replica.h"

namespace kvcast {
namespace {

/// Keeps what a rank's step computes until the group knows how long it takes.
class ShapeKeeper final : public StepTimer {
 public:
  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    shape_ = shape;
    return {};
  }
  [[nodiscard]] DecodeLine decode(std::int64_t, std::int64_t) const override {
    check_failed("ranks that step together make no runs of steps", __FILE__, __LINE__);
  }
  [[nodiscard]] const StepShape& shape() const { return shape_; }

 private:
  mutable StepShape shape_;
};

class DataParallelEngine final : public Engine {
 public:
  DataParallelEngine(std::int64_t ranks, ReplicaId id, const ClusterSetup& setup, const StepTimer& timer,
                     const RunHooks& hooks)
      : setup_(setup), timer_(timer), keepers_(static_cast<std::size_t>(ranks)) {
    KVCAST_CHECK(!setup.engine.batch.asynchronous && setup.engine.stages == 1);
    setup_.engine.path = StepPath::step_by_step;
    setup_.engine.make = make_replica;
    for (const ShapeKeeper& keeper : keepers_)
      ranks_.push_back(std::make_unique<Replica>(id, setup_, keeper, hooks));
  }

  [[nodiscard]] bool enqueue(Request&& request) override {
    return ranks_[least_loaded()]->enqueue(std::move(request));
  }

  [[nodiscard]] std::optional<FineInstant> plan(FineInstant now) override {
    if (busy()) return event_;  // an arrival waits for the step under way
    std::int64_t tokens = 0;
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      tokens += ranks_[r]->plan(now) ? keepers_[r].shape().tokens : kDummyTokens;
    if (!busy()) return std::nullopt;
    FineDuration longest{};
    std::vector<StepCost> costs(ranks_.size());
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (!ranks_[r]->busy()) continue;
      StepShape shape = keepers_[r].shape();
      shape.group_tokens = tokens;
      costs[r] = timer_.step(shape);
      longest = std::max(longest, costs[r].time);
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (!ranks_[r]->busy()) continue;
      costs[r].time = longest;
      ranks_[r]->takes(costs[r], tokens);
    }
    event_ = now + longest.count();
    return event_;
  }

  [[nodiscard]] FineInstant cut(FineInstant /*arrival*/) override { return event_; }

  void complete() override {
    finished_.clear();
    for (const auto& rank : ranks_) {
      if (!rank->busy()) continue;
      rank->complete();
      finished_.insert(finished_.end(), rank->finished().begin(), rank->finished().end());
    }
  }

  [[nodiscard]] bool busy() const override {
    return std::any_of(ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank->busy(); });
  }
  [[nodiscard]] const std::vector<RequestId>& finished() const override { return finished_; }

  void stop(std::optional<FineInstant> cutoff) override {
    for (const auto& rank : ranks_) {
      rank->stop(cutoff);
      record_.merge(rank->record());
    }
  }
  [[nodiscard]] RunRecord& record() override { return record_; }

  [[nodiscard]] const TimelinePoint& metrics_before(FineInstant now) override {
    scraped_ = {};
    for (const auto& rank : ranks_) {
      const TimelinePoint& point = rank->metrics_before(now);
      scraped_.running += point.running;
      scraped_.waiting += point.waiting;
      scraped_.blocks_used += point.blocks_used;
      scraped_.tokens_resident += point.tokens_resident;
      scraped_.largest_free_blocks = std::max(scraped_.largest_free_blocks, point.largest_free_blocks);
    }
    return scraped_;
  }

 private:
  static constexpr std::int64_t kDummyTokens = 1;

  [[nodiscard]] std::size_t least_loaded() const {
    constexpr std::int64_t kWaitingWeight = 4;
    std::size_t best = 0;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      const std::int64_t load = kWaitingWeight * ranks_[r]->waiting() + ranks_[r]->running();
      if (load >= least) continue;
      best = r;
      least = load;
    }
    return best;
  }

  ClusterSetup setup_;  // of one rank
  const StepTimer& timer_;
  std::vector<ShapeKeeper> keepers_;  // of each rank
  std::vector<std::unique_ptr<Replica>> ranks_;
  std::vector<RequestId> finished_;
  FineInstant event_;
  RunRecord record_;
  TimelinePoint scraped_;
};

}  // namespace

EngineMaker make_data_parallel(std::int64_t ranks) {
  KVCAST_CHECK(ranks >= 1);
  return [ranks](ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks) {
    return std::make_unique<DataParallelEngine>(ranks, id, setup, timer, hooks);
  };
}

}  // namespace kvcast
