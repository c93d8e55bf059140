/// The engine that policies plug into: a Scheduler plans steps on a Batch, they last as long as the StepTimer says, their output is taken.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cluster/engine.h"
#include "sim/cluster/recorder.h"
#include "sim/sched/batch.h"

namespace kvcast {

class Replica final : public Engine {
 public:
  Replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks);

  [[nodiscard]] bool enqueue(Request&& request) override;
  [[nodiscard]] std::optional<FineInstant> plan(FineInstant now) override;
  [[nodiscard]] FineInstant cut(FineInstant arrival) override;
  void complete() override;
  [[nodiscard]] bool busy() const override { return run_.steps > 0; }
  [[nodiscard]] const std::vector<RequestId>& finished() const override { return finished_; }
  void stop(std::optional<FineInstant> cutoff) override;
  [[nodiscard]] RunRecord& record() override { return recorder_.record(); }

 private:
  struct Cohort {  // members of the decode group whose last token came at the same moment
    FineInstant last_token;
    std::int64_t size;
  };

  [[nodiscard]] bool preempts_for_ever() const;
  void note_plan(FineInstant now);
  void start(FineInstant now);
  void update_cohorts(FineInstant end, bool group_ran);
  void record_group_gaps();
  void record_step(FineInstant begin);
  void tell_preemptions(FineInstant now);
  void scrape(FineInstant until);
  [[nodiscard]] Track& track(SeqIndex seq) { return tracks_[to_index(seq)]; }

  ReplicaId id_;
  const EngineSetup& engine_;
  const StepTimer& timer_;
  StepObserver* observer_;
  std::unique_ptr<BlockAllocator> allocator_;
  std::unique_ptr<QueueOrder> order_;
  std::unique_ptr<Scheduler> scheduler_;
  Batch batch_;
  Recorder recorder_;
  std::vector<Track> tracks_;  // by SeqIndex
  std::vector<Cohort> cohorts_;
  FineInstant group_last_end_;
  std::vector<RequestId> finished_;
  StepRecord step_record_;
  std::int64_t steps_told_ = 0;
  std::int64_t preemptions_in_vain_ = 0;  // since the last token or arrival
  StepRun run_;                           // in flight; no steps: idle
  FineInstant idle_since_;
};

}  // namespace kvcast
