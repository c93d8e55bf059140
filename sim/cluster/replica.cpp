#include "sim/cluster/replica.h"

#include <algorithm>

#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

Tokens end_of(const Request& request, Tokens max_model_len) {
  const Tokens output = request.output_limit > Tokens{0} ? std::min(request.output, request.output_limit) : request.output;
  return std::min(request.input + output, max_model_len);
}

Tokens limit_of(const Request& request, const EngineSetup& engine) {
  const bool by_request = engine.reservation == Reservation::max_tokens && request.output_limit > Tokens{0};
  return by_request ? std::min(request.input + request.output_limit, engine.max_model_len) : engine.max_model_len;
}

}  // namespace

std::unique_ptr<Engine> make_replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks) {
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
      batch_(*allocator_, *order_,
             {.keeps_kv = engine_.enable_kv_cache,
              .decode_group = engine_.enable_kv_cache && engine_.path == StepPath::closed_form,
              .holds_finished = scheduler_->holds_finished()}),
      recorder_(id, setup, hooks) {
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
  const SeqIndex seq = batch_.add(sequence, end_of(request, engine_.max_model_len));
  if (to_index(seq) >= tracks_.size()) tracks_.resize(to_index(seq) + 1);
  track(seq) = Track{};
  track(seq).id = request.id;
  track(seq).arrival = request.arrival;
  track(seq).input = request.input;
  track(seq).priority = request.priority;
  track(seq).details = std::move(request.details);
  return true;
}

std::optional<FineInstant> Replica::plan(FineInstant now) {
  KVCAST_CHECK(!busy());
  scrape(now);
  if (preempts_for_ever()) return std::nullopt;
  do {  // a step that only preempts lasts no time
    scheduler_->plan(batch_);
    note_plan(now);
    if (observer_ != nullptr && batch_.step_empty() && !batch_.preempted().empty()) tell_preemptions(now);
  } while (batch_.step_empty() && !batch_.preempted().empty());
  if (batch_.step_empty()) return std::nullopt;
  start(now);
  return run_.end();
}

/// Sequences that take each other's blocks in turn, none ever reaching a token: an engine without the full-sequence gate can do that for ever
/// when its pool is too small. With nobody arriving and no token made, so many preemptions each mean that it will not stop.
bool Replica::preempts_for_ever() const {
  constexpr std::int64_t kPreemptionsEach = 64;
  return preemptions_in_vain_ > kPreemptionsEach * (batch_.running() + batch_.waiting());
}

/// What the plan itself did: who left the decode group, who was preempted, who was admitted.
void Replica::note_plan(FineInstant now) {
  for (const Batch::Dissolved& member : batch_.dissolved()) {
    if (member.stepped) track(member.seq).last_token = group_last_end_;
  }
  if (!batch_.dissolved().empty()) cohorts_.clear();
  for (const Batch::Preemption& preemption : batch_.preempted()) {
    ++record().preemptions;
    ++track(preemption.seq).preemptions;
    ++preemptions_in_vain_;
    record().recomputed_tokens += preemption.dropped.value;
  }
  for (const Chunk& chunk : batch_.chunks()) recorder_.scheduled(track(chunk.seq), now);
  recorder_.blocks_used(batch_.blocks_used());
}

void Replica::start(FineInstant now) {
  if (observer_ != nullptr) record_step(now);
  const StepShape shape = batch_.step_shape();
  run_ = StepRun{};
  run_.begin = now;
  run_.steps = 1;
  run_.tokens_each = shape.tokens;
  const DecodeGroup& group = batch_.group();
  if (!batch_.group_scheduled() || !batch_.chunks().empty() || !scheduler_->repeats()) {
    run_.first = timer_.step(shape);
    return;
  }
  const std::int64_t rows = shape.decode_seqs;  // of the group and of padding
  const std::int64_t context = shape.decode_context;
  const DecodeLine line = timer_.decode(rows, context);
  run_.first.time = line.base.time + line.per_context_token.time * context;
  run_.first.hbm_bytes = line.base.hbm_bytes + line.per_context_token.hbm_bytes * context;
  run_.first.flop = line.base.flop + line.per_context_token.flop * context;
  run_.growth.time = line.per_context_token.time * rows;
  run_.growth.hbm_bytes = line.per_context_token.hbm_bytes * rows;
  run_.growth.flop = line.per_context_token.flop * rows;
  run_.steps = std::min(group.steps_to_first_end(), (line.context_max - context) / rows + 1);
  if (run_.steps > 1) run_.steps = 1 + group.steps_covered(1, run_.steps - 1, allocator_->free());
}

FineInstant Replica::cut(FineInstant arrival) {
  KVCAST_CHECK(busy());
  if (run_.steps > 1) {
    const std::int64_t ended = run_.ended_by(arrival);
    const bool on_boundary = ended > 0 && run_.begin + run_.elapsed(ended) == arrival;
    run_.steps = std::min(run_.steps, on_boundary ? ended : ended + 1);
  }
  return run_.end();
}

void Replica::complete() {
  KVCAST_CHECK(busy());
  const FineInstant end = run_.end();
  scrape(end);
  finished_.clear();
  recorder_.ran(run_);
  const bool group_ran = batch_.group_scheduled();
  if (group_ran) record_group_gaps();
  batch_.apply_step(run_.steps);
  if (group_ran || !batch_.emissions().empty()) preemptions_in_vain_ = 0;
  recorder_.blocks_used(batch_.blocks_used());
  for (const Batch::Emission& emission : batch_.emissions()) recorder_.token(track(emission.seq), end);
  for (const Batch::Ended& ended : batch_.ended()) {
    Track& t = track(ended.seq);
    t.output = batch_.sequence(ended.seq).known - t.input;
    recorder_.completed(t, end);
    finished_.push_back(t.id);
  }
  batch_.release_ended();
  update_cohorts(end, group_ran);
  if (observer_ != nullptr) {
    step_record_.finished = finished_;
    step_record_.free_updated = allocator_->free();
    observer_->on_step(step_record_);
  }
  run_.steps = 0;
  idle_since_ = end;
}

/// Whoever decoded in the group had a token at `end`, and so had whoever has just joined it.
void Replica::update_cohorts(FineInstant end, bool group_ran) {
  if (group_ran) group_last_end_ = end;
  const std::int64_t members = batch_.group().size();
  if (group_ran || cohorts_.empty()) {
    cohorts_.assign(1, {end, members});
    return;
  }
  std::int64_t earlier = 0;
  for (const Cohort& cohort : cohorts_) earlier += cohort.size;
  if (members > earlier) cohorts_.push_back({end, members - earlier});
}

/// Gaps between tokens of the decode group, pooled: the first step closes the gap since each member's last token, every further one lasts a step.
void Replica::record_group_gaps() {
  const bool even = cohorts_.size() == 1 && cohorts_.front().last_token == run_.begin;
  if (!even) {
    const FineInstant first_end = run_.begin + run_.elapsed(1);
    for (const Cohort& cohort : cohorts_) recorder_.gaps(first_end - cohort.last_token, cohort.size);
  }
  recorder_.gaps(run_, even ? 0 : 1, batch_.group().size());
}

void Replica::tell_preemptions(FineInstant now) {
  record_step(now);
  step_record_.finished.clear();
  step_record_.free_updated = allocator_->free();
  observer_->on_step(step_record_);
}

void Replica::record_step(FineInstant begin) {
  step_record_.replica = id_;
  step_record_.index = steps_told_++;
  step_record_.begin = begin.floor();
  step_record_.scheduled.clear();
  for (const Chunk& chunk : batch_.chunks()) {
    step_record_.scheduled.push_back({batch_.sequence(chunk.seq).id, chunk.n.value, chunk.computed.value, chunk.admitted});
  }
  step_record_.preempted.clear();
  for (const Batch::Preemption& p : batch_.preempted()) step_record_.preempted.push_back(batch_.sequence(p.seq).id);
  step_record_.running = batch_.running();
  step_record_.waiting = batch_.waiting();
  step_record_.free_scheduled = allocator_->free();
}

/// A scrape between two step boundaries sees the step in flight: what it scheduled is running, what it took is used.
void Replica::scrape(FineInstant until) {
  recorder_.scrape(until, [&](FineInstant at) {
    const Blocks used = batch_.blocks_used();
    const Blocks largest = allocator_->largest_free();
    if (!busy()) return TimelinePoint{0, batch_.waiting(), used.value, 0, largest.value};
    TimelinePoint point{batch_.running(), batch_.waiting(), used.value, batch_.tokens_resident(), largest.value};
    if (const std::int64_t ended = run_.steps > 1 ? run_.ended_by(at) : 0; ended > 0) {
      const std::int64_t taken = batch_.group().blocks_taken(1, ended).value;
      point.blocks_used += taken;
      point.tokens_resident += ended * batch_.group().size();
      point.largest_free_blocks -= taken;
    }
    return point;
  });
}

void Replica::stop(std::optional<FineInstant> cutoff) {
  if (cutoff && busy()) {
    if (const std::int64_t ended = run_.ended_by(*cutoff); ended > 0) {
      if (run_.begin + run_.elapsed(ended) < *cutoff) {  // one step more had begun, and taken its blocks
        recorder_.blocks_used(batch_.blocks_used() + batch_.group().blocks_taken(1, ended));
      }
      run_.steps = ended;
      complete();
    }
  }
  if (!busy() && batch_.waiting() > 0 && (batch_.running() == 0 || preempts_for_ever())) {
    record().stuck = true;
    record().stuck_request = batch_.sequence(batch_.waiting_front()).id;
  }
  if (batch_.running() == 0) KVCAST_CHECK(allocator_->free() == allocator_->total());
  batch_.for_each([&](SeqIndex seq) {
    track(seq).output = batch_.known(seq) - track(seq).input;
    recorder_.unfinished(track(seq));
  });
}

}  // namespace kvcast
