// The end of a replica's steps: the tokens that they gave, told to the recorder and to an observer. How steps
// are planned and begun: replica.cpp.
#include <algorithm>

#include "sim/cluster/replica.h"

namespace kvcast {

void Replica::complete() {
  KVCAST_CHECK(busy());
  scrape(event_);
  finished_.clear();
  prefilled_.clear();
  may_plan_ = true;
  StepRun& run = flights_.front().run;
  if (!engine_.batch.asynchronous) {
    batch_.extend(run.steps - 1);
    take_output();
    return;
  }
  if (flights_.size() == 2) {
    take_output();
    may_plan_ = flights_.front().run.steps == 1;
  } else if (run.steps > 1) {
    keep_steps_from(run.steps - 1);
  } else if (event_ == run.end()) {
    take_output();
  }
}

/// The first `done` steps of the oldest run have given their output; the step behind them is under way.
void Replica::keep_steps_from(std::int64_t done) {
  StepRun& run = flights_.front().run;
  StepRun part = run;
  part.steps = done;
  recorder_.ran(part);
  record().steps.grouped += done;
  record_group_gaps(part, batch_.flights().front().group_members);
  batch_.extend(done);
  recorder_.blocks_used(batch_.blocks_used());
  recorder_.blocks_used(batch_.blocks_used_in_runs());
  group_last_end_ = part.end();
  cohorts_.assign(1, {part.end(), batch_.flights().front().group_members});
  preemptions_in_vain_ = 0;
  run.begin = part.end();
  run.first.time += run.growth.time * done;
  run.first.hbm_bytes += run.growth.hbm_bytes * done;
  run.first.flop += run.growth.flop * done;
  run.steps -= done;
}

void Replica::take_output() {
  Flight& flight = flights_.front();
  const FineInstant end = flight.run.end();
  if (pipeline_) {
    StepRun charged = flight.run;
    charged.first.time = flight.stage_busy;  // its GPUs are not busy while others compute it
    recorder_.ran(charged);
  } else {
    recorder_.ran(flight.run);
  }
  recorder_.blocks_used(std::max(batch_.blocks_used(), batch_.blocks_used_in_runs()));
  Batch::Flight& output = batch_.settle();
  if (output.group_members > 0) {
    record_group_gaps(flight.run, output.group_members);
    record().steps.grouped += flight.run.steps;
  }
  std::int64_t joined = 0;
  for (const Batch::Emission& emission : output.emissions) {
    const Chunk& chunk = output.chunks[emission.chunk];
    if (emission.delivered == Tokens{0}) continue;
    Track& t = track(chunk.seq);
    const Sequence& sequence = batch_.sequence(chunk.seq);
    t.told = sequence.known - sequence.pending - t.input;
    if (t.told <= t.told_before) {
      recorder_.made_again(emission.delivered);
      continue;  // nor has it joined the group
    }
    const bool told_elsewhere = hands_over(chunk.seq) && !engine_.tells_first;
    if (!told_elsewhere) t.sample_of < 0 ? recorder_.token(t, end) : samples_.token(t, end);
    if (sequence.branches == 1) ++joined;
  }
  for (const SeqIndex orphan : output.orphans) {
    Track& t = track(orphan);
    t.last_token = end;
    t.told = batch_.sequence(orphan).known - batch_.sequence(orphan).pending - t.input;
  }
  for (const Batch::Ended& ended : output.ended) {
    Track& t = track(ended.seq);
    t.output = batch_.sequence(ended.seq).known - batch_.sequence(ended.seq).pending - t.input;
    if (batch_.sequence(ended.seq).branches > 1) ++joined;  // update_cohorts() takes those that ended off
    if (hands_over(ended.seq)) {
      note_prefilled(t, end);
      continue;
    }
    if (t.sample_of < 0) {
      recorder_.completed(t, end);
    } else if (!samples_.completed(t, end)) {
      continue;
    }
    finished_.push_back(t.id);
  }
  if (output.group_members > 0 || joined > 0) preemptions_in_vain_ = 0;
  update_cohorts(end, output, joined);
  std::vector<StepRecord> told = std::move(flight.told);
  if (!told.empty()) note_drafts(output, told.front());
  batch_.retire();
  flights_.pop_front();
  for (StepRecord& step : told) {
    if (&step == &told.front()) step.finished = finished_;
    step.free_updated = allocator_->free();
    last_output_told_ = step.index;
    observer_->on_step(step);
  }
}

/// Whoever decoded in the group had a token at `end`, and so had whoever joined it with the step.
void Replica::update_cohorts(FineInstant end, const Batch::Flight& output, std::int64_t joined) {
  const bool group_ran = output.group_members > 0;
  if (group_ran) group_last_end_ = end;
  if (!batch_.groups_decodes() || output.dissolved) return cohorts_.clear();
  joined -= static_cast<std::int64_t>(output.ended.size()) -
            output.group_ended;  // their first token was their last
  if (group_ran) {
    cohorts_.assign(1, {end, output.group_members - output.group_ended + joined});
  } else if (joined > 0) {
    cohorts_.push_back({end, joined});
  }
}

/// Gaps between tokens of the decode group, pooled: the first step closes the gap since each member's last
/// token, every further one lasts a step.
void Replica::record_group_gaps(const StepRun& run, std::int64_t members) {
  const bool even = cohorts_.size() == 1 && cohorts_.front().last_token == run.begin;
  if (!even) {
    std::int64_t counted = 0;
    const FineInstant first_end = run.begin + run.elapsed(1);
    for (const Cohort& cohort : cohorts_) {
      recorder_.gaps(first_end - cohort.last_token, cohort.size);
      counted += cohort.size;
    }
    KVCAST_CHECK(counted == members);
  }
  recorder_.gaps(run, even ? 0 : 1, members);
}

// ---- Telling

void Replica::tell_preemptions(FineInstant now) {
  if (observer_ == nullptr) return;
  StepRecord step;
  record_step(now, step);
  step.device_begin = step.device_end = now.floor();
  if (!flights_.empty()) {
    step.device_begin = step.device_end = std::max(now, flights_.back().run.end()).floor();
    flights_.back().told.push_back(std::move(step));
    return;
  }
  step.free_updated = allocator_->free();
  last_output_told_ = step.index;
  observer_->on_step(step);
}

void Replica::record_step(FineInstant planned, StepRecord& step) {
  step.replica = id_;
  step.index = steps_told_++;
  step.begin = planned.floor();
  step.output_known = last_output_told_;
  for (const Chunk& chunk : batch_.chunks()) {
    const bool told_here = !hands_over(chunk.seq) || engine_.tells_first;
    const bool gives_token = told_here && chunk.computed + chunk.n >= batch_.sequence(chunk.seq).known;
    step.scheduled.push_back(
        {chunk.id, chunk.n.value, chunk.computed.value, chunk.admitted, chunk.drafts.value, gives_token});
  }
  for (const Batch::Preemption& p : batch_.preempted()) step.preempted.push_back(batch_.sequence(p.seq).id);
  step.running = batch_.running();
  step.waiting = batch_.waiting() + batch_.swapped() + batch_.loading();
  step.free_scheduled = allocator_->free();
}

void Replica::note_drafts(const Batch::Flight& output, StepRecord& step) const {
  for (const Batch::Drafted& drafted : output.drafted) {
    step.drafted.push_back({drafted.id, drafted.scheduled, drafted.accepted});
  }
}

}  // namespace kvcast
