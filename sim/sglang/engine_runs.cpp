// Runs of equal decode steps in the engine, and what watchers are told of steps.
#include <algorithm>
#include <limits>

#include "sim/base/error.h"
#include "sim/sglang/engine_impl.h"

namespace kvcast::sglang {

/// The front's step, and as many equal ones after it as nothing can come between (arrivals cut the run).
void SglangEngine::begin_run() {
  run_ = StepRun{};
  run_.begin = front_->begin;
  run_.steps = 1;
  run_.first = front_->cost;
  const PlannedStep& step = front_->step;
  run_.tokens_each = static_cast<std::int64_t>(step.decoding.size());
  for (const PlannedChunk& chunk : step.chunks) run_.tokens_each += chunk.now;
  if (path_ == StepPath::step_by_step || step.kind != SglangStepKind::decode) return;
  const bool second_alike =
      back_ && back_->step.kind == SglangStepKind::decode && back_->step.decoding == step.decoding;
  if (settings_.overlap_schedule && !second_alike) return;
  const std::int64_t rows = run_.tokens_each;
  const DecodeLine line = timer_.decode(rows, step.decode_context);
  // A step that was planned before the replica became slower or faster again is not on the line.
  const auto at = [&](std::int64_t context) {
    return line.base.time + line.per_context_token.time * context;
  };
  if (front_->cost.time != at(step.decode_context)) return;
  if (back_ && back_->cost.time != at(back_->step.decode_context)) return;
  const std::int64_t on_line =
      (line.context_max - step.decode_context) / rows;  // of the last step planned, too
  const std::int64_t more = scheduler_.repeats(last_planned().step, std::min(results_alike(), on_line) - 1);
  if (more <= 0) return;
  run_.steps += more;
  run_.growth.time = line.per_context_token.time * rows;
  run_.growth.hbm_bytes = line.per_context_token.hbm_bytes * rows;
  run_.growth.flop = line.per_context_token.flop * rows;
}

/// Results from the front's on until one in which somebody ends, or, where the overlap loop knows of an end
/// by length, until the one before it.
std::int64_t SglangEngine::results_alike() const {
  std::int64_t results = std::numeric_limits<std::int64_t>::max();
  for (const ReqIndex i : front_->step.decoding) {
    const Req& req = scheduler_.reqs()[to_index(i)];
    const Track& track = truths_[to_index(i)].track;
    if (track.told < track.told_before) return 1;  // tokens that are made again close no gap
    const std::int64_t end = truths_[to_index(i)].end;
    const bool by_length = end >= req.max_new;
    results = std::min(results, end - req.out - (settings_.overlap_schedule && by_length ? 1 : 0));
  }
  return results;
}

/// The first `results` results of the run, all but its last, and the plans of as many steps that followed
/// from them.
void SglangEngine::take_run(std::int64_t results) {
  if (results <= 0) return;
  record_even_gaps(results);
  Flight& planned = last_planned();
  tell_run(planned, results);
  note_blocks();
  const auto cost_at = [&](std::int64_t i) {
    return StepCost{run_.first.time + run_.growth.time * i, run_.first.hbm_bytes + run_.growth.hbm_bytes * i,
                    run_.first.flop + run_.growth.flop * i};
  };
  if (back_) {
    front_->step.number += results;
    front_->begin = run_.begin + run_.elapsed(results);
    front_->cost = cost_at(results);
    back_->planned = front_->begin;
    back_->begin = run_.begin + run_.elapsed(results + 1);
    back_->cost = cost_at(results + 1);
  } else {
    front_->planned = front_->begin = run_.begin + run_.elapsed(results);
    front_->cost = cost_at(results);
  }
}

/// Plans `more` steps like the last planned one and tells of them.
void SglangEngine::tell_run(Flight& planned, std::int64_t more) {
  const std::int64_t ahead = back_ ? 1 : 0;  // steps between planning and starting
  const auto step_at = [&](std::int64_t i) {
    SglangStep step = told(planned);
    step.planned = (run_.begin + run_.elapsed(i)).floor();
    const FineInstant start = run_.begin + run_.elapsed(i + ahead);
    step.start = start.floor();
    step.duration = (run_.begin + run_.elapsed(i + ahead + 1)).floor() - step.start;
    return step;
  };
  if (observer_ == nullptr) {
    scheduler_.advance(planned.step, more);
    return;
  }
  scheduler_.advance(planned.step, 1);
  const SglangStep first = step_at(1);
  scheduler_.advance(planned.step, more - 1);
  observer_->on_decode_run(first, step_at(more), more);
}

/// Tokens of the run's first `results` results: the first closes the gap since each request's last token,
/// every further one lasts a step.
void SglangEngine::record_even_gaps(std::int64_t results) {
  const FineInstant first_end = run_.begin + run_.elapsed(1);
  StepRun part = run_;
  part.steps = results;
  const std::vector<ReqIndex>& batch = front_->step.decoding;
  for (const ReqIndex i : batch) {
    Track& track = truth(i).track;
    recorder_.gaps(first_end - track.last_token, 1);
    track.last_token = part.end();
  }
  recorder_.gaps(part, 1, static_cast<std::int64_t>(batch.size()));
}

SglangStep SglangEngine::told(const Flight& flight) const {
  const PlannedStep& step = flight.step;
  SglangStep told;
  told.kind = step.kind;
  told.number = step.number;
  told.planned = flight.planned.floor();
  told.start = flight.begin.floor();
  told.duration = flight.end().floor() - told.start;
  told.tokens = static_cast<std::int64_t>(step.decoding.size());
  for (const PlannedChunk& chunk : step.chunks) {
    told.chunks.push_back({scheduler_.reqs()[to_index(chunk.req)].id, chunk.there, chunk.now});
    told.tokens += chunk.now;
  }
  if (step.unfinished != kNoReq) told.unfinished = scheduler_.reqs()[to_index(step.unfinished)].id;
  told.decoding = ids(step.decoding);
  told.decoding_waits = step.decoding_waits;
  told.context = step.decode_context + step.prefill_context;
  told.admission = step.admission;
  told.state = step.state;
  return told;
}

StepRecord SglangEngine::recorded(const Flight& flight) const {
  StepRecord record;
  record.replica = id_;
  record.index = flight.step.number - 1;
  record.begin = flight.planned.floor();
  record.device_begin = flight.begin.floor();
  record.device_end = flight.end().floor();
  record.shape = shape_of(flight.step);
  record.output_known = scheduler_.processed() - 1;
  for (const PlannedChunk& chunk : flight.step.chunks) {
    const Req& req = scheduler_.reqs()[to_index(chunk.req)];
    const bool gives_token = chunk.req != flight.step.unfinished;
    record.scheduled.push_back({req.id, chunk.now, chunk.there, chunk.there == req.shared, 0, gives_token});
  }
  for (const ReqIndex i : flight.step.decoding) {
    const Req& req = scheduler_.reqs()[to_index(i)];
    record.scheduled.push_back({req.id, 1, req.kv - 1, false, 0, true});
  }
  record.preempted = retracted_;
  record.running = scheduler_.running();
  record.waiting = flight.step.state.waiting;
  record.free_scheduled = Blocks{flight.step.state.available / scheduler_.pool().page()};
  return record;
}

}  // namespace kvcast::sglang
