#include "sim/cluster/replica.h"

#include <algorithm>

#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

Tokens end_of(const Request& request) {
  return request.input +
         (request.output_limit > Tokens{0} ? std::min(request.output, request.output_limit) : request.output);
}

Tokens limit_of(const Request& request, const EngineSetup& engine) {
  const bool by_request = engine.reservation == Reservation::max_tokens && request.output_limit > Tokens{0};
  return by_request ? std::min(request.input + request.output_limit, engine.max_model_len)
                    : engine.max_model_len;
}

/// A prompt of which nothing is known shares nothing: its tokens are a segment of their own, and so is its
/// output.
Content content_of(const Request& request) {
  const std::uint64_t own = to_number(request.id) << 1U;
  constexpr std::uint64_t kUnnamed = std::uint64_t{1} << 63U;
  Content content;
  content.salt = request.tenant;
  content.output = kUnnamed | own | 1U;
  if (request.details != nullptr) {
    for (const PromptSegment& part : request.details->content)
      content.prompt.push_back({part.segment, part.length});
    if (request.details->output_segment != 0) content.output = request.details->output_segment;
  }
  content.is_private =
      content.prompt.empty() && (request.details == nullptr || request.details->output_segment == 0);
  if (content.prompt.empty()) content.prompt.push_back({kUnnamed | own, request.input});
  return content;
}

BatchOptions options_of(const EngineSetup& engine, const Scheduler& scheduler) {
  BatchOptions options = engine.batch;
  options.keeps_kv = engine.enable_kv_cache;
  options.decode_group =
      engine.enable_kv_cache && engine.path == StepPath::closed_form && scheduler.repeats();
  options.holds_finished = scheduler.holds_finished();
  options.max_model_len = engine.max_model_len;
  return options;
}

}  // namespace

std::unique_ptr<Engine> make_replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer,
                                     const RunHooks& hooks) {
  return std::make_unique<Replica>(id, setup, timer, hooks);
}

Replica::Replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks)
    : id_(id),
      engine_(setup.engine),
      timer_(timer),
      observer_(hooks.steps),
      allocator_(engine_.enable_kv_cache ? engine_.allocator(engine_.pool) : make_unlimited()),
      order_(engine_.order()),
      scheduler_(engine_.scheduler()),
      batch_(*allocator_, *order_, options_of(engine_, *scheduler_)),
      recorder_(id, setup, hooks, allocator_->total()) {
  KVCAST_CHECK(observer_ == nullptr || engine_.path == StepPath::step_by_step);
}

bool Replica::enqueue(Request&& request) {
  KVCAST_CHECK(request.input >= Tokens{1} && request.output >= Tokens{1});
  scrape(FineInstant{request.arrival});  // up to here the queue was shorter
  recorder_.arrived(request);
  if (request.input >= engine_.max_model_len) {
    recorder_.refused(request, Outcome::rejected_too_long);
    return false;
  }
  Sequence sequence;
  sequence.id = request.id;
  sequence.arrival = request.arrival;
  sequence.priority = request.priority;
  sequence.tenant = request.tenant;
  const std::string_view slo_class = request.details != nullptr ? std::string_view(request.details->slo_class) : "";
  sequence.deadline = request.arrival + order_->ttft_target(slo_class);
  sequence.input = request.input;
  sequence.output_limit = request.output_limit;
  sequence.output_predicted = request.output_predicted;
  sequence.known = request.input;
  sequence.table.limit = limit_of(request, engine_);
  if (!scheduler_->can_ever_run(batch_, sequence)) {
    recorder_.refused(request, Outcome::rejected_never_fits);
    return false;
  }
  preemptions_in_vain_ = 0;
  const bool named = allocator_->growing() == BlockAllocator::Growing::by_name ||
                     allocator_->growing() == BlockAllocator::Growing::by_step;
  const SeqIndex seq = batch_.add(sequence, end_of(request), named ? content_of(request) : Content{});
  if (to_index(seq) >= tracks_.size()) tracks_.resize(to_index(seq) + 1);
  track(seq) = recorder_.track_of(std::move(request));
  return true;
}

// ---- Planning

std::optional<FineInstant> Replica::plan(FineInstant now) {
  scrape(now);
  const std::size_t depth = engine_.batch.asynchronous ? 2 : 1;
  while (may_plan_ && flights_.size() < depth && plan_step(now)) {
    if (flights_.back().run.steps > 1) break;  // the run's next steps are planned with it
  }
  may_plan_ = true;
  if (flights_.empty()) return std::nullopt;
  event_ = next_event();
  return event_;
}

/// False when nothing can be scheduled.
bool Replica::plan_step(FineInstant now) {
  if (preempts_for_ever()) return false;
  for (;;) {
    scheduler_->plan(batch_);
    note_plan(now);
    if (!batch_.step_empty()) break;
    if (batch_.preempted().empty()) return false;
    tell_preemptions(now);                // a step that only preempts lasts no time
    if (!flights_.empty()) return false;  // and, beside one that runs, waits for its output
  }
  const StepShape shape = batch_.step_shape();
  const Blocks moved = batch_.take_moved_blocks();
  const bool may_repeat =
      engine_.path == StepPath::closed_form && scheduler_->repeats() && moved == Blocks{0};
  const std::int64_t repeatable = may_repeat ? batch_.repeatable_steps() : 1;
  StepRecord told;
  if (observer_ != nullptr) record_step(now, told);
  batch_.launch();
  start(now, shape, repeatable);
  if (moved > Blocks{0}) wait_for_copies(moved);
  if (observer_ != nullptr) {
    told.device_begin = flights_.back().run.begin.floor();
    flights_.back().told.push_back(std::move(told));
  }
  return true;
}

/// Sequences that take each other's blocks in turn, none ever reaching a token: an engine without the
/// full-sequence gate can do that for ever when its pool is too small. With nobody arriving and no token
/// made, so many preemptions each mean that it will not stop.
bool Replica::preempts_for_ever() const {
  constexpr std::int64_t kPreemptionsEach = 64;
  return preemptions_in_vain_ > kPreemptionsEach * (batch_.running() + batch_.waiting() + batch_.swapped());
}

/// What the plan itself did: who left the decode group, who was preempted, who was admitted.
void Replica::note_plan(FineInstant now) {
  for (const Batch::Dissolved& member : batch_.dissolved()) {
    if (member.stepped && !member.in_flight) track(member.seq).last_token = group_last_end_;
  }
  if (!batch_.dissolved().empty() && flights_.empty()) cohorts_.clear();
  for (const Batch::Preemption& preemption : batch_.preempted()) {
    ++record().preemptions;
    ++track(preemption.seq).preemptions;
    ++preemptions_in_vain_;
    record().recomputed_tokens += preemption.dropped.value;
  }
  for (const Chunk& chunk : batch_.chunks()) {
    if (chunk.admitted) recorder_.admitted(track(chunk.seq), now, chunk.computed);
  }
  recorder_.blocks_used(batch_.blocks_used());
}

void Replica::start(FineInstant now, const StepShape& shape, std::int64_t repeatable) {
  StepRun run;
  run.begin = flights_.empty() ? now : std::max(now, flights_.back().run.end());
  run.steps = 1;
  run.tokens_each = shape.tokens;
  if (repeatable == 1) {
    run.first = timer_.step(shape);
  } else {
    const std::int64_t rows = shape.decode_seqs;  // of the group and of padding
    const std::int64_t context = shape.decode_context;
    const DecodeLine line = timer_.decode(rows, context);
    run.first.time = line.base.time + line.per_context_token.time * context;
    run.first.hbm_bytes = line.base.hbm_bytes + line.per_context_token.hbm_bytes * context;
    run.first.flop = line.base.flop + line.per_context_token.flop * context;
    run.growth.time = line.per_context_token.time * rows;
    run.growth.hbm_bytes = line.per_context_token.hbm_bytes * rows;
    run.growth.flop = line.per_context_token.flop * rows;
    run.steps = std::min(repeatable, (line.context_max - context) / rows + 1);
  }
  flights_.push_back({run, {}});
}

/// The step just started begins with moving blocks between the device and host memory.
void Replica::wait_for_copies(Blocks moved) {
  const SwapSpace& swap = *engine_.batch.swap;
  StepRun& run = flights_.back().run;
  KVCAST_CHECK(run.steps == 1);
  run.first.time += swap.block_time * moved.value;
  run.first.hbm_bytes += swap.block_bytes * moved.value;
}

/// When an output is due or the next plan is.
FineInstant Replica::next_event() const {
  const StepRun& oldest = flights_.front().run;
  const bool plans_before_its_end = engine_.batch.asynchronous && flights_.size() == 1 && oldest.steps > 1;
  return plans_before_its_end ? oldest.begin + oldest.elapsed(oldest.steps - 1) : oldest.end();
}

FineInstant Replica::cut(FineInstant arrival) {
  KVCAST_CHECK(busy());
  StepRun& run = flights_.back().run;
  if (run.steps == 1) return event_;
  const std::int64_t ended = run.ended_by(arrival);
  const bool on_boundary = run.begin + run.elapsed(ended) == arrival;
  const std::int64_t on_device = on_boundary && (ended > 0 || engine_.batch.asynchronous) ? ended : ended + 1;
  if (!engine_.batch.asynchronous) {
    run.steps = std::min(run.steps, on_device);
    return event_ = next_event();
  }
  if (flights_.size() == 2) {
    run.steps = 1;
    return event_;
  }
  run.steps = std::min(run.steps, on_device + 1);  // the step behind the one on the device has been planned
  return event_ = run.steps == 1 ? arrival : next_event();
}

// ---- Output

void Replica::complete() {
  KVCAST_CHECK(busy());
  scrape(event_);
  finished_.clear();
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
  recorder_.ran(flight.run);
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
    recorder_.token(track(chunk.seq), end);
    ++joined;
  }
  for (const SeqIndex orphan : output.orphans) track(orphan).last_token = end;
  for (const Batch::Ended& ended : output.ended) {
    Track& t = track(ended.seq);
    t.output = batch_.sequence(ended.seq).known - batch_.sequence(ended.seq).pending - t.input;
    recorder_.completed(t, end);
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
  step.device_begin = now.floor();
  if (!flights_.empty()) {
    step.device_begin = std::max(now, flights_.back().run.end()).floor();
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
    step.scheduled.push_back({chunk.id, chunk.n.value, chunk.computed.value, chunk.admitted});
  }
  for (const Batch::Preemption& p : batch_.preempted()) step.preempted.push_back(batch_.sequence(p.seq).id);
  step.running = batch_.running();
  step.waiting = batch_.waiting() + batch_.swapped();
  step.free_scheduled = allocator_->free();
}

void Replica::note_drafts(const Batch::Flight& output, StepRecord& step) const {
  for (const Batch::Drafted& drafted : output.drafted) {
    step.drafted.push_back({drafted.id, drafted.scheduled, drafted.accepted});
  }
}

/// Further steps of the newest run, beyond its first, that have been planned at a moment.
std::int64_t Replica::further_steps_planned(FineInstant at) const {
  const StepRun& run = flights_.back().run;
  if (run.steps == 1) return 0;
  if (!engine_.batch.asynchronous) return std::min(run.ended_by(at), run.steps - 1);
  return flights_.size() == 2 ? 0 : std::min(run.ended_by(at) + 1, run.steps - 1);
}

/// A scrape between two step boundaries sees the step in flight: what it scheduled is running, what it took
/// is used.
void Replica::scrape(FineInstant until) {
  recorder_.scrape(until, [&](FineInstant at) {
    const std::int64_t waiting = batch_.waiting() + batch_.swapped();
    if (!busy())
      return TimelinePoint{0, waiting, batch_.blocks_used().value, 0,
                           allocator_->largest_free().value};
    const std::int64_t further = further_steps_planned(at);
    batch_.take_blocks(further);
    return TimelinePoint{batch_.running(), waiting, batch_.blocks_used().value,
                         batch_.tokens_resident() + further * batch_.group().size(),
                         allocator_->largest_free().value};
  });
}

// ---- The end

void Replica::stop(std::optional<FineInstant> cutoff) {
  std::int64_t undelivered = 0;  // steps of the group that were planned and gave no output any more
  if (cutoff && busy()) undelivered = stop_run(*cutoff);
  const std::int64_t waiting = batch_.waiting() + batch_.swapped();
  if (!busy() && waiting > 0 && (batch_.running() == 0 || preempts_for_ever())) {
    record().stuck = true;
    const SeqIndex first = batch_.swapped() > 0 ? batch_.swapped_front() : batch_.waiting_front();
    record().stuck_request = batch_.sequence(first).id;
  }
  if (batch_.running() == 0) KVCAST_CHECK(allocator_->free() == allocator_->total());
  batch_.for_each([&](SeqIndex seq) {
    track(seq).output = batch_.delivered(seq, undelivered) - track(seq).input;
    recorder_.unfinished(track(seq));
  });
}

/// Counts the steps that ended by the cut-off, and takes the blocks of those that had been planned. Returns
/// how many of these were of the group.
std::int64_t Replica::stop_run(FineInstant cutoff) {
  StepRun& run = flights_.back().run;
  const auto group_flights =
      std::count_if(batch_.flights().begin(), batch_.flights().end(),
                    [](const Batch::Flight& flight) { return flight.group_members > 0; });
  const std::int64_t ended = flights_.size() == 1 ? run.ended_by(cutoff) : 0;
  if (run.steps == 1 || flights_.size() == 2) return group_flights;
  scrape(run.begin + run.elapsed(ended));
  const std::int64_t planned_at_end = run.begin + run.elapsed(ended) < cutoff ? 1 : 0;
  if (!engine_.batch.asynchronous) {
    if (ended == 0) return group_flights;
    if (planned_at_end == 0) {
      run.steps = ended;
      batch_.extend(ended - 1);
      take_output();
      return 0;
    }
    keep_steps_from(ended);
    return 1;
  }
  const std::int64_t planned = std::min(run.steps, ended + 1 + planned_at_end);
  if (ended > 0) keep_steps_from(ended);
  batch_.take_blocks(planned - ended - 1);
  recorder_.blocks_used(batch_.blocks_used());
  return 1;
}

}  // namespace kvcast
