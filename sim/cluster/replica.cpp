#include "sim/cluster/replica.h"

#include <algorithm>
#include <cmath>

#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

/// 0 + 1 + ... + (n - 1)
constexpr Int128 triangle(std::int64_t n) { return static_cast<Int128>(n) * (n - 1) / 2; }

/// first + (first + growth) + ... over n steps.
constexpr Int128 series(std::int64_t first, std::int64_t growth, std::int64_t n) {
  return static_cast<Int128>(first) * n + triangle(n) * growth;
}

constexpr Duration to_duration(Int128 fine) { return Duration{static_cast<std::int64_t>(fine >> kFineBits)}; }

Tokens end_of(const Request& request, Tokens max_model_len) {
  const Tokens output = request.output_limit > Tokens{0} ? std::min(request.output, request.output_limit) : request.output;
  return std::min(request.input + output, max_model_len);
}

Tokens limit_of(const Request& request, const EngineSetup& engine) {
  const bool by_request = engine.reservation == Reservation::max_tokens && request.output_limit > Tokens{0};
  return by_request ? std::min(request.input + request.output_limit, engine.max_model_len) : engine.max_model_len;
}

}  // namespace

Replica::Replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks)
    : id_(id),
      engine_(setup.engine),
      timer_(timer),
      hooks_(hooks),
      slo_(setup.slo),
      allocator_(engine_.enable_kv_cache ? engine_.allocator(engine_.pool) : make_unlimited()),
      order_(engine_.order()),
      scheduler_(engine_.scheduler()),
      batch_(*allocator_, *order_,
             {.keeps_kv = engine_.enable_kv_cache,
              .decode_group = engine_.enable_kv_cache && engine_.path == StepPath::closed_form,
              .holds_finished = scheduler_->holds_finished()}) {
  KVCAST_CHECK(hooks.steps == nullptr || engine_.path == StepPath::step_by_step);
}

bool Replica::enqueue(Request&& request) {
  if (in_flight()) {
    scrape_steps(FineInstant{request.arrival});
  } else {
    scrape_idle(FineInstant{request.arrival});
  }
  KVCAST_CHECK(request.input >= Tokens{1} && request.output >= Tokens{1});
  ++record_.arrived;
  record_.first_arrival = std::min(record_.first_arrival, request.arrival);
  if (request.input >= engine_.max_model_len) {
    refuse(request, Outcome::rejected_too_long);
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
    refuse(request, Outcome::rejected_never_fits);
    return false;
  }
  preemptions_in_vain_ = 0;
  const SeqIndex seq = batch_.add(sequence, end_of(request, engine_.max_model_len));
  if (to_index(seq) >= tracks_.size()) tracks_.resize(to_index(seq) + 1);
  track(seq) = Track{kNever, kNever, FineInstant{}, std::move(request.details)};
  return true;
}

void Replica::refuse(const Request& request, Outcome outcome) {
  ++(outcome == Outcome::rejected_too_long ? record_.rejected_too_long : record_.rejected_never_fits);
  if (hooks_.requests == nullptr) return;
  RequestRow row;
  row.id = request.id;
  row.replica = id_;
  row.outcome = outcome;
  row.arrival = request.arrival;
  row.input = request.input;
  row.priority = request.priority;
  row.details = request.details.get();
  hooks_.requests->on_request(row);
}

std::optional<FineInstant> Replica::plan(FineInstant now) {
  KVCAST_CHECK(!in_flight());
  scrape_idle(now);
  if (preempts_for_ever()) return std::nullopt;
  do {  // a step that only preempts lasts no time
    scheduler_->plan(batch_);
    note_plan(now);
    if (hooks_.steps != nullptr && batch_.step_empty() && !batch_.preempted().empty()) tell_preemptions(now);
  } while (batch_.step_empty() && !batch_.preempted().empty());
  if (batch_.step_empty()) return std::nullopt;
  start(now);
  return begin_ + elapsed(steps_);
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
    ++record_.preemptions;
    ++preemptions_in_vain_;
    record_.recomputed_tokens += preemption.dropped.value;
  }
  for (const Chunk& chunk : batch_.chunks()) {
    Track& t = track(chunk.seq);
    if (t.scheduled != kNever) continue;
    t.scheduled = now.floor();
    record_.queue.add(t.scheduled - batch_.sequence(chunk.seq).arrival);
  }
  record_.blocks_used_max = std::max(record_.blocks_used_max, batch_.blocks_used().value);
}

void Replica::start(FineInstant now) {
  begin_ = now;
  shape_ = batch_.step_shape();
  steps_ = 1;
  growth_ = {};
  if (hooks_.steps != nullptr) record_step();
  const DecodeGroup& group = batch_.group();
  if (!batch_.group_scheduled() || !batch_.chunks().empty() || !scheduler_->repeats()) {
    first_ = timer_.step(shape_);
    return;
  }
  const std::int64_t rows = shape_.decode_seqs;  // of the group and of padding
  const std::int64_t context = shape_.decode_context;
  const DecodeLine line = timer_.decode(rows, context);
  first_.time = line.base.time + line.per_context_token.time * context;
  first_.hbm_bytes = line.base.hbm_bytes + line.per_context_token.hbm_bytes * context;
  first_.flop = line.base.flop + line.per_context_token.flop * context;
  growth_.time = line.per_context_token.time * rows;
  growth_.hbm_bytes = line.per_context_token.hbm_bytes * rows;
  growth_.flop = line.per_context_token.flop * rows;
  std::int64_t steps = std::min(group.steps_to_first_end(), (line.context_max - context) / rows + 1);
  if (steps > 1) steps = 1 + group.steps_covered(1, steps - 1, allocator_->free());
  steps_ = steps;
}

Int128 Replica::elapsed(std::int64_t steps) const { return series(first_.time.count(), growth_.time.count(), steps); }

/// The largest number of steps, up to all, that have ended by `time`.
std::int64_t Replica::steps_by(FineInstant time) const {
  const Int128 span = time - begin_;
  if (span < 0) return 0;
  if (elapsed(steps_) <= span) return steps_;
  // steps * first + steps * (steps - 1) / 2 * growth <= span, solved in doubles and then set right.
  const auto d = static_cast<double>(span);
  const auto growth = static_cast<double>(growth_.time.count());
  const double b = static_cast<double>(first_.time.count()) - growth / 2;
  const double guess = 2 * d / (b + std::sqrt(b * b + 2 * growth * d));
  std::int64_t steps = std::clamp(static_cast<std::int64_t>(guess), std::int64_t{0}, steps_ - 1);
  while (steps > 0 && elapsed(steps) > span) --steps;
  while (elapsed(steps + 1) <= span) ++steps;
  return steps;
}

FineInstant Replica::cut(FineInstant arrival) {
  KVCAST_CHECK(in_flight());
  if (steps_ > 1) {
    const std::int64_t ended = steps_by(arrival);
    const bool on_boundary = ended > 0 && begin_ + elapsed(ended) == arrival;
    steps_ = std::min(steps_, on_boundary ? ended : ended + 1);
  }
  return begin_ + elapsed(steps_);
}

void Replica::complete() {
  KVCAST_CHECK(in_flight());
  const FineInstant end = begin_ + elapsed(steps_);
  scrape_steps(end);
  finished_.clear();
  record_.steps.steps += steps_;
  record_.steps.scheduled_tokens += shape_.tokens * steps_;
  record_.steps.busy_fine += end - begin_;
  record_.steps.hbm_bytes += series(first_.hbm_bytes, growth_.hbm_bytes, steps_);
  record_.steps.flop += series(first_.flop, growth_.flop, steps_);
  const bool group_ran = batch_.group_scheduled();
  if (group_ran) record_group_gaps();
  batch_.apply_step(steps_);
  if (group_ran || !batch_.emissions().empty()) preemptions_in_vain_ = 0;
  record_.blocks_used_max = std::max(record_.blocks_used_max, batch_.blocks_used().value);
  record_emissions(end);
  for (const Batch::Ended& ended : batch_.ended()) record_end(ended.seq, end);
  batch_.release_ended();
  update_cohorts(end, group_ran);
  if (hooks_.steps != nullptr) {
    step_record_.finished = finished_;
    step_record_.free_updated = allocator_->free();
    hooks_.steps->on_step(step_record_);
  }
  steps_ = 0;
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
  const std::int64_t members = batch_.group().size();
  const FineInstant first_end = begin_ + first_.time.count();
  const bool even = cohorts_.size() == 1 && cohorts_.front().last_token == begin_;
  if (!even) {
    for (const Cohort& cohort : cohorts_) {
      const Int128 gap = first_end - cohort.last_token;
      record_.itl.add(to_duration(gap).count(), cohort.size);
      record_.itl_sum_fine += gap * cohort.size;
    }
  }
  const std::int64_t skipped = even ? 0 : 1;
  if (steps_ == skipped) return;
  const std::int64_t first = first_.time.count() + skipped * growth_.time.count();
  record_.itl.add_run(first, growth_.time.count(), steps_ - skipped, members);
  record_.itl_sum_fine += series(first, growth_.time.count(), steps_ - skipped) * members;
}

void Replica::record_emissions(FineInstant end) {
  for (const Batch::Emission& emission : batch_.emissions()) {
    Track& t = track(emission.seq);
    if (t.first_token == kNever) {
      t.first_token = end.floor();
      record_.ttft.add(t.first_token - batch_.sequence(emission.seq).arrival);
    } else {
      const Int128 gap = end - t.last_token;
      record_.itl.add(to_duration(gap).count());
      record_.itl_sum_fine += gap;
    }
    t.last_token = end;
  }
}

void Replica::record_end(SeqIndex seq, FineInstant end) {
  const Sequence& s = batch_.sequence(seq);
  const Track& t = track(seq);
  const Instant last_token = end.floor();
  const std::int64_t outputs = s.known.value - s.input.value;
  const Duration ttft = t.first_token - s.arrival;
  const Duration e2el = last_token - s.arrival;
  Duration tpot{};
  record_.e2el.add(e2el);
  if (outputs > 1) {
    tpot = (last_token - t.first_token) / (outputs - 1);
    record_.tpot.add(tpot);
  }
  ++record_.completed;
  const bool good = ttft.count() <= slo_.ttft_ns && tpot.count() <= slo_.tpot_ns && e2el.count() <= slo_.e2el_ns;
  if (good) ++record_.good;
  record_.input_tokens += s.input.value;
  record_.output_tokens += outputs;
  record_.last_token = std::max(record_.last_token, last_token);
  emit_row(s, t, Outcome::completed, last_token);
  finished_.push_back(s.id);
}

void Replica::emit_row(const Sequence& sequence, const Track& track, Outcome outcome, Instant last_token) {
  if (hooks_.requests == nullptr) return;
  RequestRow row;
  row.id = sequence.id;
  row.replica = id_;
  row.outcome = outcome;
  row.arrival = sequence.arrival;
  row.scheduled = track.scheduled;
  row.first_token = track.first_token;
  row.last_token = last_token;
  row.input = sequence.input;
  row.output = sequence.known - sequence.input;
  row.preemptions = sequence.preemptions;
  row.priority = sequence.priority;
  row.details = track.details.get();
  hooks_.requests->on_request(row);
}

void Replica::tell_preemptions(FineInstant now) {
  begin_ = now;
  record_step();
  step_record_.finished.clear();
  step_record_.free_updated = allocator_->free();
  hooks_.steps->on_step(step_record_);
}

void Replica::record_step() {
  step_record_.replica = id_;
  step_record_.index = steps_told_++;
  step_record_.begin = begin_.floor();
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

void Replica::scrape_idle(FineInstant until) {
  Timeline& timeline = record_.timeline;
  if (FineInstant{Instant{Duration{timeline.next_scrape_ns()}}} >= until) return;
  const TimelinePoint point{0, batch_.waiting(), batch_.blocks_used().value, 0, allocator_->largest_free().value};
  while (FineInstant{Instant{Duration{timeline.next_scrape_ns()}}} < until) timeline.add(point);
}

/// A scrape between two step boundaries sees the step in flight: what it scheduled is running, what it took is used.
void Replica::scrape_steps(FineInstant until) {
  Timeline& timeline = record_.timeline;
  FineInstant scrape{Instant{Duration{timeline.next_scrape_ns()}}};
  if (scrape >= until) return;
  const TimelinePoint base{batch_.running(), batch_.waiting(), batch_.blocks_used().value, batch_.tokens_resident(),
                           allocator_->largest_free().value};
  while (scrape < until) {
    const std::int64_t ended = steps_ > 1 ? steps_by(scrape) : 0;
    TimelinePoint point = base;
    if (ended > 0) {
      const std::int64_t taken = batch_.group().blocks_taken(1, ended).value;
      point.blocks_used += taken;
      point.tokens_resident += ended * batch_.group().size();
      point.largest_free_blocks -= taken;
    }
    timeline.add(point);
    scrape = FineInstant{Instant{Duration{timeline.next_scrape_ns()}}};
  }
}

void Replica::stop(std::optional<FineInstant> cutoff) {
  if (cutoff && in_flight()) {
    if (const std::int64_t ended = steps_by(*cutoff); ended > 0) {
      if (begin_ + elapsed(ended) < *cutoff) {  // one step more had begun, and taken its blocks
        const Blocks used = batch_.blocks_used() + batch_.group().blocks_taken(1, ended);
        record_.blocks_used_max = std::max(record_.blocks_used_max, used.value);
      }
      steps_ = ended;
      complete();
    }
  }
  if (!in_flight() && batch_.waiting() > 0 && (batch_.running() == 0 || preempts_for_ever())) {
    record_.stuck = true;
    record_.stuck_request = batch_.sequence(batch_.waiting_front()).id;
  }
  if (batch_.running() == 0) KVCAST_CHECK(allocator_->free() == allocator_->total());
  batch_.for_each([&](SeqIndex seq) {
    ++record_.unfinished;
    Sequence s = batch_.sequence(seq);
    s.known = batch_.known(seq);
    emit_row(s, track(seq), Outcome::unfinished, kNever);
  });
}

}  // namespace kvcast
