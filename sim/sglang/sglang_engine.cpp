#include "sim/sglang/sglang_engine.h"

#include <algorithm>
#include <limits>

#include "sim/base/error.h"
#include "sim/sglang/engine_impl.h"

namespace kvcast {

EngineMaker make_sglang_engine(SglangSettings settings) {
  static_cast<void>(
      sglang::eviction_catalog().find(settings.radix_eviction_policy, "engine.radix_eviction_policy"));
  if (settings.enable_mixed_chunk && !settings.chunked_prefill_size) {
    throw InputError(
        "engine.enable_mixed_chunk: needs chunked prefill (set engine.chunked_prefill_size to more than 0)");
  }
  return [settings](ReplicaId id, const ClusterSetup& setup, const StepTimer& timer, const RunHooks& hooks) {
    return std::make_unique<sglang::SglangEngine>(id, setup, timer, hooks, settings);
  };
}

namespace sglang {
namespace {

/// max_new_tokens of a request whose client gave none.
constexpr std::int64_t kNoLimit = std::int64_t{1} << 30;
/// Prompts must be that much shorter than max_req_len.
constexpr std::int64_t kInputMargin = 5;
/// Keys of requests without known content are kept apart from everybody's; no tenant has such a number.
constexpr std::uint64_t kPrivate = std::uint64_t{1} << 63;
/// The end-of-sequence token: one token, the same for everybody.
constexpr TokenRun kEndOfSequence{std::numeric_limits<std::uint64_t>::max(), 0, 1};

std::int64_t pool_tokens(const EngineSetup& engine) {
  return engine.pool.blocks.value * engine.pool.block_size.value;
}

}  // namespace

SglangEngine::SglangEngine(ReplicaId id, const ClusterSetup& setup, const StepTimer& timer,
                           const RunHooks& hooks, const SglangSettings& settings)
    : id_(id),
      settings_(settings),
      path_(setup.engine.path),
      max_req_len_(std::min(setup.engine.max_model_len.value, pool_tokens(setup.engine)) - 1),
      timer_(timer),
      steps_(hooks.steps),
      observer_(settings.observer ? settings.observer(id) : nullptr),
      scheduler_(settings_, pool_tokens(setup.engine), setup.engine.pool.block_size.value),
      recorder_(id, setup, hooks, setup.engine.pool.blocks) {
  KVCAST_CHECK(steps_ == nullptr || path_ == StepPath::step_by_step);
}

bool SglangEngine::enqueue(Request&& request) {
  KVCAST_CHECK(request.input >= Tokens{1} && request.output >= Tokens{1});
  if (request.details != nullptr && std::max(request.details->samples, request.details->beams) > 1) {
    throw InputError("request " + std::to_string(to_number(request.id)) +
                     ": n, best_of and beam_width above 1 are not simulated with a profile of SGLang; a "
                     "profile of vLLM has them");
  }
  scrape(FineInstant{request.arrival});
  recorder_.arrived(request);
  std::int64_t end = 0;
  Req req = make_req(request, end);
  if (req.refused) recorder_.refused(request, Outcome::rejected_too_long);
  if (req.refused && request.past() != nullptr) return false;
  const ReqIndex index = scheduler_.add(std::move(req));
  if (to_index(index) >= truths_.size()) truths_.resize(to_index(index) + 1);
  Truth& t = truth(index);
  t = Truth{};
  t.end = end;
  t.had = request.prompt() - request.input;
  t.track = recorder_.track_of(std::move(request));
  return true;
}

/// Clips max_new_tokens as SGLang does at the door; a prompt that is too long becomes one token that ends at
/// once.
Req SglangEngine::make_req(const Request& request, std::int64_t& end) const {
  Req req;
  req.id = request.id;
  req.priority = -static_cast<std::int64_t>(request.priority);  // in the tree a larger one stays longer
  req.prompt = request.prompt().value;
  const std::int64_t had = (request.prompt() - request.input).value;
  req.ignore_eos = settings_.ignore_eos;
  const std::int64_t limit = request.output_limit > Tokens{0} ? request.output_limit.value - had : kNoLimit;
  const KvPool& pool = scheduler_.pool();
  req.max_new =
      std::max<std::int64_t>(0, std::min({limit, max_req_len_ - req.prompt - 1,
                                          pool.total() - pool.pages(req.prompt) - pool.page() - 1}));
  end = std::max<std::int64_t>(1, std::min(request.output.value - had, req.max_new));
  const bool known = request.details != nullptr && !request.details->content.empty();
  req.salt = known ? request.tenant : kPrivate | to_number(request.id);
  if (req.prompt >= max_req_len_ - kInputMargin) {
    req.refused = true;
    req.prompt = end = 1;
    req.salt = kPrivate | to_number(request.id);
    req.content.append({0, 0, 1});
  } else if (known) {
    for (const PromptSegment& segment : request.details->content)
      req.content.append({segment.segment, 0, segment.length.value});
  } else {
    req.content.append({0, 0, request.input.value});
  }
  KVCAST_CHECK(req.refused || req.content.length() + had == req.prompt);
  KVCAST_CHECK(!known || settings_.output_segment);
  const std::uint64_t output = known ? settings_.output_segment(request) : 1;
  const std::int64_t said = request.output.value - (req.ignore_eos ? 0 : 1);
  req.content.append({output, 0, said});
  if (!req.ignore_eos) req.content.append(kEndOfSequence);
  return req;
}

/// Of the client's answer, those from replicas that were lost included where they are a part of the prompt.
Tokens SglangEngine::outputs_of(const Truth& truth, const Req& req) { return Tokens{req.out} + truth.had; }

std::optional<FineInstant> SglangEngine::plan(FineInstant now) {
  KVCAST_CHECK(!busy_);
  scrape(now);
  if (held_) {
    if (!front_) return std::nullopt;
    begin_run();
    busy_ = true;
    return run_.end();
  }
  bool idled = false;
  for (;;) {
    const bool in_flight = front_.has_value();
    const bool planned = plan_one(now);
    if (in_flight || (planned && !settings_.overlap_schedule))
      break;                // the next moment is the end of the front
    if (planned) continue;  // the overlap loop plans a second one at once
    scheduler_.idle();
    if (observer_ != nullptr) {
      const SglangState state = scheduler_.state();
      observer_->on_idle({now.floor(), state.available, state.evictable, state.locked});
    }
    if (idled || scheduler_.waiting().empty()) return std::nullopt;
    idled = true;
  }
  begin_run();
  busy_ = true;
  return run_.end();
}

bool SglangEngine::plan_one(FineInstant now) {
  std::optional<PlannedStep> step = scheduler_.plan();
  note_retraction(now);
  if (step) launch(std::move(*step), now);
  note_blocks();
  return step.has_value();
}

void SglangEngine::note_retraction(FineInstant now) {
  retracted_.clear();
  const std::optional<Retraction>& r = scheduler_.retraction();
  if (!r) return;
  record().preemptions += static_cast<std::int64_t>(r->retracted.size());
  record().recomputed_tokens += r->dropped;
  for (const ReqIndex i : r->retracted) ++truth(i).track.preemptions;
  for (const ReqIndex i : r->aborted) {
    truth(i).track.output = outputs_of(truth(i), scheduler_.reqs()[to_index(i)]);
    recorder_.unfinished(truth(i).track);
    aborted_.push_back(truth(i).track.id);
  }
  retracted_ = ids(r->retracted);
  if (observer_ == nullptr) return;
  observer_->on_retraction({.at = now.floor(),
                            .retracted = retracted_,
                            .aborted = ids(r->aborted),
                            .new_token_ratio = scheduler_.state().new_token_ratio,
                            .available_before = r->available_before,
                            .available_after = r->available_after});
}

StepShape SglangEngine::shape_of(const PlannedStep& step) const {
  StepShape shape;
  shape.decode_seqs = static_cast<std::int64_t>(step.decoding.size());
  shape.decode_context = step.decode_context;
  shape.prefill_seqs = static_cast<std::int64_t>(step.chunks.size());
  shape.prefill_context = step.prefill_context;
  shape.tokens = shape.decode_seqs;
  shape.sampled = shape.decode_seqs + shape.prefill_seqs - (step.unfinished != kNoReq ? 1 : 0);
  for (const PlannedChunk& chunk : step.chunks) {
    shape.tokens += chunk.now;
    shape.prefill_pairs += chunk.now * chunk.there + chunk.now * (chunk.now + 1) / 2;
  }
  return shape;
}

void SglangEngine::launch(PlannedStep&& step, FineInstant now) {
  KVCAST_CHECK(!back_);
  Flight flight;
  flight.step = std::move(step);
  flight.planned = now;
  flight.begin = front_ ? std::max(now, front_->end()) : now;
  flight.cost = timer_.step(shape_of(flight.step));
  for (const PlannedChunk& chunk : flight.step.chunks) {
    if (!scheduler_.reqs()[to_index(chunk.req)].refused)
      recorder_.admitted(truth(chunk.req).track, now, Tokens{chunk.there});
  }
  if (steps_ != nullptr) flight.record = recorded(flight);
  if (observer_ != nullptr) observer_->on_step(told(flight));
  (front_ ? back_ : front_) = std::move(flight);
}

FineInstant SglangEngine::cut(FineInstant arrival) {
  KVCAST_CHECK(busy_);
  if (run_.steps > 1) {
    const std::int64_t ended = run_.ended_by(arrival);
    const bool on_boundary = ended > 0 && run_.begin + run_.elapsed(ended) == arrival;
    run_.steps = std::min(run_.steps, on_boundary ? ended : ended + 1);
  }
  return run_.end();
}

void SglangEngine::complete() {
  KVCAST_CHECK(busy_);
  scrape(run_.end());
  recorder_.ran(run_);
  take_run(run_.steps - 1);
  finished_ = std::move(aborted_);
  aborted_.clear();
  process_front();
  front_ = std::move(back_);
  back_.reset();
  busy_ = false;
  note_blocks();
}

void SglangEngine::process_front() {
  const PlannedStep& step = front_->step;
  const FineInstant end = front_->end();
  SglangResult result{end.floor(), step.number, {}};
  scheduler_.process(step);
  for (const PlannedChunk& chunk : step.chunks) {
    if (chunk.req != step.unfinished) give_tokens({&chunk.req, 1}, true, end, result);
  }
  give_tokens(step.decoding, false, end, result);
  if (observer_ != nullptr && !result.finished.empty()) observer_->on_result(result);
  if (steps_ != nullptr) {
    front_->record.finished = finished_;
    front_->record.free_updated = Blocks{scheduler_.pool().free() / scheduler_.pool().page()};
    steps_->on_step(front_->record);
  }
}

void SglangEngine::give_tokens(std::span<const ReqIndex> batch, bool prefill, FineInstant end,
                               SglangResult& result) {
  // Gaps of one length go to the recorder together.
  Int128 gap = 0;
  std::int64_t alike = 0;
  for (const ReqIndex i : batch) {
    if (!scheduler_.token(i)) {
      if (steps_ != nullptr) note_no_token(scheduler_.reqs()[to_index(i)].id);
      continue;
    }
    Track& track = truth(i).track;
    const Req& req = scheduler_.reqs()[to_index(i)];
    track.told = outputs_of(truth(i), req);
    if (track.told <= track.told_before) {
      recorder_.made_again(Tokens{1});
    } else if (track.first_token == kNever) {
      if (!req.refused) recorder_.token(track, end);
    } else {
      const Int128 own = end - track.last_token;
      if (alike > 0 && own != gap) {
        recorder_.gaps(gap, alike);
        alike = 0;
      }
      gap = own;
      ++alike;
      track.last_token = end;
    }
    if (req.out >= truth(i).end) {
      finish(i, end, result);
    } else if (prefill) {
      scheduler_.insert_unfinished(i);
    }
  }
  if (alike > 0) recorder_.gaps(gap, alike);
}

/// The step's token of a request that has ended or given way since is dropped.
void SglangEngine::note_no_token(RequestId id) {
  for (StepRecord::Entry& entry : front_->record.scheduled) {
    if (entry.id == id) entry.gives_token = false;
  }
}

void SglangEngine::finish(ReqIndex i, FineInstant end, SglangResult& result) {
  Track& track = truth(i).track;
  const bool refused = scheduler_.reqs()[to_index(i)].refused;
  track.output = outputs_of(truth(i), scheduler_.reqs()[to_index(i)]);
  result.finished.push_back(scheduler_.end(i));
  if (!refused) recorder_.completed(track, end);
  finished_.push_back(track.id);
  track.details.reset();
}

void SglangEngine::note_blocks() { recorder_.blocks_used(blocks_used()); }

Blocks SglangEngine::blocks_used() const {
  const KvPool& pool = scheduler_.pool();
  return Blocks{(pool.total() - pool.free() - pool.evictable()) / pool.page()};
}

void SglangEngine::scrape(FineInstant until) {
  recorder_.scrape(until, [&](FineInstant at) { return point(at); });
}

/// What a scrape sees: blocks that requests need (cached ones that may go count as free), distinct tokens
/// whose KV they hold.
TimelinePoint SglangEngine::point(FineInstant at) const {
  const KvPool& pool = scheduler_.pool();
  TimelinePoint point;
  point.running = scheduler_.running();
  point.waiting = static_cast<std::int64_t>(scheduler_.waiting().size());
  point.blocks_used = blocks_used().value;
  point.tokens_resident = pool.resident();
  if (busy_ && run_.steps > 1) {
    const std::int64_t more = run_.ended_by(at);
    point.blocks_used += scheduler_.tokens_taken(last_planned().step, more) / pool.page();
    point.tokens_resident += more * static_cast<std::int64_t>(last_planned().step.decoding.size());
  }
  point.largest_free_blocks = pool.total() / pool.page() - point.blocks_used;
  return point;
}

void SglangEngine::stop_run(FineInstant cutoff) {
  const std::int64_t ended = run_.ended_by(cutoff);
  if (ended == 0) return;
  scrape(run_.begin + run_.elapsed(ended));
  const bool next_planned = run_.begin + run_.elapsed(ended) < cutoff;
  const std::int64_t taken = scheduler_.tokens_taken(last_planned().step, next_planned ? ended : ended - 1);
  recorder_.blocks_used(blocks_used() + Blocks{taken / scheduler_.pool().page()});
  run_.steps = ended;
  recorder_.ran(run_);
  record_even_gaps(ended);
  scheduler_.advance(last_planned().step, ended);
}

/// Those who have not ended, with their outputs.
template <class Visit>
void SglangEngine::for_each_inside(Visit visit) {
  for (std::size_t i = 0; i < truths_.size(); ++i) {
    const Req& req = scheduler_.reqs()[i];
    if (!scheduler_.used(static_cast<ReqIndex>(i)) || req.finished || req.refused) continue;
    Track& track = truths_[i].track;
    track.output = std::max(outputs_of(truths_[i], req), track.told_before);
    visit(track);
  }
}

std::vector<Request> SglangEngine::fail(FineInstant now, const RetryPolicy& retry) {
  scrape(now);
  if (busy_) stop_run(now);
  finished_ = std::move(aborted_);
  aborted_.clear();
  std::vector<Request> again;
  for_each_inside([&](Track& track) {
    if (recorder_.may_be_sent_again(track, retry)) {
      again.push_back(recorder_.sent_again(std::move(track), retry.mode));
    } else {
      recorder_.failed(track);
      finished_.push_back(track.id);
    }
  });
  for (std::size_t i = 0; i < truths_.size(); ++i) {  // told already, and not out of the queue yet
    const Req& req = scheduler_.reqs()[i];
    if (scheduler_.used(static_cast<ReqIndex>(i)) && !req.finished && req.refused)
      finished_.push_back(truths_[i].track.id);
  }
  std::sort(again.begin(), again.end(), [](const Request& a, const Request& b) { return a.id < b.id; });
  return again;
}

void SglangEngine::stop(std::optional<FineInstant> cutoff) {
  if (cutoff && busy_) stop_run(*cutoff);
  scheduler_.check();
  if (!front_ && !held_ && !scheduler_.waiting().empty()) {
    record().stuck = true;
    record().stuck_request = scheduler_.reqs()[to_index(scheduler_.waiting()[0])].id;
  }
  for_each_inside([&](const Track& track) { recorder_.unfinished(track); });
}

std::vector<RequestId> SglangEngine::ids(const std::vector<ReqIndex>& reqs) const {
  std::vector<RequestId> all;
  all.reserve(reqs.size());
  for (const ReqIndex i : reqs) all.push_back(scheduler_.reqs()[to_index(i)].id);
  return all;
}

}  // namespace sglang
}  // namespace kvcast
