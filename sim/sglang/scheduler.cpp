#include "sim/sglang/scheduler.h"

#include <algorithm>
#include <utility>

#include "sim/base/error.h"

namespace kvcast::sglang {
namespace {

std::optional<RadixTree> make_tree(const SglangSettings& settings, std::int64_t page) {
  if (settings.disable_radix_cache) return std::nullopt;
  return RadixTree(
      page,
      eviction_catalog().find(settings.radix_eviction_policy, "radix_eviction_policy").make(settings.tlru));
}

}  // namespace

Scheduler::Scheduler(const SglangSettings& settings, std::int64_t pool_tokens, std::int64_t page)
    : settings_(settings),
      pool_(pool_tokens, page, make_tree(settings, page)),
      waiting_(settings_),
      ratio_(settings.new_token_ratio.start) {
  KVCAST_CHECK(!settings.enable_mixed_chunk || settings.chunked_prefill_size);
}

ReqIndex Scheduler::add(Req&& req) {
  // A number is free again when no step in flight and no batch knows its last bearer.
  std::erase_if(retired_, [&](const Retired& retired) {
    if (retired.step > processed_) return false;
    used_[to_index(retired.req)] = false;
    free_slots_.push_back(retired.req);
    return true;
  });
  ReqIndex index{};
  if (free_slots_.empty()) {
    index = static_cast<ReqIndex>(reqs_.size());
    reqs_.emplace_back();
    used_.push_back(false);
  } else {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  at(index) = std::move(req);
  used_[to_index(index)] = true;
  waiting_.push_back(index);
  return index;
}

/// With the overlap loop: the token in flight is its last by length, which is known already.
bool Scheduler::ends_in_flight(const Req& req) const {
  return settings_.overlap_schedule && req.token_step > processed_ && req.out + 1 >= req.max_new;
}

void Scheduler::unlist(ReqIndex index) {
  Req& req = at(index);
  req.listed = false;
  if (req.finished) retired_.push_back({index, planned_});
}

std::optional<PlannedStep> Scheduler::plan() {
  retraction_.reset();
  if (chunked_ != kNoReq) pool_.insert_unfinished(at(chunked_), at(chunked_).kv);
  merge_last_prefill();
  drop_finished();
  if (std::optional<PlannedStep> step = plan_prefill()) return step;
  return plan_decode();
}

void Scheduler::merge_last_prefill() {
  if (last_prefill_.empty()) return;
  const std::size_t before = last_prefill_.size();
  std::erase_if(last_prefill_, [&](ReqIndex i) {
    const bool goes = i == chunked_ || i == last_unfinished_ || at(i).finished;
    if (goes) unlist(i);
    return goes;
  });
  if (last_prefill_.size() < before) full_ = false;
  if (!last_prefill_.empty() && running_.empty()) full_ = false;
  running_.insert(running_.end(), last_prefill_.begin(), last_prefill_.end());
  last_prefill_.clear();
  last_unfinished_ = kNoReq;
}

void Scheduler::drop_finished() {
  const std::size_t before = running_.size();
  std::erase_if(running_, [&](ReqIndex i) {
    if (!at(i).finished) return false;
    unlist(i);
    return true;
  });
  if (running_.size() < before || running_.empty()) full_ = false;
}

std::optional<PlannedStep> Scheduler::plan_prefill() {
  if (!would_admit()) return std::nullopt;
  const auto running = static_cast<std::int64_t>(running_.size());
  const std::int64_t rows =
      std::min(settings_.max_running_requests - running, settings_.max_running_requests - rows_);
  if (rows <= 0 && chunked_ == kNoReq) {
    full_ = true;
    return std::nullopt;
  }
  SglangAdmission admission;
  admission.put_behind = waiting_.sort(reqs_, pool_);
  PrefillAdder adder(settings_, reqs_, pool_,
                     {.running = running_,
                      .new_token_ratio = ratio_,
                      .decode_tokens = settings_.enable_mixed_chunk ? running : 0});
  if (chunked_ != kNoReq) {
    if (!adder.fits_chunked(chunked_)) return std::nullopt;
    if (!adder.add_chunked(chunked_)) chunked_ = kNoReq;
  }
  admit_from_queue(adder, rows, admission);
  if (adder.admitted().empty()) return std::nullopt;
  if (adder.cut() != kNoReq) {
    KVCAST_CHECK(chunked_ == kNoReq);
    chunked_ = adder.cut();
  }
  admission.total_left = adder.total();
  admission.input_left = adder.input();
  admission.chunk_left = adder.chunk();

  PlannedStep step = make_step(SglangStepKind::prefill);
  step.admission = admission;
  step.unfinished = chunked_;
  std::int64_t room = 0;
  for (const ReqIndex i : adder.admitted()) room += at(i).taken + (pool_.page() > 1 ? pool_.page() : 0);
  KVCAST_CHECK(pool_.make_room(room));
  for (const ReqIndex i : adder.admitted()) {
    Req& req = at(i);
    step.chunks.push_back({i, req.there, req.taken});
    step.prefill_context += req.there + req.taken;
    pool_.grow(req, req.there + req.taken);
    if (i != chunked_) req.token_step = step.number;
    req.listed = true;
    if (!std::exchange(req.holds_row, true)) ++rows_;
    last_prefill_.push_back(i);
  }
  last_unfinished_ = chunked_;
  step.decoding_waits = running;
  if (settings_.enable_mixed_chunk) mix_in_decoding(step);
  finish_step(step);
  return step;
}

void Scheduler::admit_from_queue(PrefillAdder& adder, std::int64_t rows, SglangAdmission& admission) {
  const std::size_t chunked = adder.admitted().size();
  for (std::size_t k = 0; k < waiting_.size(); ++k) {
    const ReqIndex index = waiting_[k];
    Req& req = at(index);
    if (static_cast<std::int64_t>(adder.admitted().size()) >= rows) full_ = true;
    if (full_ || adder.input_spent()) break;
    RadixTree::Match prefix;
    if (pool_.tree() != nullptr) prefix = pool_.tree()->match(req.key(req.length() - 1));
    admission.tried = true;
    const std::size_t before = adder.admitted().size();
    admission.verdict = adder.add(index, prefix);
    const bool added = adder.admitted().size() > before;
    admission.turned.reset();
    if (added) {
      req.kv = req.shared = prefix.tokens;
      req.inserted = 0;
      req.retracted = false;
    } else {
      admission.turned = req.id;
    }
    if (admission.verdict == SglangVerdict::go_on) continue;
    if (admission.verdict == SglangVerdict::no_token) full_ = !adder.admitted().empty() || !running_.empty();
    break;
  }
  waiting_.drop_front(adder.admitted().size() - chunked);
}

/// One token of each running request rides along, if the pool can take them; else they sit the step out.
void Scheduler::mix_in_decoding(PlannedStep& step) {
  leave_out_ending();
  if (running_.empty() || !pool_.fits_decode(reqs_, running_)) return;
  step.kind = SglangStepKind::mixed;
  step.decoding_waits = 0;
  add_decoding(step);
  last_prefill_.insert(last_prefill_.end(), running_.begin(), running_.end());
  running_.clear();
}

void Scheduler::add_decoding(PlannedStep& step) {
  step.decoding = running_;
  pool_.grow_decode(reqs_, running_);
  for (const ReqIndex i : running_) {
    Req& req = at(i);
    req.token_step = step.number;
    step.decode_context += req.kv;
  }
}

std::vector<ReqIndex> Scheduler::leave_out_ending() {
  std::vector<ReqIndex> ending;
  std::erase_if(running_, [&](ReqIndex i) {
    if (!ends_in_flight(at(i))) return false;
    unlist(i);
    ending.push_back(i);
    return true;
  });
  return ending;
}

std::optional<PlannedStep> Scheduler::plan_decode() {
  if (running_.empty()) return std::nullopt;
  const std::size_t before = running_.size();
  const std::vector<ReqIndex> ending = leave_out_ending();
  if (running_.empty()) {
    full_ = false;
    return std::nullopt;
  }
  if (pool_.fits_decode(reqs_, running_)) {
    ratio_ = std::max(ratio_ - settings_.new_token_ratio.decay, settings_.new_token_ratio.floor);
  } else if (pool_.fits_decode_after(reqs_, running_, ending)) {
    full_ = false;  // their memory comes back with the result in flight: sit one round out rather than send
                    // anybody back
    return std::nullopt;
  } else {
    retract();
  }
  if (running_.size() < before) full_ = false;
  if (running_.empty()) return std::nullopt;
  PlannedStep step = make_step(SglangStepKind::decode);
  add_decoding(step);
  finish_step(step);
  return step;
}

/// Sends requests back to the queue until a step of the rest fits: fewest outputs first, then the longest
/// prompt.
void Scheduler::retract() {
  Retraction& r = retraction_.emplace();
  r.available_before = pool_.free();
  std::stable_sort(running_.begin(), running_.end(), [&](ReqIndex a, ReqIndex b) {
    if (at(a).out != at(b).out) return at(a).out > at(b).out;
    return at(a).prompt < at(b).prompt;
  });
  const auto drop_last = [&](std::vector<ReqIndex>& into) {
    const ReqIndex index = running_.back();
    running_.pop_back();
    Req& req = at(index);
    r.dropped += req.kv - req.shared;
    pool_.release(req);
    req.holds_row = false;
    --rows_;
    into.push_back(index);
    return index;
  };
  bool fits = false;
  while (!fits && running_.size() > 1) {
    const ReqIndex index = drop_last(r.retracted);
    at(index).retracted = true;
    at(index).listed = false;
    static_cast<void>(
        pool_.make_room(settings_.retract_decode_steps * static_cast<std::int64_t>(running_.size())));
    fits = pool_.fits_decode(reqs_, running_);
  }
  if (!fits && !pool_.fits_decode(reqs_, running_)) {
    const ReqIndex index = drop_last(r.aborted);
    at(index).finished = true;
    unlist(index);
  }
  r.available_after = pool_.free();
  std::int64_t made = 0;
  std::int64_t most = 0;
  for (const ReqIndex i : running_) {
    made += at(i).out;
    most += at(i).max_new;
  }
  made += settings_.retract_decode_steps * static_cast<std::int64_t>(running_.size());
  ratio_ = std::min(1.0, static_cast<double>(made) / static_cast<double>(most + 1));
  for (const ReqIndex i : r.retracted) waiting_.push_back(i);
}

PlannedStep Scheduler::make_step(SglangStepKind kind) {
  PlannedStep step;
  step.kind = kind;
  step.number = ++planned_;
  return step;
}

void Scheduler::finish_step(PlannedStep& step) { step.state = state(); }

SglangState Scheduler::state() const {
  SglangState state;
  state.waiting = static_cast<std::int64_t>(waiting_.size());
  state.new_token_ratio = ratio_;
  state.available = pool_.free();
  state.evictable = pool_.evictable();
  state.locked = pool_.locked();
  state.full = full_;
  return state;
}

bool Scheduler::token(ReqIndex index) {
  Req& req = at(index);
  if (req.finished || req.retracted) return false;
  ++req.out;
  return true;
}

void Scheduler::insert_unfinished(ReqIndex index) {
  Req& req = at(index);
  pool_.insert_unfinished(req, req.fill);
}

SglangFinish Scheduler::end(ReqIndex index) {
  Req& req = at(index);
  KVCAST_CHECK(!req.finished && req.holds_row);
  SglangFinish finish{req.id, req.out, 0, req.kv};
  if (req.refused) {
    pool_.release(req);
  } else {
    finish.cached = pool_.insert_finished(req);
  }
  req.finished = true;
  req.holds_row = false;
  --rows_;
  if (!req.listed) retired_.push_back({index, planned_});
  return finish;
}

void Scheduler::check() const {
  std::int64_t held = 0;
  std::int64_t own = 0;
  std::int64_t rows = 0;
  for (std::size_t i = 0; i < reqs_.size(); ++i) {
    if (!used_[i]) continue;
    const Req& req = reqs_[i];
    held += pool_.pages(req.kv) - req.shared;
    own += req.kv - req.shared;
    rows += req.holds_row ? 1 : 0;
  }
  KVCAST_CHECK(rows == rows_);
  KVCAST_CHECK(own + pool_.locked() == pool_.resident());
  KVCAST_CHECK(pool_.free() + pool_.evictable() + pool_.locked() + held == pool_.total());
}

}  // namespace kvcast::sglang
