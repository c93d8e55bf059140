// Reading and planning; what happens to a planned step is in batch_steps.cpp.
#include "sim/sched/batch.h"

#include <algorithm>

namespace kvcast {
namespace {

Tokens group_period(const BlockAllocator& allocator) {
  return allocator.growing() == BlockAllocator::Growing::by_step ? Tokens{1} : allocator.block_size();
}

}  // namespace

Batch::Batch(BlockAllocator& allocator, QueueOrder& order, BatchOptions options)
    : allocator_(allocator),
      order_(order),
      options_(options),
      growing_(allocator.growing()),
      group_(group_period(allocator), blocks_have_names(), options.keeps_kv ? options.reach : Reach{}) {
  if (!options_.keeps_kv) options_.reach = {};
  if (options_.speculation != nullptr)
    options_.decode_group = false;  // steps of unlike length have no closed form
  if (options_.host() != nullptr) swap_free_ = options_.host()->blocks;
}

SeqIndex Batch::add(const Sequence& sequence, Tokens end, Content&& content) {
  KVCAST_CHECK(end > sequence.known);
  KVCAST_CHECK(sequence.branches == 1 || (options_.forks && allocator_.forking() != nullptr));
  KVCAST_CHECK(sequence.branches == 1 || !(options_.asynchronous || options_.pipelined));
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<SeqIndex>(sequences_.size()));
    sequences_.emplace_back();
    links_.emplace_back();
  }
  const SeqIndex seq = free_slots_.back();
  free_slots_.pop_back();
  at(seq) = sequence;
  link(seq) = Link{};
  link(seq).end = std::min(end, options_.max_model_len);
  link(seq).end_by_length = end;
  link(seq).used = true;
  if (options_.speculation != nullptr) at(seq).draft_length = options_.speculation->tokens_max();
  allocator_.open(at(seq).table, std::move(content));
  if (options_.loader != nullptr) options_.loader->forget(static_cast<std::uint32_t>(seq));
  order_.push(sequence, seq);
  if (options_.loader != nullptr && options_.loader->prefetches()) {
    Sequence& s = at(seq);
    const Tokens found = allocator_.lookup(s.table, s.known);
    options_.loader->arrives(static_cast<std::uint32_t>(seq), allocator_, s.table, found, s.known);
  }
  return seq;
}

Tokens Batch::known(SeqIndex seq) const {
  const Tokens known = sequence(seq).known;
  return link(seq).in_group ? known + Tokens{group_.clock() - link(seq).joined_at} : known;
}

Tokens Batch::delivered(SeqIndex seq, std::int64_t group_steps) const {
  std::int64_t since = link(seq).in_group ? std::min(group_steps, group_.clock() - link(seq).joined_at) : 0;
  // Its last step is under way, and so may be the group's step before that one.
  if (link(seq).ended_at >= 0 && flights_.size() == 2) {
    const Flight& before = flights_.front();
    if (before.group_members > 0 && before.clock > link(seq).joined_at && before.clock < link(seq).ended_at)
      since = 1;
  }
  return known(seq) - sequence(seq).pending - Tokens{since};
}

std::int64_t Batch::running_context() const {
  std::int64_t sum = group_.context();
  for (const SeqIndex seq : individuals_) sum += sequence(seq).known.value;
  return sum;
}

std::int64_t Batch::running_attended() const {
  std::int64_t sum = group_.attended();
  for (const SeqIndex seq : individuals_) sum += attended(seq, sequence(seq).known.value);
  return sum;
}

std::int64_t Batch::tokens_resident(std::int64_t further) const {
  if (!options_.keeps_kv) return 0;
  std::int64_t sum = group_.context() - group_.size() + further * group_.size();
  if (options_.reach.everywhere)
    sum =
        further == 0 ? group_.attended_before() : group_.attended() + (further - 1) * group_.attending_more();
  for (const SeqIndex seq : individuals_) sum += tokens_held(seq);
  for (const SeqIndex seq : last_steps_) sum += tokens_held(seq);
  return sum + tokens_aside_;
}

std::int64_t Batch::tokens_held(SeqIndex seq) const {
  const Sequence& s = sequence(seq);
  if (options_.reach.everywhere) return s.in_prefill ? s.computed.value : attended(seq, s.computed.value);
  return s.forked ? forking().branches(s.table).tokens_held() : s.computed.value;
}

Batch::BranchUsage Batch::branch_usage() const {
  BranchUsage usage;
  const auto add = [&](SeqIndex seq) {
    if (!sequence(seq).forked) return;
    const BranchTables& tables = forking().branches(sequence(seq).table);
    usage.blocks += tables.blocks();
    usage.apart += tables.blocks_apart();
  };
  for (const SeqIndex seq : individuals_) add(seq);
  for (const SeqIndex seq : last_steps_) add(seq);
  return usage;
}

// ---- Planning

void Batch::begin_step(Tokens budget) {
  order_.begin_step();
  budget_ = budget;
  group_scheduled_ = false;
  chunks_.clear();
  preempted_.clear();
  dissolved_.clear();
  padding_ = {};
}

bool Batch::schedule_running(const RunningRules& rules) {
  rules_ = rules;
  if (growing_ == BlockAllocator::Growing::never) rules_.spare = Blocks{0};
  if (group_.size() > 0) {
    if (schedule_grouped()) return true;
    dissolve_group();
  }
  return schedule_walking();
}

Tokens Batch::lookahead() const {
  const Speculation* speculation = options_.speculation;
  return Tokens{speculation != nullptr && speculation->needs_lookahead() ? speculation->tokens_max() : 0};
}

/// What a running sequence asks for, before the budget.
Tokens Batch::wanted(SeqIndex seq, Tokens cap) const {
  const Sequence& s = sequence(seq);
  if (link(seq).last_step) return Tokens{0};
  if (options_.pipelined && s.pending > Tokens{0}) return Tokens{0};
  Tokens n = std::min(s.known + s.drafts - s.computed, cap);
  if (options_.speculation == nullptr) return n;
  // With one token a step under way this would be its last; more would be surplus.
  const bool at_its_end =
      s.pending > Tokens{0} && s.computed + Tokens{2} - s.pending >= link(seq).end_by_length;
  if (options_.asynchronous && at_its_end) return Tokens{0};
  if (options_.cuts_drafts_at_end) n = std::min(n, link(seq).end_by_length - Tokens{1} - s.computed);
  n = std::min(n, options_.max_model_len - Tokens{1} - s.computed);
  return std::max(n, Tokens{0});
}

Growth Batch::growth(SeqIndex seq, Tokens n, Tokens ahead) const {
  const Sequence& s = sequence(seq);
  Growth growth;
  growth.slots = std::min(s.computed + n + ahead, options_.max_model_len);
  growth.computed = s.computed;
  growth.shareable = std::min(s.computed + n, s.known - s.pending);
  if (options_.windows_wait_for_output) growth.in_flight = link(seq).in_flight;
  return growth;
}

/// Where blocks have names their order of taking matters: the group can stand for its members only if no
/// individual stands among them.
bool Batch::individuals_are_last() const {
  SeqIndex seq = last_;
  for (auto i = individuals_.rbegin(); i != individuals_.rend(); ++i) {
    while (seq != kNoSeq && link(seq).last_step) seq = link(seq).previous;
    if (seq != *i) return false;
    seq = link(seq).previous;
  }
  return true;
}

/// The group's decodes and the individuals' chunks at once, where that gives each what the walk would: the
/// budget covers all wants (or binds only the last in order), and the free blocks cover all needs.
bool Batch::schedule_grouped() {
  const Tokens left = budget_ - Tokens{group_.size()};
  if (left < Tokens{0}) return false;
  if (blocks_have_names() && !individuals_are_last()) return false;
  Tokens all;
  std::int64_t rows_max = 1;
  for (const SeqIndex seq : individuals_) {
    all += wanted(seq, rules_.cap) * rows(seq);
    rows_max = std::max(rows_max, rows(seq));
  }
  const bool binds_last_only = individuals_.size() == 1 && individuals_.front() == last_;
  if (all > left && !binds_last_only && !rules_.decodes_first) return false;
  const bool by_step = growing_ == BlockAllocator::Growing::by_step;
  Blocks needed = by_step ? allocator_.growth_bound(group_.size(), 1) : group_.blocks_taken(0, 1);
  for (const SeqIndex seq : individuals_) {
    const Sequence& s = sequence(seq);
    needed += allocator_.needed(s.table, s.computed + std::min(wanted(seq, rules_.cap), left));
  }
  if (needed + rules_.spare * rows_max > allocator_.free_for_any()) return false;

  group_scheduled_ = true;
  budget_ = left;
  grow_group_until(group_.clock() + 1, false);
  const auto schedule_those = [&](bool prompts, bool decodes) {
    for (const SeqIndex seq : individuals_) {
      const Tokens n = (is_prompt(seq) ? prompts : decodes) ? share(seq) : Tokens{0};
      if (n == Tokens{0}) continue;
      KVCAST_CHECK(allocator_.grow(at(seq).table, growth(seq, n, Tokens{0})));
      schedule(seq, n, false, Tokens{0});
    }
  };
  schedule_those(!rules_.decodes_first, true);
  if (rules_.decodes_first) schedule_those(true, false);
  return true;
}

/// What a sequence gets of the budget that is left.
Tokens Batch::share(SeqIndex seq) const {
  const Tokens all = wanted(seq, rules_.cap);
  if (all <= budget_) return all;
  return budget_ - Tokens{budget_.value % rules_.chunk_unit.value};
}

bool Batch::schedule_walking() {
  walk(!rules_.decodes_first, true);
  if (rules_.decodes_first) walk(true, false);
  return preempted_.empty();
}

void Batch::walk(bool prompts, bool decodes) {
  SeqIndex seq = first_;
  while (seq != kNoSeq && budget_ > Tokens{0}) {
    const std::uint64_t admitted_no = sequence(seq).admitted_no;
    const Tokens n = (is_prompt(seq) ? prompts : decodes) ? share(seq) : Tokens{0};
    bool skip_next = false;
    if (n > Tokens{0}) {
      if (!grow_or_preempt(seq, n, skip_next)) {
        if (!rules_.decodes_first) break;
        seq = first_behind(admitted_no);
        continue;
      }
      schedule(seq, n, false, Tokens{0});
    }
    seq = next_running(seq);
    if (skip_next && seq != kNoSeq) seq = next_running(seq);
  }
}

SeqIndex Batch::first_behind(std::uint64_t admitted_no) const {
  SeqIndex seq = first_;
  while (seq != kNoSeq && sequence(seq).admitted_no < admitted_no) seq = next_running(seq);
  return seq;
}

bool Batch::lacks_spare(SeqIndex seq) const {
  return !is_prompt(seq) && allocator_.free() < rules_.spare * rows(seq);
}

bool Batch::grow_or_preempt(SeqIndex seq, Tokens n, bool& skip_next) {
  while (lacks_spare(seq) || !allocator_.grow(at(seq).table, growth(seq, n, lookahead()))) {
    SeqIndex victim = order_.victim(*this);
    // Another replica waits for what it holds, and its last token is under way.
    if (link(victim).last_step && sequence(victim).keeps_kv) victim = seq;
    // Alone and still short of blocks: the pool cannot hold it. An engine that admits it again repeats this
    // for ever.
    if (running_ == 1 && !lacks_spare(seq)) at(seq).exceeds_pool = true;
    const bool in_front = sequence(victim).admitted_no < sequence(seq).admitted_no;
    const bool planned =
        std::any_of(chunks_.begin(), chunks_.end(), [&](const Chunk& c) { return c.seq == victim; });
    if (options_.skips_after_early_victim && in_front && !planned) skip_next = true;
    preempt(victim);
    if (victim == seq) return false;
  }
  return true;
}

void Batch::preempt(SeqIndex seq) {
  Sequence& s = at(seq);
  KVCAST_CHECK(!link(seq).in_group);
  const auto planned =
      std::find_if(chunks_.begin(), chunks_.end(), [&](const Chunk& c) { return c.seq == seq; });
  if (planned != chunks_.end()) {
    budget_ += planned->n * rows(seq);
    chunks_.erase(planned);
  }
  ++s.preemptions;
  unlink(seq);
  std::erase(individuals_, seq);
  std::erase(last_steps_, seq);
  if (s.forked || (options_.swap && swaps(s))) return swap_out(seq);
  allocator_.suspend(s.table);
  if (options_.loader != nullptr) options_.loader->forget(static_cast<std::uint32_t>(seq));
  preempted_.push_back({seq, s.computed, false});
  s.computed = Tokens{0};
  if (!options_.keeps_drafts_on_preemption) s.drafts = Tokens{0};
  order_.push_preempted(s, seq);
}

/// Blocks that hold the sequence's KV.
Blocks Batch::blocks_of(const Sequence& s) const {
  if (s.forked) return Blocks{forking().branches(s.table).blocks()};
  return allocator_.held(s.table, s.computed);
}

/// With a choice: what is compared is what the choice costs the engine, which waits for both copies, or
/// computes the tokens that it had computed in a step of their own.
bool Batch::swaps(const Sequence& s) const {
  if (!options_.swap->where_cheaper) return true;
  KVCAST_CHECK(options_.timer != nullptr);
  const Blocks blocks = blocks_of(s);
  if (blocks > swap_free_) return false;
  const FineDuration copies = options_.swap->block_time * (2 * blocks.value);
  return copies < options_.timer->step(chunk_shape(0, s.computed.value)).time;
}

/// \throws InputError where host memory lacks room, as the engine stops with an error then
void Batch::swap_out(SeqIndex seq) {
  Sequence& s = at(seq);
  KVCAST_CHECK(!options_.asynchronous && s.known - s.computed == Tokens{1});
  const Blocks blocks = blocks_of(s);
  if (blocks > swap_free_) {
    throw InputError(
        "engine.swap_space_gib: " + std::to_string(options_.host()->blocks.value) +
            " blocks of host memory are not enough for the sequences that give way; an engine stops with an "
            "error here: give it more, or preempt by recompute",
        ExitCode::infeasible);
  }
  swap_free_ -= blocks;
  moved_ += blocks;
  s.forked ? allocator_.suspend(s.table) : allocator_.release(s.table);
  preempted_.push_back({seq, Tokens{0}, true});
  swapped_.push_back(seq);
}

void Batch::swap_in_front() {
  const SeqIndex seq = swapped_.front();
  const Blocks blocks = blocks_of(sequence(seq));
  KVCAST_CHECK(budget_ > Tokens{0} && allocator_.grow(at(seq).table, growth(seq, Tokens{1}, Tokens{0})));
  swapped_.pop_front();
  swap_free_ += blocks;
  moved_ += blocks;
  at(seq).admitted_no = next_admitted_no_++;
  link_last(seq);
  individuals_.push_back(seq);
  schedule(seq, Tokens{1}, false, Tokens{0});
}

Tokens Batch::lookup_front() {
  Sequence& head = at(order_.front());
  head.computed = allocator_.lookup(head.table, head.known);
  if (options_.loader != nullptr)
    head.computed = options_.loader->usable(static_cast<std::uint32_t>(order_.front()), head.computed);
  return head.computed;
}

bool Batch::load_front() {
  if (options_.loader == nullptr) return false;
  const SeqIndex seq = order_.front();
  Sequence& head = at(seq);
  const Tokens found = allocator_.lookup(head.table, head.known);
  if (!options_.loader->begins(static_cast<std::uint32_t>(seq), allocator_, head.table, found, head.known))
    return false;
  order_.pop();
  ++loading_;
  return true;
}

void Batch::loaded(SeqIndex seq) {
  KVCAST_CHECK(loading_ > 0);
  --loading_;
  order_.push_preempted(sequence(seq), seq);
}

bool Batch::admit_front(Tokens n, Tokens drafts, Tokens ahead) {
  const SeqIndex seq = order_.front();
  if (sequence(seq).exceeds_pool) return false;
  if (options_.pipelined && sequence(seq).pending > Tokens{0})
    return false;  // it gave way with a token in it
  if (!allocator_.grow(at(seq).table, growth(seq, n + drafts, ahead))) return false;
  enter(seq, n, drafts);
  return true;
}

bool Batch::admit_front_reserved(Tokens n) {
  const SeqIndex seq = order_.front();
  Growth whole = growth(seq, n, Tokens{0});
  whole.slots = sequence(seq).table.limit;
  if (!allocator_.grow(at(seq).table, whole)) return false;
  enter(seq, n, Tokens{0});
  return true;
}

void Batch::enter(SeqIndex seq, Tokens n, Tokens drafts) {
  KVCAST_CHECK(n > Tokens{0} && n + drafts <= budget_);
  order_.pop();
  order_.admitted(sequence(seq));
  if (options_.loader != nullptr) options_.loader->admitted(static_cast<std::uint32_t>(seq));
  at(seq).admitted_no = next_admitted_no_++;
  link_last(seq);
  individuals_.push_back(seq);
  schedule(seq, n, true, drafts);
}

void Batch::schedule(SeqIndex seq, Tokens n, bool admitted, Tokens padding_drafts) {
  const Sequence& s = sequence(seq);
  n += padding_drafts;
  const Tokens drafts = std::max(Tokens{0}, s.computed + n - s.known);
  chunks_.push_back({seq, s.id, n, s.computed, drafts, admitted});
  budget_ -= n * rows(seq);
}

void Batch::pass_over_front() {
  passed_over_.push_back(order_.front());
  order_.pop();
}

void Batch::restore_passed_over() {
  for (const SeqIndex seq : passed_over_) order_.push_preempted(sequence(seq), seq);
  passed_over_.clear();
}

/// The drafter proposes behind the step's output.
void Batch::add_drafting(const Sequence& s, StepShape& shape) const {
  const std::int64_t drafts = drafts_asked(s).value;
  if (drafts == 0) return;
  ++shape.draft_seqs;
  shape.draft_tokens += drafts;
}

/// One query more for each draft, over one context.
void Batch::add_verification(const Chunk& chunk, StepShape& shape) const {
  const std::int64_t held = chunk.computed.value;
  const std::int64_t drafts = chunk.drafts.value;
  const bool everywhere = options_.reach.everywhere;
  const std::int64_t known = held + drafts + 1;
  ++shape.decode_seqs;
  shape.decode_context += everywhere ? attended(chunk.seq, known) : known;
  if (options_.reach.on() && !everywhere) shape.decode_reach += attended(chunk.seq, known);
  shape.verify_tokens += drafts;
  shape.verify_pairs +=
      everywhere ? drafts * attended(chunk.seq, known) : drafts * held + drafts * (drafts + 1) / 2;
}

StepShape Batch::step_shape() const {
  StepShape shape = padding_;
  if (group_scheduled_) {
    shape.tokens += group_.size();
    shape.sampled += group_.size();
    shape.decode_seqs += group_.size();
    shape.decode_context += options_.reach.everywhere ? group_.attended() : group_.context();
    if (!options_.reach.everywhere) shape.decode_reach += group_.attended();
  }
  for (const Chunk& chunk : chunks_) {
    const std::int64_t n = chunk.n.value;
    const std::int64_t held = chunk.computed.value;
    const std::int64_t branches = rows(chunk.seq);
    shape.tokens += n * branches;
    if (held + n >= sequence(chunk.seq).known.value) {
      shape.sampled += branches + chunk.drafts.value;
      if (options_.speculation != nullptr) add_drafting(sequence(chunk.seq), shape);
    }
    if (chunk.drafts > Tokens{0} && n == chunk.drafts.value + 1 && held > 0) {
      add_verification(chunk, shape);
    } else if (n == 1 && held > 0) {
      shape.decode_seqs += branches;
      const bool everywhere = options_.reach.everywhere;
      shape.decode_context += branches * (everywhere ? attended(chunk.seq, held + 1) : held + 1);
      if (options_.reach.on() && !everywhere) shape.decode_reach += branches * attended(chunk.seq, held + 1);
    } else {
      ++shape.prefill_seqs;
      shape.prefill_context += options_.reach.keys(held, n);
      shape.prefill_pairs += options_.reach.pairs(held, n);
      if (options_.reach.counts_prompts_apart()) {
        shape.prefill_reach += options_.reach.chunk_keys(held, n);
        shape.prefill_reach_pairs += options_.reach.chunk_pairs(held, n);
      }
    }
  }
  return shape;
}

}  // namespace kvcast
