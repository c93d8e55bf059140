// The decode group, the launching of planned steps, and their output; planning is in batch.cpp.
#include <algorithm>

#include "sim/sched/batch.h"

namespace kvcast {

// ---- The decode group

std::int64_t Batch::repeatable_steps() const {
  if (!group_scheduled_ || !chunks_.empty()) return 1;
  if (!flights_.empty() && !flights_.back().ended.empty()) return 1;  // its output will free blocks
  std::int64_t steps = std::min(group_.steps_to_first_end(), group_.steps_to_first_turn());
  const bool padded = padding_.decode_seqs > 0 || padding_.decode_context > 0;
  if (options_.reach.on() && padded) return 1;  // padding reaches its bound when no member does
  if (waiting() > 0) {
    if (!allocator_.evicts_ends_first()) return 1;
    steps = std::min(steps, order_.steps_front_stays());
  }
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
    if (!blocks_have_names()) continue;
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
  if (!blocks_have_names()) return;
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
  link(seq).grows = blocks_have_names() || (growing_ == BlockAllocator::Growing::by_blocks &&
                                            allocator_.needed(s.table, s.table.limit) > Blocks{0});
  DecodeGroup::Member member{seq, s.admitted_no, s.known, link(seq).end - s.known, link(seq).grows};
  if (options_.reach.on()) {
    member.dropped = options_.reach.dropped(s.input);
    if (growing_ == BlockAllocator::Growing::by_blocks && member.grows) member.full_at = allocator_.full_at();
  }
  group_.join(member);
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
    if (l.grows && !blocks_have_names()) s.table.blocks = allocator_.held(s.table, s.computed);
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
  order_.produced(s, Tokens{rows(chunk.seq)});
  s.known += Tokens{1} + chunk.drafts;
  s.pending += Tokens{1} + chunk.drafts;
  if (options_.speculation != nullptr) {
    if (options_.asynchronous) s.drafts = drafts_asked(s);
    return true;  // how many tokens come, and whether it ends, the output will tell
  }
  if (s.known == l.end) {
    l.last_step = true;
    last_steps_.push_back(chunk.seq);
    flight.ended.push_back({chunk.seq, s.admitted_no, false});
  } else if (options_.decode_group && s.branches == 1 && s.known >= s.apart_until) {
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
    if (l.grows && !blocks_have_names()) s.table.blocks = allocator_.held(s.table, s.computed);
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
      s.drafts = drafts_asked(s);
    }
    return;
  }
  const Tokens before = s.known - s.pending;
  std::int64_t accepted = 0;
  if (chunk.drafts > Tokens{0}) {
    if (!chunk.admitted) {
      accepted = speculation->accepted(s.id, (before - s.input).value, chunk.drafts.value);
      s.draft_length = speculation->length_after(s.draft_length, chunk.drafts.value, accepted);
      ++speculated_.drafts;
      speculated_.draft_tokens += chunk.drafts.value;
      speculated_.accepted_tokens += accepted;
    }
    flight.drafted.push_back({chunk.id, chunk.drafts.value, accepted});
  }
  emission->delivered = std::min(Tokens{accepted + 1}, l.end - before);
  if (emission->delivered > Tokens{1}) order_.produced(s, emission->delivered - Tokens{1});
  const Tokens rejected = chunk.drafts - Tokens{accepted};
  s.pending -= Tokens{1} + chunk.drafts;
  s.known -= Tokens{1} + chunk.drafts - emission->delivered;
  if (l.is_running) s.computed -= rejected;
  if (options_.asynchronous && l.is_running) allocator_.commit(s.table, s.known - s.pending - Tokens{1});
  if (s.branches > 1 && !l.last_step) branch(chunk.seq);
  if (speculation == nullptr) return;
  if (before + emission->delivered == l.end) {
    flight.ended.push_back({chunk.seq, s.admitted_no, false});
  } else if (!options_.asynchronous) {
    s.drafts = std::min(Tokens{speculation->proposed(s.id, (s.known - s.input).value)}, drafts_asked(s));
  }
}

/// The output of a sequence with several branches is there: behind the prompt they part; beams are chosen
/// anew.
void Batch::branch(SeqIndex seq) {
  Sequence& s = at(seq);
  Link& l = link(seq);
  ForkingBlocks& blocks = *allocator_.forking();
  if (!s.forked) {
    s.forked = true;
    blocks.fork(s.table, s.computed, s.branches);
    if (s.beams)
      l.beams =
          std::make_unique<BeamModel>(options_.forks->seed, s.id, s.branches, options_.forks->beam_fork_rate);
  } else if (s.beams) {
    blocks.reorder(s.table, l.beams->next());
  }
}

void Batch::retire() {
  Flight& flight = flights_.front();
  for (const Ended& end : flight.ended) {
    Sequence& s = at(end.seq);
    if (link(end.seq).is_running) {
      unlink(end.seq);
      if (s.keeps_kv) {
        kept_.push_back({s.id, s.table, s.computed});
        tokens_aside_ += s.computed.value;
      } else {
        held_.push_back(s.table);
      }
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
  further_branches_ += sequence(seq).branches - 1;
}

void Batch::unlink(SeqIndex seq) {
  Link& l = link(seq);
  (l.previous == kNoSeq ? first_ : link(l.previous).next) = l.next;
  (l.next == kNoSeq ? last_ : link(l.next).previous) = l.previous;
  l.previous = kNoSeq;
  l.next = kNoSeq;
  l.is_running = false;
  --running_;
  further_branches_ -= sequence(seq).branches - 1;
}

}  // namespace kvcast
