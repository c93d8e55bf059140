/// The engine that policies plug into: a Scheduler plans steps on a Batch, they last as long as the StepTimer
/// says, their output is taken.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cluster/engine.h"
#include "sim/cluster/kv_peer.h"
#include "sim/cluster/pipeline_clock.h"
#include "sim/cluster/recorder.h"
#include "sim/cluster/sample_runs.h"
#include "sim/kv/tiers.h"
#include "sim/sched/batch.h"

namespace kvcast {

/// Synchronous: a step is planned when the output of the one before has been taken. Asynchronous: step n + 1
/// is planned when step n starts, with the output of step n - 1 known; at most two are under way. A pipeline:
/// as many steps are under way as it has stages; with the output of one, as many are planned as can be
/// (vLLM's batch queue; Orca, Yu et al. 2022, sec. 4.2).
class Replica final : public Engine, public KvPeer {
 public:
  /// \param tiers below the GPU's memory, or null
  Replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks,
          Tiers* tiers = nullptr);

  [[nodiscard]] bool enqueue(Request&& request) override { return enter(std::move(request), Part{}); }
  [[nodiscard]] std::optional<FineInstant> plan(FineInstant now) override;
  [[nodiscard]] FineInstant cut(FineInstant arrival) override;
  void complete() override;
  [[nodiscard]] bool busy() const override { return !flights_.empty(); }
  [[nodiscard]] const std::vector<RequestId>& finished() const override { return finished_; }
  void stop(std::optional<FineInstant> cutoff) override;
  [[nodiscard]] const TimelinePoint& metrics_before(FineInstant now) override;
  [[nodiscard]] Tokens held_prefix(const Request& request, FineInstant now) override;
  [[nodiscard]] std::vector<Request> fail(FineInstant now, const RetryPolicy& retry) override;
  void hold(bool held) override { held_ = held; }
  [[nodiscard]] TimelinePoint look(FineInstant now) override;
  [[nodiscard]] RunRecord& record() override { return recorder_.record(); }
  [[nodiscard]] KvPeer* peer() override { return this; }
  [[nodiscard]] bool enqueue_awaiting(Request&& request, bool first_seen) override;
  [[nodiscard]] bool enqueue_for(Request&& request) override;
  [[nodiscard]] std::vector<Reserved> take_reserved() override;
  [[nodiscard]] const std::vector<Prefilled>& prefilled() const override { return prefilled_; }
  [[nodiscard]] std::vector<Streamed> take_streamed() override { return std::exchange(streamed_, {}); }
  void receive(std::uint32_t seq, const Prefilled& prefilled, const KvTransfer& transfer) override;
  void release(RequestId id, FineInstant now) override;

  /// What the step that plan() just started takes, where the timer could not know: other engines step with
  /// this one. \param group_tokens of all of them
  void takes(const StepCost& cost, std::int64_t group_tokens);
  [[nodiscard]] std::int64_t waiting() const {
    return batch_.waiting() + batch_.swapped() + batch_.loading();
  }
  [[nodiscard]] std::int64_t running() const { return batch_.running(); }
  /// A sequence's load has ended; whoever waits is scheduled as after an arrival.
  void loaded(std::uint32_t seq, FineInstant now);

 private:
  /// A step under way, or a run of steps of the decode group; parallel to the batch's flights.
  struct Flight {
    StepRun run;
    FineDuration stage_busy{};     // of a pipeline: what one of its stages computes, on average
    std::vector<StepRecord> told;  // for the observer: the step, and those that only preempted behind it
  };
  struct Cohort {  // members of the decode group whose last token came at the same moment
    FineInstant last_token;
    std::int64_t size;
  };

  /// The replica's part in serving a request.
  struct Part {
    bool awaits_kv = false;
    bool answers = true;     // it tells how the request ended
    bool first_seen = true;  // it counts the arrival
  };
  [[nodiscard]] bool enter(Request&& request, const Part& part);
  [[nodiscard]] bool hands_over(SeqIndex seq) const { return batch_.sequence(seq).keeps_kv; }
  void note_prefilled(const Track& t, FineInstant end);
  void note_streamed();
  [[nodiscard]] bool preempts_for_ever() const;
  [[nodiscard]] bool plan_step(FineInstant now);
  void note_plan(FineInstant now);
  void start(FineInstant now, const StepShape& shape, std::int64_t repeatable);
  void start_in_pipeline(FineInstant now, const StepShape& shape);
  void bound_run(const DecodeLine& line, const StepShape& shape, std::int64_t repeatable, StepRun& run) const;
  void wait_for_copies(Blocks moved, Blocks copied);
  void wait_for_layers(FineTime loaded_by);
  void fan_out(const Sequence& sequence, Request&& request, Content&& content, std::int32_t answers);
  [[nodiscard]] Track& track_at(SeqIndex seq);
  [[nodiscard]] FineInstant next_event() const;
  void take_output();
  void keep_steps_from(std::int64_t done);
  void update_cohorts(FineInstant end, const Batch::Flight& output, std::int64_t joined);
  void record_group_gaps(const StepRun& run, std::int64_t members);
  void record_step(FineInstant planned, StepRecord& step);
  void note_drafts(const Batch::Flight& output, StepRecord& step) const;
  void tell_preemptions(FineInstant now);
  void scrape(FineInstant until);
  [[nodiscard]] TimelinePoint point(FineInstant at);
  [[nodiscard]] std::int64_t further_steps_planned(FineInstant at) const;
  [[nodiscard]] std::int64_t stop_run(FineInstant cutoff);
  void bring_up_to_date(SeqIndex seq, std::int64_t undelivered);
  [[nodiscard]] Track& track(SeqIndex seq) { return tracks_[to_index(seq)]; }

  ReplicaId id_;
  const EngineSetup& engine_;
  const StepTimer& timer_;
  StepObserver* observer_;
  Tiers* tiers_;
  std::unique_ptr<BlockAllocator> allocator_;
  std::unique_ptr<QueueOrder> order_;
  std::unique_ptr<Scheduler> scheduler_;
  Batch batch_;
  Recorder recorder_;
  SampleRuns samples_;
  std::optional<PipelineClock> pipeline_;  // of several stages
  std::vector<Track> tracks_;              // by SeqIndex
  std::vector<Cohort> cohorts_;
  FineInstant group_last_end_;
  std::vector<RequestId> finished_;
  std::vector<Prefilled> prefilled_;
  std::vector<Streamed> streamed_;
  std::int64_t steps_told_ = 0;
  std::int64_t last_output_told_ = -1;    // index of the last step whose output was taken
  std::int64_t preemptions_in_vain_ = 0;  // since the last token or arrival
  std::deque<Flight> flights_;
  bool may_plan_ = true;  // false inside a run whose next step is planned already
  bool held_ = false;     // no step is started
  FineInstant event_;     // the next event, while busy
};

}  // namespace kvcast
