#include "sim/cluster/replica.h"

#include <algorithm>

#include "sim/base/hash.h"
#include "sim/cluster/prompt_content.h"
#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

/// Outputs to come as the client or a predictor put them, less those that are a part of the prompt.
Tokens to_come(const Request& request, Tokens outputs) {
  if (request.past() == nullptr || outputs == Tokens{0}) return outputs;
  return std::max(Tokens{1}, outputs - request.past()->in_prompt());
}

Tokens end_of(const Request& request) {
  return request.input +
         (request.output_limit > Tokens{0} ? std::min(request.output, request.output_limit) : request.output);
}

Tokens limit_of(const Request& request, const EngineSetup& engine) {
  const bool by_request = engine.reservation == Reservation::max_tokens && request.output_limit > Tokens{0};
  return by_request ? std::min(request.input + request.output_limit, engine.max_model_len)
                    : engine.max_model_len;
}

/// \throws InputError for beams where answers are sequences of their own
void check_beams(const Request& request, const EngineSetup& engine) {
  if (request.details == nullptr || request.details->beams == 1 || engine.batch.forks) return;
  const std::string& name = request.details->name;
  throw InputError(
      "request " + (name.empty() ? std::to_string(to_number(request.id)) : "\"" + name + "\"") +
      ": beam_width " + std::to_string(request.details->beams) +
      " needs branches that share blocks: engine.parallel_sampling: copy_on_write, with the scheduler "
      "vllm-v0 "
      "(vLLM v1 searches beams outside of its engine, as a new request for every token of every beam)");
}

/// \throws InputError for several answers
void check_stages(const Request& request, std::int32_t answers) {
  if (answers == 1) return;
  const std::string& name = request.details->name;
  throw InputError(
      "request " + (name.empty() ? std::to_string(to_number(request.id)) : "\"" + name + "\"") +
      ": several answers (n, best_of, beam_width) are not modelled where prompts and answers are made by "
      "different replicas");
}

/// Of which request a request's further answer is: its prompt is shared, its output is not.
Content answer_content(const Content& content, std::int32_t answer) {
  Content own = content;
  own.is_private = false;  // the other answers ask for the prompt
  if (answer > 0)
    own.output = mix64(content.output ^ static_cast<std::uint64_t>(answer)) | (std::uint64_t{1} << 63U);
  return own;
}

BatchOptions options_of(const EngineSetup& engine, const Scheduler& scheduler, const StepTimer& timer,
                        std::uint64_t seed, Tiers* tiers) {
  BatchOptions options = engine.batch;
  options.timer = &timer;
  options.loader = tiers;
  options.keeps_kv = engine.enable_kv_cache;
  options.decode_group =
      engine.enable_kv_cache && engine.path == StepPath::closed_form && scheduler.repeats();
  if (engine.stages > 1) {
    options.pipelined = true;
    options.decode_group = false;  // who decodes in which of the steps under way is no sum
  }
  options.holds_finished = scheduler.holds_finished();
  options.max_model_len = engine.max_model_len;
  if (options.forks) options.forks->seed = seed;
  return options;
}

}  // namespace

std::unique_ptr<Engine> make_replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer,
                                     const RunHooks& hooks) {
  return std::make_unique<Replica>(id, setup, timer, hooks);
}

Replica::Replica(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks,
                 Tiers* tiers)
    : id_(id),
      engine_(setup.engine),
      timer_(timer),
      observer_(hooks.steps),
      tiers_(tiers),
      allocator_(engine_.enable_kv_cache ? engine_.allocator(engine_.pool) : make_unlimited()),
      order_(engine_.order()),
      scheduler_(engine_.scheduler()),
      batch_(*allocator_, *order_, options_of(engine_, *scheduler_, timer_, setup.seed, tiers)),
      recorder_(id, setup, hooks, allocator_->total()),
      samples_(recorder_) {
  KVCAST_CHECK(observer_ == nullptr || engine_.path == StepPath::step_by_step);
  if (engine_.stages > 1) {
    KVCAST_CHECK(!engine_.batch.asynchronous && engine_.batch.host() == nullptr && tiers == nullptr);
    pipeline_.emplace(engine_.stages);
  }
  if (tiers_ != nullptr) allocator_->watch(tiers_);
}

void Replica::loaded(std::uint32_t seq, FineInstant now) {
  scrape(now);
  preemptions_in_vain_ = 0;
  batch_.loaded(static_cast<SeqIndex>(seq));
  if (observer_ != nullptr) {
    observer_->on_load(id_, batch_.sequence(static_cast<SeqIndex>(seq)).id,
                       FineInstant{tiers_->began(seq)}.floor(), now.floor());
  }
}

bool Replica::enter(Request&& request, const Part& part) {
  KVCAST_CHECK(request.input >= Tokens{1} && request.output >= Tokens{1});
  scrape(FineInstant{request.arrival});  // up to here the queue was shorter
  part.first_seen ? recorder_.arrived(request) : recorder_.taken_over(request);
  if (request.input >= engine_.max_model_len) {
    recorder_.refused(request, Outcome::rejected_too_long);
    return false;
  }
  Sequence sequence;
  sequence.id = request.id;
  sequence.arrival = request.arrival;
  sequence.priority = request.priority;
  sequence.tenant = request.tenant;
  const std::string_view slo_class =
      request.details != nullptr ? std::string_view(request.details->slo_class) : "";
  sequence.deadline = request.arrival + order_->ttft_target(slo_class);
  sequence.input = request.prompt();
  sequence.output_limit = to_come(request, request.output_limit);
  sequence.output_predicted = to_come(request, request.output_predicted);
  sequence.known = request.prompt();
  sequence.table.limit = limit_of(request, engine_);
  sequence.table.prompt = request.prompt();
  if (request.past() != nullptr && request.past()->answered > Tokens{0})
    sequence.apart_until = request.input + request.past()->answered + Tokens{1};
  const std::int32_t answers =
      request.details == nullptr ? 1 : std::max(request.details->samples, request.details->beams);
  if (engine_.batch.forks) {
    sequence.branches = answers;
    sequence.beams = answers > 1 && request.details->beams > 1;
  }
  if (!scheduler_->can_ever_run(batch_, sequence)) {
    recorder_.refused(request, Outcome::rejected_never_fits);
    return false;
  }
  check_beams(request, engine_);
  if (engine_.role != Role::whole) check_stages(request, answers);
  sequence.awaits_kv = part.awaits_kv;
  sequence.keeps_kv =
      engine_.role == Role::prefill && !(engine_.tells_first && ends_with_first_token(request, engine_));
  const Tokens end = sequence.keeps_kv ? request.input + Tokens{1} : end_of(request);
  preemptions_in_vain_ = 0;
  const bool named = allocator_->growing() == BlockAllocator::Growing::by_name ||
                     allocator_->growing() == BlockAllocator::Growing::by_step;
  Content content = named ? content_of(request) : Content{};
  if (answers > 1 && !engine_.batch.forks) {
    fan_out(sequence, std::move(request), std::move(content), answers);
    return true;
  }
  Track& t = track_at(batch_.add(sequence, end, std::move(content)));
  t = recorder_.track_of(std::move(request));
  t.answers = answers;
  t.told_elsewhere = !part.answers;
  return true;
}

/// The answers become sequences of their own, as in vLLM v1; they find each other's prompt where prefixes are
/// cached.
void Replica::fan_out(const Sequence& sequence, Request&& request, Content&& content, std::int32_t answers) {
  const Tokens end = end_of(request);
  const std::int32_t number = samples_.open(recorder_.track_of(std::move(request)), answers);
  for (std::int32_t i = 0; i < answers; ++i) {
    const SeqIndex seq = batch_.add(sequence, end, answer_content(content, i));
    track_at(seq) = samples_.answer_of(number);
  }
}

Track& Replica::track_at(SeqIndex seq) {
  if (to_index(seq) >= tracks_.size()) tracks_.resize(to_index(seq) + 1);
  return track(seq);
}

// ---- Planning

std::optional<FineInstant> Replica::plan(FineInstant now) {
  scrape(now);
  const std::size_t depth = engine_.batch.asynchronous ? 2 : static_cast<std::size_t>(engine_.stages);
  while (may_plan_ && !held_ && flights_.size() < depth && plan_step(now)) {
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
  Blocks copied;
  if (batch_.has_branches()) {
    copied = batch_.take_copied_blocks();
    const Batch::BranchUsage usage = batch_.branch_usage();
    recorder_.branched(usage.blocks, usage.apart, copied);
  }
  const bool waits = moved + copied > Blocks{0};
  // What a loaded prefix builds on may be evicted by any block taken. Then its sequence begins further in
  // front, asks for fewer blocks in its first step, and may get in where it had to wait: who has loaded
  // something is asked in each step. And who arrives must find the pool as it is then, where loads begin on
  // arrival.
  const bool steps_singly =
      tiers_ != nullptr && (tiers_->prefetches() || (batch_.waiting() > 0 && tiers_->holds_loads()));
  const bool may_repeat =
      engine_.path == StepPath::closed_form && scheduler_->repeats() && !waits && !steps_singly;
  const std::int64_t repeatable = may_repeat ? batch_.repeatable_steps() : 1;
  std::optional<StepRecord> told;
  if (observer_ != nullptr) record_step(now, told.emplace());
  batch_.launch();
  start(now, shape, repeatable);
  if (engine_.role == Role::prefill) note_streamed();
  const FineDuration computing = flights_.back().run.first.time;
  if (waits) wait_for_copies(moved, copied);
  const FineDuration before_waiting = flights_.back().run.first.time;
  if (tiers_ != nullptr) wait_for_layers(tiers_->take_loaded_by());
  if (told) {
    const StepRun& started = flights_.back().run;
    told->device_begin = started.begin.floor();
    told->device_end = started.end().floor();
    told->shape = shape;
    told->copying = before_waiting - computing;
    told->awaiting = started.first.time - before_waiting;
    flights_.back().told.push_back(std::move(*told));
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
    if (!member.stepped || member.in_flight) continue;
    Track& t = track(member.seq);
    const Sequence& sequence = batch_.sequence(member.seq);
    t.last_token = group_last_end_;
    t.told = sequence.known - sequence.pending - t.input;
  }
  if (!batch_.dissolved().empty() && flights_.empty()) cohorts_.clear();
  for (const Batch::Preemption& preemption : batch_.preempted()) {
    ++record().preemptions;
    if (preemption.swapped) ++record().preemptions_swapped;
    ++track(preemption.seq).preemptions;
    ++preemptions_in_vain_;
    record().recomputed_tokens += preemption.dropped.value;
  }
  for (const Chunk& chunk : batch_.chunks()) {
    if (!chunk.admitted) continue;
    Track& t = track(chunk.seq);
    t.sample_of < 0 ? recorder_.admitted(t, now, chunk.computed) : samples_.admitted(t, now, chunk.computed);
  }
  recorder_.blocks_used(batch_.blocks_used());
}

void Replica::start(FineInstant now, const StepShape& shape, std::int64_t repeatable) {
  if (pipeline_) return start_in_pipeline(now, shape);
  StepRun run;
  run.begin = flights_.empty() ? now : std::max(now, flights_.back().run.end());
  run.steps = 1;
  run.tokens_each = shape.tokens;
  if (repeatable == 1) {
    run.first = timer_.step(shape);
  } else {
    const std::int64_t rows = shape.decode_seqs;  // of the group and of padding
    const std::int64_t context = shape.decode_context;
    const std::int64_t reach = shape.decode_reach;
    const DecodeLine line =
        reach > 0 ? timer_.decode_within(rows, context, reach) : timer_.decode(rows, context);
    run.first.time = line.base.time + line.per_context_token.time * context;
    run.first.hbm_bytes = line.base.hbm_bytes + line.per_context_token.hbm_bytes * context;
    run.first.flop = line.base.flop + line.per_context_token.flop * context;
    run.growth.time = line.per_context_token.time * rows;
    run.growth.hbm_bytes = line.per_context_token.hbm_bytes * rows;
    run.growth.flop = line.per_context_token.flop * rows;
    run.steps = std::min(repeatable, (line.context_max - context) / rows + 1);
    if (batch_.reach().on()) bound_run(line, shape, repeatable, run);
  }
  flights_.push_back({run, {}, {}});
}

/// The run lasts from the first stage's begin to the last one's end, waiting between them included.
void Replica::start_in_pipeline(FineInstant now, const StepShape& shape) {
  const PipelineClock::Pass pass = pipeline_->pass(now, timer_, shape);
  StepRun run;
  run.begin = pass.begin;
  run.steps = 1;
  run.tokens_each = shape.tokens;
  run.first = timer_.step(shape);
  run.first.time = FineDuration{static_cast<std::int64_t>(pass.end - pass.begin)};
  flights_.push_back({run, pass.busy, {}});
}

void Replica::takes(const StepCost& cost, std::int64_t group_tokens) {
  KVCAST_CHECK(flights_.size() == 1 && flights_.front().run.steps == 1);
  Flight& flight = flights_.front();
  flight.run.first = cost;
  event_ = next_event();
  for (StepRecord& told : flight.told) {
    told.device_end = flight.run.end().floor();
    told.shape.group_tokens = group_tokens;
  }
}

/// In bounded layers only the members below their bound attend to more with every step; the run ends before
/// that number changes.
void Replica::bound_run(const DecodeLine& line, const StepShape& shape, std::int64_t repeatable,
                        StepRun& run) const {
  const bool everywhere = batch_.reach().everywhere;
  const std::int64_t more = batch_.group().attending_more();
  const std::int64_t contexts = everywhere ? more : shape.decode_seqs;
  const std::int64_t reaches = everywhere ? 0 : more;
  const StepCost& context = line.per_context_token;
  const StepCost& reach = line.per_reach_token;
  if (!everywhere) {
    run.first.time += reach.time * shape.decode_reach;
    run.first.hbm_bytes += reach.hbm_bytes * shape.decode_reach;
    run.first.flop += reach.flop * shape.decode_reach;
  }
  run.growth.time = context.time * contexts + reach.time * reaches;
  run.growth.hbm_bytes = context.hbm_bytes * contexts + reach.hbm_bytes * reaches;
  run.growth.flop = context.flop * contexts + reach.flop * reaches;
  run.steps = repeatable;
  if (contexts > 0) run.steps = std::min(run.steps, (line.context_max - shape.decode_context) / contexts + 1);
  if (reaches > 0) run.steps = std::min(run.steps, (line.reach_max - shape.decode_reach) / reaches + 1);
}

/// The step just started begins with moving blocks between the device and host memory, and with copying those
/// that one branch of several writes to.
void Replica::wait_for_copies(Blocks moved, Blocks copied) {
  const SwapSpace& swap = *engine_.batch.host();
  StepRun& run = flights_.back().run;
  KVCAST_CHECK(run.steps == 1);
  run.first.time += swap.block_time * moved.value;
  run.first.hbm_bytes += swap.block_bytes * moved.value;
  if (copied == Blocks{0}) return;
  const ForkOptions& forks = *engine_.batch.forks;
  run.first.time += forks.copy_time * copied.value;
  run.first.hbm_bytes += forks.copy_bytes * copied.value;
}

/// Layers are computed while those behind them are still being loaded: the step ends when all are there and
/// the last one is computed. \param loaded_by -1: nothing is on its way
void Replica::wait_for_layers(FineTime loaded_by) {
  if (loaded_by < 0) return;
  StepRun& run = flights_.back().run;
  KVCAST_CHECK(run.steps == 1);
  const FineTime last_layer = run.first.time.count() / engine_.layers;
  const FineTime time = std::max<FineTime>(run.first.time.count(), loaded_by - run.begin.value + last_layer);
  run.first.time = FineDuration{static_cast<std::int64_t>(time)};
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

// ---- What others see of it

/// Further steps of the newest run, beyond its first, that have been planned at a moment.
std::int64_t Replica::further_steps_planned(FineInstant at) const {
  const StepRun& run = flights_.back().run;
  if (run.steps == 1) return 0;
  if (!engine_.batch.asynchronous) return std::min(run.ended_by(at), run.steps - 1);
  return flights_.size() == 2 ? 0 : std::min(run.ended_by(at) + 1, run.steps - 1);
}

const TimelinePoint& Replica::metrics_before(FineInstant now) {
  scrape(now);
  return recorder_.last_scrape();
}

/// Blocks taken by steps that have been planned by now may have evicted others.
Tokens Replica::held_prefix(const Request& request, FineInstant now) {
  scrape(now);
  if (busy()) batch_.take_blocks(further_steps_planned(now));
  BlockTable probe;
  allocator_->open(probe, content_of(request));
  const Tokens held = allocator_->lookup(probe, request.input);
  allocator_->close(probe);
  return held;
}

/// A scrape between two step boundaries sees the step in flight: what it scheduled is running, what it took
/// is used.
void Replica::scrape(FineInstant until) {
  recorder_.scrape(until, [&](FineInstant at) { return point(at); });
}

/// Earlier scrapes come first: a look takes the blocks of steps up to its moment.
TimelinePoint Replica::look(FineInstant now) {
  scrape(now);
  return point(now);
}

TimelinePoint Replica::point(FineInstant at) {
  const std::int64_t waiting = batch_.waiting() + batch_.swapped() + batch_.loading();
  if (!busy())
    return TimelinePoint{0, waiting, batch_.blocks_used().value, 0, allocator_->largest_free().value};
  const std::int64_t further = further_steps_planned(at);
  batch_.take_blocks(further);
  return TimelinePoint{batch_.running(), waiting, batch_.blocks_used().value, batch_.tokens_resident(further),
                       allocator_->largest_free().value};
}

// ---- The end

void Replica::stop(std::optional<FineInstant> cutoff) {
  std::int64_t undelivered = 0;  // steps of the group that were planned and gave no output any more
  if (cutoff && busy()) undelivered = stop_run(*cutoff);
  record().speculation.add(batch_.speculated());
  const std::int64_t waiting = batch_.waiting() + batch_.swapped();
  if (!busy() && !held_ && waiting > 0 && batch_.loading() == 0 &&
      (batch_.running() == 0 || preempts_for_ever())) {
    record().stuck = true;
    const SeqIndex first = batch_.swapped() > 0 ? batch_.swapped_front() : batch_.waiting_front();
    record().stuck_request = batch_.sequence(first).id;
  }
  const bool aside = batch_.kept() > 0 || batch_.loading() > 0;  // of other replicas' requests too
  if (batch_.running() == 0 && !aside) KVCAST_CHECK(allocator_->free() == allocator_->total());
  batch_.for_each([&](SeqIndex seq) {
    Track& t = track(seq);
    if (t.told_elsewhere) return;
    bring_up_to_date(seq, undelivered);
    t.sample_of < 0 ? recorder_.unfinished(t) : samples_.unfinished(t);
  });
  samples_.record_unfinished();
}

/// What the client has of a sequence that is still inside.
void Replica::bring_up_to_date(SeqIndex seq, std::int64_t undelivered) {
  Track& t = track(seq);
  t.output = batch_.delivered(seq, undelivered) - t.input;
  if (t.output > t.told) t.last_token = group_last_end_;  // it has decoded in the group since
  t.output = std::max(t.output, t.told_before);
}

std::vector<Request> Replica::fail(FineInstant now, const RetryPolicy& retry) {
  scrape(now);
  const std::int64_t undelivered = busy() ? stop_run(now) : 0;
  record().speculation.add(batch_.speculated());
  finished_.clear();
  std::vector<Request> again;
  const auto end = [&](Track& t) {
    if (recorder_.may_be_sent_again(t, retry)) {
      again.push_back(recorder_.sent_again(std::move(t), retry.mode));
    } else {
      recorder_.failed(t);
      finished_.push_back(t.id);
    }
  };
  batch_.for_each([&](SeqIndex seq) {
    bring_up_to_date(seq, undelivered);
    Track& t = track(seq);
    t.sample_of < 0 ? end(t) : samples_.unfinished(t);
  });
  samples_.take_unfinished(end);
  std::sort(again.begin(), again.end(), [](const Request& a, const Request& b) { return a.id < b.id; });
  return again;
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
