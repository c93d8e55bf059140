#include "sim/cluster/tiered_replica.h"

#include <algorithm>
#include <optional>

#include "sim/cluster/replica.h"

namespace kvcast {
namespace {

/// The replica's events and those of its links: a load that ends acts as an arrival does.
class TieredReplica final : public Engine {
 public:
  TieredReplica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks)
      : first_(to_index(id) == 0),
        tiers_(*setup.engine.tiers, *setup.shared_tiers,
               [&timer](std::int64_t cached, std::int64_t tokens) {
                 return FineTime{timer.step(chunk_shape(cached, tokens)).time.count()};
               }),
        replica_(id, setup, timer, hooks, &tiers_) {}

  bool enqueue(Request&& request) override {
    tiers_.set_time(FineInstant{request.arrival}.value);
    return replica_.enqueue(std::move(request));
  }

  std::optional<FineInstant> plan(FineInstant now) override {
    tiers_.set_time(now.value);
    if (!replica_.busy() || due_) {
      due_ = false;
      event_ = replica_.plan(now);
      tiers_.flush_released();
    }
    return next(now);
  }

  FineInstant cut(FineInstant arrival) override {
    event_ = replica_.cut(arrival);
    return *next(arrival);
  }

  /// Output comes first, then the loads that end at this moment.
  void complete() override {
    const FineInstant now = next_;
    told_.clear();
    if (event_ && *event_ == now) {
      tiers_.set_time(now.value);
      replica_.complete();
      told_ = replica_.finished();
      due_ = true;
      event_.reset();
      tiers_.flush_released();
    }
    tiers_.set_time(now.value);
    const std::vector<std::uint32_t> ended = tiers_.take_ended();
    for (const std::uint32_t seq : ended) replica_.loaded(seq, now);
    if (!ended.empty() && replica_.busy()) event_ = replica_.cut(now);
  }

  [[nodiscard]] bool busy() const override { return replica_.busy(); }
  [[nodiscard]] const std::vector<RequestId>& finished() const override { return told_; }
  void stop(std::optional<FineInstant> cutoff) override {
    if (cutoff) tiers_.set_time(std::max(cutoff->value, tiers_.now()));
    replica_.stop(cutoff);
    replica_.record().tiers = tiers_.totals(first_);
  }
  [[nodiscard]] RunRecord& record() override { return replica_.record(); }
  [[nodiscard]] const TimelinePoint& metrics_before(FineInstant now) override {
    return replica_.metrics_before(now);
  }
  [[nodiscard]] Tokens held_prefix(const Request& request, FineInstant now) override {
    return replica_.held_prefix(request, now);
  }

 private:
  /// The engine's next event or that of a load, whichever comes first.
  std::optional<FineInstant> next(FineInstant now) {
    const FineTime load = tiers_.next_event();
    if (load >= kFineNever) {
      if (event_) next_ = *event_;
      return event_;
    }
    next_ = FineInstant{std::max(load, now.value)};
    if (event_) next_ = std::min(next_, *event_);
    return next_;
  }

  bool first_;
  Tiers tiers_;
  Replica replica_;
  std::optional<FineInstant> event_;  // the replica's own
  bool due_ = false;                  // its output has been taken, and it has not planned since
  FineInstant next_;
  std::vector<RequestId> told_;
};

}  // namespace

std::unique_ptr<Engine> make_tiered_replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer,
                                            const RunHooks& hooks) {
  return std::make_unique<TieredReplica>(id, setup, timer, hooks);
}

}  // namespace kvcast
