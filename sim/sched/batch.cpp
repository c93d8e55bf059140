#include "sim/sched/batch.h"

#include <algorithm>

namespace kvcast {

Batch::Batch(BlockAllocator& allocator, QueueOrder& order, BatchOptions options)
    : allocator_(allocator), order_(order), options_(options), group_(allocator.block_size()) {}

SeqIndex Batch::add(const Sequence& sequence, Tokens end) {
  KVCAST_CHECK(end > sequence.known);
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<SeqIndex>(sequences_.size()));
    sequences_.emplace_back();
    links_.emplace_back();
  }
  const SeqIndex seq = free_slots_.back();
  free_slots_.pop_back();
  sequences_[to_index(seq)] = sequence;
  Link fresh;
  fresh.end = end;
  fresh.used = true;
  links_[to_index(seq)] = fresh;
  order_.push(sequence, seq);
  return seq;
}

Tokens Batch::known(SeqIndex seq) const {
  const Link& link = links_[to_index(seq)];
  const Tokens known = sequences_[to_index(seq)].known;
  return link.in_group ? known + Tokens{group_.clock() - link.joined_at} : known;
}

std::int64_t Batch::running_context() const {
  std::int64_t sum = group_.context();
  for (const SeqIndex seq : individuals_) sum += sequence(seq).known.value;
  return sum;
}

std::int64_t Batch::tokens_resident() const {
  std::int64_t sum = 0;
  for (const SeqIndex seq : individuals_) sum += sequence(seq).computed.value;
  for (const Chunk& chunk : chunks_) sum += chunk.n.value;
  sum += group_scheduled_ ? group_.context() : group_.context() - group_.size();
  return options_.keeps_kv ? sum : 0;
}

void Batch::begin_step(Tokens budget) {
  budget_ = budget;
  group_scheduled_ = false;
  chunks_.clear();
  preempted_.clear();
  dissolved_.clear();
  padding_ = {};
  emissions_.clear();
  ended_.clear();
}

bool Batch::schedule_running(Tokens cap) {
  if (group_.size() > 0) {
    if (schedule_grouped(cap)) return true;
    dissolve_group();
  }
  return schedule_walking(cap);
}

/// The group's decodes and the individuals' chunks at once, where that gives each what the walk would: the budget covers all wants (or binds only
/// the last in order), and the free blocks cover all needs.
bool Batch::schedule_grouped(Tokens cap) {
  const Tokens left = budget_ - Tokens{group_.size()};
  if (left < Tokens{0}) return false;
  Tokens wanted;
  for (const SeqIndex seq : individuals_) {
    wanted += std::min(sequence(seq).known - sequence(seq).computed, cap);
  }
  const bool binds_last_only = individuals_.size() == 1 && individuals_.front() == last_;
  if (wanted > left && !binds_last_only) return false;
  const Blocks group_blocks = group_.blocks_taken(0, 1);
  Blocks needed = group_blocks;
  for (const SeqIndex seq : individuals_) {
    const Sequence& s = sequence(seq);
    needed += allocator_.needed(s.table, s.computed + std::min({s.known - s.computed, cap, left}));
  }
  if (needed > allocator_.free()) return false;

  allocator_.take(group_blocks);
  group_scheduled_ = true;
  budget_ = left;
  for (const SeqIndex seq : individuals_) {
    Sequence& s = sequences_[to_index(seq)];
    const Tokens n = std::min({s.known - s.computed, cap, budget_});
    if (n == Tokens{0}) continue;
    KVCAST_CHECK(allocator_.grow(s.table, s.computed + n));
    schedule(seq, n, false);
  }
  return true;
}

bool Batch::schedule_walking(Tokens cap) {
  SeqIndex seq = first_;
  while (seq != kNoSeq && budget_ > Tokens{0}) {
    const Sequence& s = sequence(seq);
    const Tokens n = std::min({s.known - s.computed, cap, budget_});
    if (n > Tokens{0}) {
      if (!grow_or_preempt(seq, s.computed + n)) break;
      schedule(seq, n, false);
    }
    seq = next_running(seq);
  }
  return preempted_.empty();
}

bool Batch::grow_or_preempt(SeqIndex seq, Tokens tokens) {
  while (!allocator_.grow(sequences_[to_index(seq)].table, tokens)) {
    const SeqIndex victim = order_.victim(*this);
    // Alone and still short of blocks: the pool cannot hold it. An engine that admits it again repeats this for ever.
    if (running_ == 1) sequences_[to_index(seq)].exceeds_pool = true;
    preempt(victim);
    if (victim == seq) return false;
  }
  return true;
}

void Batch::preempt(SeqIndex seq) {
  Sequence& s = sequences_[to_index(seq)];
  KVCAST_CHECK(!links_[to_index(seq)].in_group);
  allocator_.release(s.table);
  preempted_.push_back({seq, s.computed});
  s.computed = Tokens{0};
  ++s.preemptions;
  const auto planned = std::find_if(chunks_.begin(), chunks_.end(), [&](const Chunk& c) { return c.seq == seq; });
  if (planned != chunks_.end()) {
    budget_ += planned->n;
    chunks_.erase(planned);
  }
  unlink(seq);
  individuals_.erase(std::find(individuals_.begin(), individuals_.end(), seq));
  order_.push_preempted(s, seq);
}

bool Batch::admit_front(Tokens n) {
  const SeqIndex seq = order_.front();
  Sequence& s = sequences_[to_index(seq)];
  if (s.exceeds_pool || !allocator_.grow(s.table, s.computed + n)) return false;
  enter(seq, n);
  return true;
}

bool Batch::admit_front_reserved(Tokens n) {
  const SeqIndex seq = order_.front();
  Sequence& s = sequences_[to_index(seq)];
  if (!allocator_.grow(s.table, s.table.limit)) return false;
  enter(seq, n);
  return true;
}

void Batch::enter(SeqIndex seq, Tokens n) {
  KVCAST_CHECK(n > Tokens{0} && n <= budget_);
  order_.pop();
  sequences_[to_index(seq)].admitted_no = next_admitted_no_++;
  link_last(seq);
  individuals_.push_back(seq);
  schedule(seq, n, true);
}

void Batch::schedule(SeqIndex seq, Tokens n, bool admitted) {
  chunks_.push_back({seq, n, sequence(seq).computed, admitted});
  budget_ -= n;
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
    if (held + n == sequence(chunk.seq).known.value) ++shape.sampled;
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

void Batch::apply_step(std::int64_t steps) {
  endings_.clear();
  if (group_scheduled_) {
    if (steps > 1) allocator_.take(group_.blocks_taken(1, steps - 1));
    group_.advance(steps, endings_);
    for (const DecodeGroup::Ending& ending : endings_) {
      Sequence& s = sequences_[to_index(ending.seq)];
      s.known = Tokens{ending.known};
      s.computed = Tokens{ending.known - 1};
      if (ending.phase >= 0) s.table.blocks = Blocks{ceil_div(ending.known - 1, allocator_.block_size().value)};
      links_[to_index(ending.seq)].in_group = false;
      ended_.push_back({ending.seq, ending.admitted_no});
    }
  }
  if (chunks_.empty()) return;
  for (const Chunk& chunk : chunks_) emit(chunk);
  std::erase_if(individuals_, [&](SeqIndex seq) {
    return links_[to_index(seq)].in_group || sequence(seq).known == links_[to_index(seq)].end;
  });
  std::sort(ended_.begin(), ended_.end(), [](const Ended& a, const Ended& b) { return a.admitted_no < b.admitted_no; });
}

void Batch::emit(const Chunk& chunk) {
  Sequence& s = sequences_[to_index(chunk.seq)];
  const bool complete = chunk.computed + chunk.n == s.known;
  s.computed = options_.keeps_kv ? chunk.computed + chunk.n : Tokens{0};
  if (!complete) return;
  s.known += Tokens{1};
  const bool ended = s.known == links_[to_index(chunk.seq)].end;
  emissions_.push_back({chunk.seq, ended});
  if (ended) {
    ended_.push_back({chunk.seq, s.admitted_no});
  } else if (options_.decode_group) {
    join_group(chunk.seq);
  }
}

void Batch::join_group(SeqIndex seq) {
  const Sequence& s = sequence(seq);
  Link& link = links_[to_index(seq)];
  KVCAST_CHECK(s.known - s.computed == Tokens{1});
  link.in_group = true;
  link.joined_at = group_.clock();
  link.grows = allocator_.grows_by_blocks() && allocator_.needed(s.table, s.table.limit) > Blocks{0};
  group_.join({seq, s.admitted_no, s.known, link.end - s.known, link.grows});
}

/// Members become individuals again, with their true counts.
void Batch::dissolve_group() {
  for (SeqIndex seq = first_; seq != kNoSeq; seq = next_running(seq)) {
    Link& link = links_[to_index(seq)];
    if (!link.in_group) continue;
    Sequence& s = sequences_[to_index(seq)];
    s.known = known(seq);
    s.computed = s.known - Tokens{1};
    if (link.grows) s.table.blocks = Blocks{ceil_div(s.computed.value, allocator_.block_size().value)};
    dissolved_.push_back({seq, group_.clock() > link.joined_at});
    link.in_group = false;
  }
  group_.clear();
  individuals_.clear();
  for (SeqIndex seq = first_; seq != kNoSeq; seq = next_running(seq)) individuals_.push_back(seq);
}

void Batch::release_ended() {
  for (const Ended& end : ended_) {
    Sequence& s = sequences_[to_index(end.seq)];
    unlink(end.seq);
    if (options_.holds_finished) {
      held_.push_back(s.table);
    } else {
      allocator_.release(s.table);
    }
    links_[to_index(end.seq)].used = false;
    free_slots_.push_back(end.seq);
  }
  ended_.clear();
  if (running_ > 0) return;
  for (BlockTable& table : held_) allocator_.release(table);
  held_.clear();
}

void Batch::link_last(SeqIndex seq) {
  Link& link = links_[to_index(seq)];
  link.previous = last_;
  link.next = kNoSeq;
  (last_ == kNoSeq ? first_ : links_[to_index(last_)].next) = seq;
  last_ = seq;
  ++running_;
}

void Batch::unlink(SeqIndex seq) {
  Link& link = links_[to_index(seq)];
  (link.previous == kNoSeq ? first_ : links_[to_index(link.previous)].next) = link.next;
  (link.next == kNoSeq ? last_ : links_[to_index(link.next)].previous) = link.previous;
  link.previous = kNoSeq;
  link.next = kNoSeq;
  --running_;
}

}  // namespace kvcast
