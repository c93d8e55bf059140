#include "sim/sched/batch.h"

#include <algorithm>

namespace kvcast {
namespace {

Tokens group_period(const BlockAllocator& allocator) {
  return allocator.growing() == BlockAllocator::Growing::by_step ? Tokens{1} : allocator.block_size();
}

bool grows_by_name(const BlockAllocator& allocator) {
  return allocator.growing() == BlockAllocator::Growing::by_name ||
         allocator.growing() == BlockAllocator::Growing::by_step;
}

}  // namespace

Batch::Batch(BlockAllocator& allocator, QueueOrder& order, BatchOptions options)
    : allocator_(allocator),
      order_(order),
      options_(options),
      growing_(allocator.growing()),
      group_(group_period(allocator), grows_by_name(allocator)) {
  if (options_.speculation != nullptr)
    options_.decode_group = false;  // steps of unlike length have no closed form
}

SeqIndex Batch::add(const Sequence& sequence, Tokens end, Content&& content) {
  KVCAST_CHECK(end > sequence.known);
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
  allocator_.open(at(seq).table, std::move(content));
  order_.push(sequence, seq);
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

std::int64_t Batch::tokens_resident() const {
  if (!options_.keeps_kv) return 0;
  std::int64_t sum = group_.context() - group_.size();
  for (const SeqIndex seq : individuals_) sum += sequence(seq).computed.value;
  for (const SeqIndex seq : last_steps_) sum += sequence(seq).computed.value;
  return sum;
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
  if (grows_by_name(allocator_) && !individuals_are_last()) return false;
  Tokens all;
  for (const SeqIndex seq : individuals_) all += wanted(seq, rules_.cap);
  const bool binds_last_only = individuals_.size() == 1 && individuals_.front() == last_;
  if (all > left && !binds_last_only && !rules_.decodes_first) return false;
  const bool by_step = growing_ == BlockAllocator::Growing::by_step;
  Blocks needed = by_step ? allocator_.growth_bound(group_.size(), 1) : group_.blocks_taken(0, 1);
  for (const SeqIndex seq : individuals_) {
    const Sequence& s = sequence(seq);
    needed += allocator_.needed(s.table, s.computed + std::min(wanted(seq, rules_.cap), left));
  }
  if (needed + rules_.spare > allocator_.free()) return false;

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

bool Batch::lacks_spare(SeqIndex seq) const { return !is_prompt(seq) && allocator_.free() < rules_.spare; }

bool Batch::grow_or_preempt(SeqIndex seq, Tokens n, bool& skip_next) {
  while (lacks_spare(seq) || !allocator_.grow(at(seq).table, growth(seq, n, lookahead()))) {
    const SeqIndex victim = order_.victim(*this);
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
  allocator_.suspend(s.table);
  preempted_.push_back({seq, s.computed});
  s.computed = Tokens{0};
  if (!options_.keeps_drafts_on_preemption) s.drafts = Tokens{0};
  ++s.preemptions;
  const auto planned =
      std::find_if(chunks_.begin(), chunks_.end(), [&](const Chunk& c) { return c.seq == seq; });
  if (planned != chunks_.end()) {
    budget_ += planned->n;
    chunks_.erase(planned);
  }
  unlink(seq);
  std::erase(individuals_, seq);
  std::erase(last_steps_, seq);
  order_.push_preempted(s, seq);
}

Tokens Batch::lookup_front() {
  Sequence& head = at(order_.front());
  return head.computed = allocator_.lookup(head.table, head.known);
}

bool Batch::admit_front(Tokens n, Tokens drafts, Tokens ahead) {
  const SeqIndex seq = order_.front();
  if (sequence(seq).exceeds_pool) return false;
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
  budget_ -= n;
}

void Batch::pass_over_front() {
  passed_over_.push_back(order_.front());
  order_.pop();
}

void Batch::restore_passed_over() {
  for (const SeqIndex seq : passed_over_) order_.push_preempted(sequence(seq), seq);
  passed_over_.clear();
}

StepShape Batch::step_shape() const {
  StepShape shape = padding_;
  if (group_scheduled_) {
    shape.tokens += group_.size();
    shape.sampled += group_.size();
    shape.decode_seqs += group_.size();
    shape.decode_context += group_.context();
  }
  for (const Chunk& chunk : chunks_) {
    const std::int64_t n = chunk.n.value;
    const std::int64_t held = chunk.computed.value;
    shape.tokens += n;
    if (held + n >= sequence(chunk.seq).known.value) shape.sampled += 1 + chunk.drafts.value;
    if (n == 1 && held > 0) {
      ++shape.decode_seqs;
      shape.decode_context += held + 1;
    } else {
      ++shape.prefill_seqs;
      shape.prefill_context += held + n;
      shape.prefill_pairs += n * held + n * (n + 1) / 2;
    }
  }
  return shape;
}

// ---- The decode group

std::int64_t Batch::repeatable_steps() const {
  if (!group_scheduled_ || !chunks_.empty()) return 1;
  if (!flights_.empty() && !flights_.back().ended.empty()) return 1;  // its output will free blocks
  std::int64_t steps = group_.steps_to_first_end();
  if (waiting() > 0) steps = std::min(steps, order_.steps_front_stays());
  if (growing_ != BlockAllocator::Growing::by_step) {
    if (steps == 1 || allocator_.free() < rules_.spare) return 1;
    return 1 + group_.steps_covered(1, steps - 1, allocator_.free() - rules_.spare);
  }
  if (waiting() > 0) return 1;  // a window that moves on frees blocks: somebody may get in
  while (steps > 1 && allocator_.growth_bound(group_.size(), steps) + rules_.spare > allocator_.free())
    steps /= 2;
  return steps;
}

void Batch::grow_group_until(std::int64_t clock, bool in_run) {
  if (growing_ == BlockAllocator::Growing::by_blocks) {
    allocator_.take(group_.blocks_taken(grown_until_ - group_.clock(), clock - grown_until_));
    grown_until_ = clock;
    return;
  }
  for (; grown_until_ < clock; ++grown_until_) {
    if (!grows_by_name(allocator_)) continue;
    for (const DecodeGroup::Named& member : group_.named(grown_until_)) grow_member(member.seq, grown_until_);
    if (in_run) used_in_runs_ = std::max(used_in_runs_, blocks_used());
    if (growing_ == BlockAllocator::Growing::by_step || options_.asynchronous) continue;
    for (const DecodeGroup::Named& member : group_.named(grown_until_ + 1))
      grow_member(member.seq, grown_until_);  // these fill a block
  }
}

void Batch::grow_member(SeqIndex seq, std::int64_t clock) {
  Growth growth;
  growth.computed = sequence(seq).known - Tokens{1} + Tokens{clock - link(seq).joined_at};
  growth.slots = growth.computed + Tokens{1};
  growth.shareable = options_.asynchronous ? growth.computed : growth.slots;
  if (options_.windows_wait_for_output && options_.asynchronous) {
    growth.in_flight = clock > link(seq).joined_at ? Tokens{1} : link(seq).in_flight;
  }
  KVCAST_CHECK(allocator_.grow(at(seq).table, growth));
}

/// Asynchronous: a block that a token under way fills becomes findable when that token is there.
void Batch::commit_group_until(std::int64_t clock) {
  if (!grows_by_name(allocator_)) return;
  for (; committed_until_ < clock; ++committed_until_) {
    const bool by_step = growing_ == BlockAllocator::Growing::by_step;
    for (const DecodeGroup::Named& member : group_.named(by_step ? committed_until_ : committed_until_ + 1)) {
      const Tokens held = sequence(member.seq).known + Tokens{committed_until_ - link(member.seq).joined_at};
      allocator_.commit(at(member.seq).table, held);
    }
  }
}

void Batch::join_group(SeqIndex seq) {
  const Sequence& s = sequence(seq);
  KVCAST_CHECK(s.known - s.computed == Tokens{1});
  link(seq).in_group = true;
  order_.decodes(s, 1);
  link(seq).joined_at = group_.clock();
  link(seq).grows = grows_by_name(allocator_) || (growing_ == BlockAllocator::Growing::by_blocks &&
                                                  allocator_.needed(s.table, s.table.limit) > Blocks{0});
  group_.join({seq, s.admitted_no, s.known, link(seq).end - s.known, link(seq).grows});
}

/// Members become individuals again, with their true counts.
void Batch::dissolve_group() {
  const bool in_flight = !flights_.empty() && flights_.back().group_members > 0;
  for (SeqIndex seq = first_; seq != kNoSeq; seq = next_running(seq)) {
    Link& l = link(seq);
    if (!l.in_group) continue;
    Sequence& s = at(seq);
    s.known = known(seq);
    s.computed = s.known - Tokens{1};
    if (l.grows && !grows_by_name(allocator_))
      s.table.blocks = Blocks{ceil_div(s.computed.value, allocator_.block_size().value)};
    const bool stepped = group_.clock() > l.joined_at;
    dissolved_.push_back({seq, in_flight && stepped, stepped});
    if (in_flight && stepped) {
      s.pending += Tokens{1};
      l.in_flight += Tokens{1};
      flights_.back().orphans.push_back(seq);
    }
    l.in_group = false;
    order_.decodes(s, -1);
  }
  if (!flights_.empty()) flights_.back().dissolved = true;
  group_.clear();
  grown_until_ = committed_until_ = group_.clock();
  individuals_.clear();
  for (SeqIndex seq = first_; seq != kNoSeq; seq = next_running(seq)) {
    if (!link(seq).last_step) individuals_.push_back(seq);
  }
}

// ---- Launching

void Batch::launch() {
  if (spare_flights_.empty()) spare_flights_.emplace_back();
  flights_.push_back(std::move(spare_flights_.back()));
  spare_flights_.pop_back();
  Flight& flight = flights_.back();
  flight.group_members = group_scheduled_ ? group_.size() : 0;
  flight.group_ended = 0;
  flight.chunks.assign(chunks_.begin(), chunks_.end());
  flight.emissions.clear();
  flight.ended.clear();
  flight.dissolved = false;
  flight.orphans.clear();
  flight.drafted.clear();
  if (group_scheduled_) {
    advance_group(1, flight);
  }
  flight.clock = group_.clock();
  for (std::size_t i = 0; i < flight.chunks.size(); ++i) {
    if (options_.keeps_kv) at(flight.chunks[i].seq).computed += flight.chunks[i].n;
    if (launch_chunk(flight.chunks[i], flight)) flight.emissions.push_back({i, Tokens{0}});
  }
  if (flight.chunks.empty()) return;
  std::erase_if(individuals_, [&](SeqIndex seq) { return link(seq).in_group || link(seq).last_step; });
  std::sort(flight.ended.begin(), flight.ended.end(),
            [](const Ended& a, const Ended& b) { return a.admitted_no < b.admitted_no; });
}

/// Whether the step makes a token of it.
bool Batch::launch_chunk(const Chunk& chunk, Flight& flight) {
  Sequence& s = at(chunk.seq);
  Link& l = link(chunk.seq);
  l.in_flight += chunk.n;
  s.drafts = Tokens{0};
  s.in_prefill = chunk.computed + chunk.n < s.known;
  if (s.in_prefill) return false;
  order_.produced(s, Tokens{1});
  s.known += Tokens{1} + chunk.drafts;
  s.pending += Tokens{1} + chunk.drafts;
  if (options_.speculation != nullptr) {
    if (options_.asynchronous) s.drafts = Tokens{options_.speculation->tokens_max()};
    return true;  // how many tokens come, and whether it ends, the output will tell
  }
  if (s.known == l.end) {
    l.last_step = true;
    last_steps_.push_back(chunk.seq);
    flight.ended.push_back({chunk.seq, s.admitted_no, false});
  } else if (options_.decode_group) {
    join_group(chunk.seq);
  }
  return true;
}

void Batch::advance_group(std::int64_t steps, Flight& flight) {
  endings_.clear();
  group_.advance(steps, endings_);
  order_.decoded(steps);
  for (const DecodeGroup::Ending& ending : endings_) {
    Sequence& s = at(ending.seq);
    s.known = Tokens{ending.known};
    s.computed = Tokens{ending.known - 1};
    Link& l = link(ending.seq);
    if (l.grows && !grows_by_name(allocator_))
      s.table.blocks = Blocks{ceil_div(s.computed.value, allocator_.block_size().value)};
    s.pending += Tokens{1};
    l.ended_at = group_.clock();
    l.in_group = false;
    order_.decodes(s, -1);
    l.last_step = true;
    last_steps_.push_back(ending.seq);
    flight.ended.push_back({ending.seq, ending.admitted_no, true});
    ++flight.group_ended;
  }
}

void Batch::take_blocks(std::int64_t more) {
  grow_group_until(std::max(grown_until_, group_.clock() + more), true);
}

void Batch::extend(std::int64_t more) {
  if (more == 0) return;
  Flight& flight = flights_.back();
  take_blocks(more);
  if (options_.asynchronous) commit_group_until(group_.clock() + more - 1);
  advance_group(more, flight);
  flight.clock = group_.clock();
}

// ---- Output

Batch::Flight& Batch::settle() {
  Flight& flight = flights_.front();
  settle_group(flight);
  auto emission = flight.emissions.begin();
  for (std::size_t i = 0; i < flight.chunks.size(); ++i) {
    const bool emits = emission != flight.emissions.end() && emission->chunk == i;
    settle_chunk(flight.chunks[i], flight, emits ? &*emission++ : nullptr);
  }
  return flight;
}

void Batch::settle_group(Flight& flight) {
  for (const Ended& ended : flight.ended) {
    if (ended.in_group) at(ended.seq).pending -= Tokens{1};
  }
  if (flight.group_members == 0 || !options_.asynchronous) return;
  commit_group_until(flight.clock);
  for (const SeqIndex seq : flight.orphans) {
    Sequence& s = at(seq);
    s.pending -= Tokens{1};
    link(seq).in_flight -= Tokens{1};
    if (link(seq).is_running) allocator_.commit(s.table, s.known - s.pending - Tokens{1});
  }
  for (const Ended& ended : flight.ended) {
    if (ended.in_group && link(ended.seq).is_running)
      allocator_.commit(at(ended.seq).table, sequence(ended.seq).known - Tokens{1});
  }
}

void Batch::settle_chunk(const Chunk& chunk, Flight& flight, Emission* emission) {
  Sequence& s = at(chunk.seq);
  Link& l = link(chunk.seq);
  if (!l.used || s.id != chunk.id) return;  // it ended with the output before
  l.in_flight -= chunk.n;
  const Speculation* speculation = options_.speculation;
  if (emission == nullptr) {
    if (options_.drafts_in_prefill && speculation != nullptr && speculation->needs_lookahead() &&
        !options_.asynchronous) {
      s.drafts = Tokens{speculation->tokens_max()};
    }
    return;
  }
  const Tokens before = s.known - s.pending;
  std::int64_t accepted = 0;
  if (chunk.drafts > Tokens{0}) {
    if (!chunk.admitted) accepted = speculation->accepted(s.id, (before - s.input).value, chunk.drafts.value);
    flight.drafted.push_back({chunk.id, chunk.drafts.value, accepted});
  }
  emission->delivered = std::min(Tokens{accepted + 1}, l.end - before);
  if (emission->delivered > Tokens{1}) order_.produced(s, emission->delivered - Tokens{1});
  const Tokens rejected = chunk.drafts - Tokens{accepted};
  s.pending -= Tokens{1} + chunk.drafts;
  s.known -= Tokens{1} + chunk.drafts - emission->delivered;
  if (l.is_running) s.computed -= rejected;
  if (options_.asynchronous && l.is_running) allocator_.commit(s.table, s.known - s.pending - Tokens{1});
  if (speculation == nullptr) return;
  if (before + emission->delivered == l.end) {
    flight.ended.push_back({chunk.seq, s.admitted_no, false});
  } else if (!options_.asynchronous) {
    s.drafts = Tokens{speculation->proposed(s.id, (s.known - s.input).value)};
  }
}

void Batch::retire() {
  Flight& flight = flights_.front();
  for (const Ended& end : flight.ended) {
    Sequence& s = at(end.seq);
    if (link(end.seq).is_running) {
      unlink(end.seq);
      held_.push_back(s.table);
    } else {
      order_.remove(end.seq);
      allocator_.close(s.table);
    }
    std::erase(last_steps_, end.seq);
    if (options_.speculation != nullptr) std::erase(individuals_, end.seq);
    link(end.seq).used = false;
    free_slots_.push_back(end.seq);
  }
  spare_flights_.push_back(std::move(flight));
  flights_.pop_front();
  if (options_.holds_finished && running_ > 0) return;
  for (BlockTable& table : held_) {
    allocator_.release(table);
    allocator_.close(table);
  }
  held_.clear();
}

void Batch::link_last(SeqIndex seq) {
  Link& l = link(seq);
  l.previous = last_;
  l.next = kNoSeq;
  l.is_running = true;
  (last_ == kNoSeq ? first_ : link(last_).next) = seq;
  last_ = seq;
  ++running_;
}

void Batch::unlink(SeqIndex seq) {
  Link& l = link(seq);
  (l.previous == kNoSeq ? first_ : link(l.previous).next) = l.next;
  (l.next == kNoSeq ? last_ : link(l.next).previous) = l.previous;
  l.previous = kNoSeq;
  l.next = kNoSeq;
  l.is_running = false;
  --running_;
}

}  // namespace kvcast
