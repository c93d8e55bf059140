#include "sim/kv/tiers.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvcast {

bool shares_a_store(const TiersSpec& spec) {
  return std::any_of(spec.tiers.begin(), spec.tiers.end(), [](const TierSpec& tier) { return tier.shared; });
}

SharedTiers::SharedTiers(const TiersSpec& spec) {
  for (const TierSpec& tier : spec.tiers) {
    stores.push_back(tier.shared ? std::make_shared<TierStore>(tier.capacity, tier.eviction, tier.lifetime)
                                 : nullptr);
  }
}

Tiers::Tier::Tier(const TierSpec& tier_spec)
    : spec(&tier_spec), read(tier_spec.read), write(tier_spec.write) {}

bool Tiers::Tier::works(FineTime now) const {
  return failures_past == 0 || now >= spec->failures[failures_past - 1].until;
}

FineTime Tiers::Tier::next_failure() const {
  return failures_past < spec->failures.size() ? spec->failures[failures_past].from : kFineNever;
}

Tiers::Tiers(const TiersSpec& spec, SharedTiers& shared, Recompute recompute)
    : spec_(spec), shared_(shared), recompute_(std::move(recompute)) {
  KVCAST_CHECK(spec.block_tokens > 0 && spec.block_bytes > 0);
  for (std::size_t i = 0; i < spec.tiers.size(); ++i) {
    const TierSpec& tier = spec.tiers[i];
    tiers_.emplace_back(tier);
    tiers_.back().store = tier.shared
                              ? shared.stores[i]
                              : std::make_shared<TierStore>(tier.capacity, tier.eviction, tier.lifetime);
    next_ = std::min(next_, tiers_.back().next_failure());
  }
  // Without a store in common, replicas may run on threads of their own and know nothing of each other.
  if (shares_a_store(spec)) shared.replicas.push_back(this);
}

Tiers::State& Tiers::state(std::uint32_t seq) {
  if (seq >= states_.size()) states_.resize(seq + 1);
  return states_[seq];
}

// ---- Time

FineTime Tiers::next_of_all() {
  FineTime next = kFineNever;
  for (Tier& tier : tiers_) {
    next = std::min({next, tier.read.next(), tier.next_failure()});
    if (!tier.spec->one_way) next = std::min(next, tier.write.next());
  }
  return next;
}

void Tiers::set_time(FineTime now) {
  set_time_of_all(now);
  advance(now);
}

void Tiers::advance(FineTime now) {
  KVCAST_CHECK(now >= now_);
  while (next_ <= now) {
    now_ = next_;
    step_to(next_);
    next_ = next_of_all();
  }
  now_ = now;
}

/// Those with a store in common: everything in order of time, of replicas at equal times.
void Tiers::set_time_of_all(FineTime now) {
  for (;;) {
    const auto first = std::min_element(shared_.replicas.begin(), shared_.replicas.end(),
                                        [](const Tiers* a, const Tiers* b) { return a->next_ < b->next_; });
    if (first == shared_.replicas.end() || (*first)->next_ > now) return;
    (*first)->advance((*first)->next_);
  }
}

/// What arrives at a moment, and then who fails.
void Tiers::step_to(FineTime at) {
  for (Tier& tier : tiers_) {
    for (const Link::Arrival& arrival : tier.read.advance(at)) {
      if (!read_arrived(tier, arrival.flow)) written(tier, arrival.flow);
    }
    if (tier.spec->one_way) continue;
    for (const Link::Arrival& arrival : tier.write.advance(at)) written(tier, arrival.flow);
  }
  for (Tier& tier : tiers_) {
    if (tier.next_failure() > at) continue;
    ++tier.failures_past;
    fail(tier, at);
  }
}

FineTime Tiers::next_event() {
  if (!ended_.empty()) return now_;
  if (waiting_ == 0) return kFineNever;
  FineTime next = kFineNever;
  for (Tier& tier : tiers_) {
    if (!tier.reads.empty()) next = std::min({next, tier.read.next(), tier.next_failure()});
  }
  return next;
}

std::vector<std::uint32_t> Tiers::take_ended() { return std::exchange(ended_, {}); }

/// False where the flow is none of the reads: a link that carries both ways.
bool Tiers::read_arrived(Tier& tier, Link::Flow flow) {
  const auto read =
      std::find_if(tier.reads.begin(), tier.reads.end(), [&](const Read& r) { return r.flow == flow; });
  if (read == tier.reads.end()) return false;
  const std::uint32_t seq = read->seq;
  ++tier.totals.loads;
  tier.totals.blocks_read += read->blocks;
  tier.reads.erase(read);
  if (--state(seq).parts == 0) stop_waiting(seq);
  return true;
}

void Tiers::stop_waiting(std::uint32_t seq) {
  State& s = state(seq);
  if (!s.waits) return;
  s.waits = false;
  --waiting_;
  ended_.push_back(seq);
}

void Tiers::written(Tier& tier, Link::Flow flow) {
  const auto at =
      std::find_if(tier.writes.begin(), tier.writes.end(), [&](const Write& w) { return w.flow == flow; });
  KVCAST_CHECK(at != tier.writes.end());
  const std::vector<TierStore::Sent> blocks = std::move(at->blocks);
  tier.writes.erase(at);
  store(static_cast<std::size_t>(&tier - tiers_.data()), blocks);
}

/// All that the tier holds is lost, and what is on its link.
void Tiers::fail(Tier& tier, FineTime at) {
  tier.totals.blocks_lost += tier.store->clear(at);
  for (const Write& lost : tier.writes) KVCAST_CHECK(tier.down().cancel(at, lost.flow));
  tier.writes.clear();
  while (!tier.reads.empty()) abort(tier.reads.front().seq, at);
}

/// A sequence's load ends with nothing: those parts too that other tiers still send.
void Tiers::abort(std::uint32_t seq, FineTime at) {
  for (Tier& tier : tiers_) {
    std::erase_if(tier.reads, [&](const Read& read) {
      if (read.seq != seq) return false;
      KVCAST_CHECK(tier.read.cancel(at, read.flow));
      ++tier.totals.loads_lost;
      return true;
    });
  }
  State& s = state(seq);
  drop_load(s);
  s.parts = 0;
  stop_waiting(seq);
}

// ---- Down

void Tiers::evicted(std::uint64_t key) {
  if (spec_.writes == TierWrites::back) evicted_.push_back(key);
  if (spec_.writes == TierWrites::on_hit && uses_.find(key) != kNullBlock) uses_.set(key, kNullBlock);
}

void Tiers::flush_released() {
  if (!released_.empty()) flush();
}

void Tiers::flush() {
  if (spec_.writes == TierWrites::back) {
    released_.clear();
    if (!evicted_.empty()) write(0, evicted_);
    evicted_.clear();
    return set_time(now_);
  }
  if (spec_.writes == TierWrites::on_hit) {
    std::erase_if(released_, [&](BlockKey key) {
      const BlockId uses = uses_.find(key) + 1;
      uses_.set(key, uses);
      return static_cast<std::int64_t>(uses) < spec_.uses_before_write;
    });
  }
  for (std::size_t i = 0; i < tiers_.size(); ++i) write(i, released_);
  released_.clear();
  set_time(now_);
}

/// Sends the blocks that a tier lacks, in one transfer.
void Tiers::write(std::size_t i, std::span<const BlockKey> keys) {
  Tier& tier = tiers_[i];
  if (!tier.works(now_) || tier.spec->write.bytes_per_s <= 0) return;
  const bool touches = spec_.writes != TierWrites::back;
  std::vector<TierStore::Sent> blocks = tier.store->send(keys, now_, touches);
  if (blocks.empty()) return;
  Link& link = tier.down();
  auto bytes = static_cast<std::int64_t>(blocks.size()) * spec_.block_bytes;
  if (tier.spec->one_way)
    bytes = std::llround(static_cast<double>(bytes) *
                         (tier.spec->read.bytes_per_s / tier.spec->write.bytes_per_s));
  tier.writes.push_back({link.start(now_, bytes), std::move(blocks)});
  next_ = std::min(next_, link.next());
}

void Tiers::store(std::size_t i, std::span<const TierStore::Sent> blocks) {
  Tier& tier = tiers_[i];
  const bool goes_on = spec_.writes == TierWrites::back && i + 1 < tiers_.size();
  std::vector<BlockKey> gone;
  tier.totals.blocks_evicted += tier.store->insert(blocks, now_, goes_on ? &gone : nullptr);
  tier.totals.blocks_written += static_cast<std::int64_t>(blocks.size());
  if (!gone.empty()) write(i + 1, gone);
}

// ---- Up

bool Tiers::begins(std::uint32_t seq, BlockAllocator& allocator, BlockTable& table, Tokens found,
                   Tokens known) {
  State& s = state(seq);
  if (s.asked) return false;
  s.asked = true;
  set_time(now_);
  // What was sent for on arrival is of no use where the pool has all of it by now, or has lost what it builds
  // on.
  const bool has_load = s.loaded > 0 && s.base <= found.value && found.value < s.base + s.loaded;
  if (!has_load) {
    if (s.loaded > 0) abort(seq, now_);
    start_load(seq, allocator, table, found, known);
  }
  if (spec_.by_layers || s.parts == 0) return false;
  s.waits = true;
  s.began = now_;
  ++waiting_;
  return true;
}

void Tiers::arrives(std::uint32_t seq, BlockAllocator& allocator, BlockTable& table, Tokens found,
                    Tokens known) {
  start_load(seq, allocator, table, found, known);
}

/// Of what follows the tokens found in the pool, sends for what the tiers have.
void Tiers::start_load(std::uint32_t seq, BlockAllocator& allocator, BlockTable& table, Tokens found,
                       Tokens known) {
  if (allocator.content_key(table, 0) == 0) return;
  set_time(now_);
  flush();
  const std::int64_t first = found.value / spec_.block_tokens;
  std::vector<Segment> load = segments(allocator, table, first, (known.value - 1) / spec_.block_tokens);
  drop_what_is_too_slow(load, found.value);
  if (load.empty()) return;
  State& s = state(seq);
  s.base = found.value;
  s.by = spec_.by_layers ? arrival_of(load) : -1;
  std::int64_t blocks = 0;
  for (const Segment& part : load) {
    Tier& tier = tiers_[part.tier];
    for (std::int64_t i = 0; i < part.blocks; ++i)
      tier.store->touch(allocator.content_key(table, first + blocks + i));
    blocks += part.blocks;
    tier.reads.push_back({tier.read.start(now_, part.blocks * spec_.block_bytes), seq, part.blocks});
    ++tier.totals.loads_begun;
    ++s.parts;
    next_ = std::min(next_, tier.read.next());
  }
  s.loaded = blocks * spec_.block_tokens;
  ++with_load_;
  set_time(now_);
}

/// Which tier each of the blocks is read from, as far as they are all somewhere.
std::vector<Tiers::Segment> Tiers::segments(BlockAllocator& allocator, BlockTable& table, std::int64_t first,
                                            std::int64_t end) {
  std::vector<Segment> load;
  std::int64_t found = 0;
  for (std::int64_t i = first; i < end; ++i, ++found) {
    const BlockKey key = allocator.content_key(table, i);
    std::size_t at = 0;
    while (at < tiers_.size() && !(tiers_[at].works(now_) && tiers_[at].store->holds(key, now_))) ++at;
    if (at == tiers_.size()) break;
    if (load.empty() || load.back().tier != at) load.push_back({at, 0});
    ++load.back().blocks;
  }
  auto left = static_cast<std::int64_t>(spec_.cache_ratio * static_cast<double>(found));
  for (Segment& part : load) {
    part.blocks = std::min(part.blocks, left);
    left -= part.blocks;
  }
  std::erase_if(load, [](const Segment& part) { return part.blocks == 0; });
  return load;
}

FineTime Tiers::arrival_of(const std::vector<Segment>& load) {
  FineTime at = now_;
  for (std::size_t i = 0; i < tiers_.size(); ++i) {
    std::int64_t blocks = 0;
    for (const Segment& part : load) blocks += part.tier == i ? part.blocks : 0;
    if (blocks > 0) at = std::max(at, tiers_[i].read.estimate(now_, blocks * spec_.block_bytes));
  }
  return at;
}

/// Leaves the longest part of the load, from the front, that is there sooner than it would be computed.
void Tiers::drop_what_is_too_slow(std::vector<Segment>& load, std::int64_t found) {
  while (!load.empty()) {
    std::int64_t blocks = 0;
    for (const Segment& part : load) blocks += part.blocks;
    const FineTime at = arrival_of(load);
    const FineTime computing = recompute_(found, blocks * spec_.block_tokens);
    if (at < kFineNever && (spec_.load_always || at - now_ < computing)) return;
    load.pop_back();
  }
}

Tokens Tiers::usable(std::uint32_t seq, Tokens found) const {
  if (seq >= states_.size()) return found;
  const State& s = states_[seq];
  if (s.loaded == 0 || found.value < s.base) return found;  // what it builds on was evicted meanwhile
  return std::max(found, Tokens{s.base + s.loaded});
}

void Tiers::admitted(std::uint32_t seq) {
  State& s = state(seq);
  if (s.by > now_) loaded_by_ = std::max(loaded_by_, s.by);
  drop_load(s);
}

FineTime Tiers::take_loaded_by() { return std::exchange(loaded_by_, -1); }

void Tiers::forget(std::uint32_t seq) {
  State& s = state(seq);
  drop_load(s);
  s = State{};
}

std::vector<TierTotals> Tiers::totals(bool counts_shared) {
  std::vector<TierTotals> all;
  for (Tier& tier : tiers_) {
    TierTotals t = tier.totals;
    t.name = tier.spec->name;
    t.block_bytes = spec_.block_bytes;
    t.loads_open = static_cast<std::int64_t>(tier.reads.size());
    t.read_busy_fine = tier.read.busy();
    if (!tier.spec->one_way) t.write_busy_fine = tier.write.busy();
    if (counts_shared || !tier.spec->shared) {
      t.blocks_total = tier.store->capacity().value;
      t.blocks_used_max = tier.store->used_max();
      t.blocks_expired = tier.store->expired();
    }
    KVCAST_CHECK(t.loads_begun == t.loads + t.loads_lost + t.loads_open);
    all.push_back(std::move(t));
  }
  return all;
}

}  // namespace kvcast
