/// The class behind make_sglang_engine(), shared by its source files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cluster/engine.h"
#include "sim/cluster/recorder.h"
#include "sim/sglang/scheduler.h"
#include "sim/step_timer.h"

namespace kvcast::sglang {

/// Contract: in the normal loop a step is planned when the one before has ended and been processed. In the
/// overlap loop step n + 1 is planned when step n starts: the result of step n - 1 is in then, that of step n
/// is not. So up to two steps are in flight, the first of them may be a run, and the next event is the end of
/// the first.
class SglangEngine final : public Engine {
 public:
  SglangEngine(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks,
               const SglangSettings& settings);

  [[nodiscard]] bool enqueue(Request&& request) override;
  [[nodiscard]] std::optional<FineInstant> plan(FineInstant now) override;
  [[nodiscard]] FineInstant cut(FineInstant arrival) override;
  void complete() override;
  [[nodiscard]] bool busy() const override { return busy_; }
  [[nodiscard]] const std::vector<RequestId>& finished() const override { return finished_; }
  void stop(std::optional<FineInstant> cutoff) override;
  [[nodiscard]] RunRecord& record() override { return recorder_.record(); }
  [[nodiscard]] std::vector<Request> fail(FineInstant now, const RetryPolicy& retry) override;
  void hold(bool held) override { held_ = held; }
  [[nodiscard]] TimelinePoint look(FineInstant now) override { return point(now); }
  [[nodiscard]] const TimelinePoint& metrics_before(FineInstant now) override {
    scrape(now);
    return recorder_.last_scrape();
  }

 private:
  struct Flight {
    PlannedStep step;
    FineInstant planned;
    FineInstant begin;
    StepCost cost;
    StepRecord record;  // only when steps are watched
    [[nodiscard]] FineInstant end() const { return begin + cost.time.count(); }
  };
  struct Truth {
    std::int64_t end = 0;  // outputs at which it ends
    Tokens had;            // of its answer, in the prompt
    Track track;
  };

  [[nodiscard]] Req make_req(const Request& request, std::int64_t& end) const;
  [[nodiscard]] bool plan_one(FineInstant now);
  void launch(PlannedStep&& step, FineInstant now);
  [[nodiscard]] StepShape shape_of(const PlannedStep& step) const;
  void begin_run();
  [[nodiscard]] std::int64_t results_alike() const;
  void take_run(std::int64_t results);
  void tell_run(Flight& planned, std::int64_t more);
  void record_even_gaps(std::int64_t results);
  void process_front();
  void give_tokens(std::span<const ReqIndex> batch, bool prefill, FineInstant end, SglangResult& result);
  void note_no_token(RequestId id);
  void finish(ReqIndex req, FineInstant end, SglangResult& result);
  void note_retraction(FineInstant now);
  void stop_run(FineInstant cutoff);
  [[nodiscard]] static Tokens outputs_of(const Truth& truth, const Req& req);
  template <class Visit>
  void for_each_inside(Visit visit);
  void note_blocks();
  void scrape(FineInstant until);
  [[nodiscard]] TimelinePoint point(FineInstant at) const;
  [[nodiscard]] Blocks blocks_used() const;
  [[nodiscard]] SglangStep told(const Flight& flight) const;
  [[nodiscard]] StepRecord recorded(const Flight& flight) const;
  [[nodiscard]] Flight& last_planned() { return back_ ? *back_ : *front_; }
  [[nodiscard]] const Flight& last_planned() const { return back_ ? *back_ : *front_; }
  [[nodiscard]] Truth& truth(ReqIndex req) { return truths_[to_index(req)]; }
  [[nodiscard]] std::vector<RequestId> ids(const std::vector<ReqIndex>& reqs) const;

  ReplicaId id_;
  SglangSettings settings_;
  StepPath path_;
  std::int64_t max_req_len_;
  const StepTimer& timer_;
  StepObserver* steps_;
  SglangObserver* observer_;
  Scheduler scheduler_;
  Recorder recorder_;
  std::vector<Truth> truths_;  // by ReqIndex
  std::optional<Flight> front_;
  std::optional<Flight> back_;  // overlap loop: planned while the front runs
  StepRun run_;                 // of the front: its step, and equal ones after it
  bool busy_ = false;
  bool held_ = false;  // no step is planned
  std::vector<RequestId> finished_;
  std::vector<RequestId> aborted_;    // since the last result
  std::vector<RequestId> retracted_;  // by the step being planned
};

}  // namespace kvcast::sglang
