/// One engine's loop: plan a step, let it last, take its output.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/engine/fine_instant.h"
#include "sim/metrics/record.h"
#include "sim/sched/batch.h"

namespace kvcast {

/// Contract: times only move forward. enqueue() adds a request at its arrival; plan() starts a step (or a run of decode steps) at `now` and returns its
/// end, or nothing when there is nothing to run; cut() brings the end of a run forward to the first step boundary at or after an arrival;
/// complete() takes the output at the end.
class Replica {
 public:
  Replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks);

  /// False when the request was refused at the door.
  bool enqueue(Request&& request);
  [[nodiscard]] std::optional<FineInstant> plan(FineInstant now);
  [[nodiscard]] FineInstant cut(FineInstant arrival);
  void complete();
  [[nodiscard]] bool in_flight() const { return steps_ > 0; }
  /// Ids of the requests that the last complete() ended, in order of admission.
  [[nodiscard]] const std::vector<RequestId>& finished() const { return finished_; }

  /// Ends the run at the cut-off, or (no cut-off) when nothing can happen any more; who is still inside is unfinished.
  void stop(std::optional<FineInstant> cutoff);
  [[nodiscard]] RunRecord& record() { return record_; }

 private:
  /// What the world knows of a sequence, beside what policies see.
  struct Track {
    Instant scheduled = kNever;
    Instant first_token = kNever;
    FineInstant last_token;
    std::unique_ptr<RequestDetails> details;
  };
  struct Cohort {  // members of the decode group whose last token came at the same moment
    FineInstant last_token;
    std::int64_t size;
  };

  [[nodiscard]] bool preempts_for_ever() const;
  void note_plan(FineInstant now);
  void start(FineInstant now);
  [[nodiscard]] Int128 elapsed(std::int64_t steps) const;
  [[nodiscard]] std::int64_t steps_by(FineInstant time) const;
  void update_cohorts(FineInstant end, bool group_ran);
  void record_group_gaps();
  void record_emissions(FineInstant end);
  void record_end(SeqIndex seq, FineInstant end);
  void record_step();
  void tell_preemptions(FineInstant now);
  void scrape_idle(FineInstant until);
  void scrape_steps(FineInstant until);
  void emit_row(const Sequence& sequence, const Track& track, Outcome outcome, Instant last_token);
  void refuse(const Request& request, Outcome outcome);
  [[nodiscard]] Track& track(SeqIndex seq) { return tracks_[to_index(seq)]; }

  ReplicaId id_;
  const EngineSetup& engine_;
  const StepTimer& timer_;
  const RunHooks& hooks_;
  SloLimits slo_;
  std::unique_ptr<BlockAllocator> allocator_;
  std::unique_ptr<QueueOrder> order_;
  std::unique_ptr<Scheduler> scheduler_;
  Batch batch_;
  std::vector<Track> tracks_;  // by SeqIndex
  std::vector<Cohort> cohorts_;
  FineInstant group_last_end_;
  RunRecord record_;
  std::vector<RequestId> finished_;
  StepRecord step_record_;
  std::int64_t steps_told_ = 0;
  std::int64_t preemptions_in_vain_ = 0;  // since the last token or arrival

  // The step or run in flight; steps_ 0: none.
  FineInstant begin_;
  std::int64_t steps_ = 0;
  StepCost first_;          // cost of the first step
  StepCost growth_;         // added with every further step
  StepShape shape_;
  FineInstant idle_since_;
};

}  // namespace kvcast
