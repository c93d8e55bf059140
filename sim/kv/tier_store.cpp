#include "sim/kv/tier_store.h"

#include <algorithm>
#include <bit>

namespace kvcast {

TierStore::TierStore(Blocks capacity, EvictionMaker eviction, FineTime lifetime)
    : capacity_(capacity), eviction_(eviction), lifetime_(lifetime) {
  KVCAST_CHECK(capacity > Blocks{0} && capacity.value < std::int64_t{1} << 31);
  reset();
}

void TierStore::reset() {
  constexpr std::size_t kBucketsMin = 1024, kBucketsMax = std::size_t{1} << 18;  // to begin with
  entries_.assign(1, {});
  written_.assign(lifetime_ < kFineNever ? 1 : 0, 0);
  free_entry_ = kNone;
  fresh_ = 1;
  residents_.clear();
  free_slots_.clear();
  const auto capacity = static_cast<std::size_t>(capacity_.value);
  resize_buckets(std::clamp(std::bit_ceil(2 * capacity), kBucketsMin, kBucketsMax));
  policy_ = eviction_ == make_lru_eviction ? nullptr : eviction_(capacity);
  used_ = 0;
}

// ---- Keys

void TierStore::resize_buckets(std::size_t buckets) {
  constexpr int kKeyBits = 64;
  buckets_.assign(buckets, kNone);
  key_shift_ = kKeyBits - std::countr_zero(buckets);
  for (EntryId id = 1; id < entries_.size(); ++id) {
    if (entries_[id].key == 0) continue;
    EntryId& first = bucket(entries_[id].key);
    entries_[id].next = first;
    first = id;
  }
}

TierStore::EntryId TierStore::find(BlockKey key) {
  EntryId id = bucket(key);
  while (id != kNone && entries_[id].key != key) id = entries_[id].next;
  return id;
}

/// More entries, and as many buckets.
void TierStore::make_room() {
  constexpr std::size_t kEntries = 256;
  if (entries_.size() + kEntries > buckets_.size()) resize_buckets(2 * buckets_.size());
  entries_.resize(entries_.size() + kEntries);
  if (!written_.empty()) written_.resize(entries_.size());
}

/// A key that is not there.
TierStore::EntryId TierStore::add(BlockKey key) {
  EntryId id = free_entry_;
  if (id != kNone) {
    free_entry_ = entries_[id].next;
  } else {
    if (fresh_ == entries_.size()) [[unlikely]]
      make_room();
    id = fresh_++;
  }
  Entry& entry = entries_[id];
  EntryId& first = bucket(key);
  entry.key = key;
  entry.next = first;
  entry.slot = kOnItsWay;
  first = id;
  return id;
}

void TierStore::remove(EntryId id) {
  Entry* const entries = entries_.data();
  EntryId* at = &bucket(entries[id].key);
  while (*at != id) at = &entries[*at].next;
  *at = entries[id].next;
  entries[id].key = 0;
  entries[id].next = free_entry_;
  free_entry_ = id;
}

void TierStore::use(EntryId id) {
  if (!is_list()) return policy_->hit(entries_[id].slot);
  unlink(id);
  link_newest(id);
}

// ---- Blocks

void TierStore::expire(EntryId id) {
  if (is_list()) {
    unlink(id);
  } else {
    policy_->dropped(entries_[id].slot);
    free_slots_.push_back(entries_[id].slot);
  }
  remove(id);
  --used_;
  ++expired_;
}

bool TierStore::holds(BlockKey key, FineTime now) {
  const EntryId id = find(key);
  if (id == kNone || entries_[id].slot == kOnItsWay) return false;
  if (!has_expired(id, now)) return true;
  expire(id);
  return false;
}

void TierStore::touch(BlockKey key) {
  const EntryId id = find(key);
  if (id != kNone && entries_[id].slot != kOnItsWay) use(id);
}

std::vector<TierStore::Sent> TierStore::send(std::span<const BlockKey> keys, FineTime now, bool touches) {
  std::vector<Sent> sent;
  sent.reserve(keys.size());
  for (const BlockKey key : keys) {
    EntryId& first = bucket(key);
    EntryId id = first;
    while (id != kNone && entries_[id].key != key) id = entries_[id].next;
    if (id == kNone && free_entry_ != kNone) {  // as add() does, in its bucket at once
      id = free_entry_;
      Entry& entry = entries_[id];
      free_entry_ = entry.next;
      entry.key = key;
      entry.next = first;
      entry.slot = kOnItsWay;
      first = id;
      sent.push_back({key, id});
    } else if (id == kNone) {
      sent.push_back({key, add(key)});
    } else if (entries_[id].slot != kOnItsWay) {
      if (has_expired(id, now)) {
        expire(id);
        sent.push_back({key, add(key)});
      } else if (touches) {
        use(id);
      }
    }
  }
  return sent;
}

std::int64_t TierStore::insert(std::span<const Sent> blocks, FineTime now, std::vector<BlockKey>* gone) {
  return is_list() && written_.empty() ? insert_in_list(blocks, gone) : insert_timed(blocks, now, gone);
}

/// Where a block is noted; what was is forgotten when the store fails.
TierStore::EntryId TierStore::noted(const Sent& block) {
  if (block.entry < entries_.size() && entries_[block.entry].key == block.key) return block.entry;
  const EntryId id = find(block.key);
  return id != kNone ? id : add(block.key);
}

std::int64_t TierStore::insert_in_list(std::span<const Sent> blocks, std::vector<BlockKey>* gone) {
  std::int64_t had_to_go = 0;
  std::int64_t used = used_;
  for (const Sent& block : blocks) {
    const EntryId id = noted(block);
    Entry* const entries = entries_.data();
    if (entries[id].slot != kOnItsWay) {
      use(id);
      continue;
    }
    if (used < capacity_.value) {
      ++used;
    } else {
      const EntryId victim = entries[0].newer;
      unlink(victim);
      if (gone != nullptr) gone->push_back(entries[victim].key);
      remove(victim);
      ++had_to_go;
    }
    entries[id].slot = 0;
    link_newest(id);
  }
  used_ = used;
  used_max_ = std::max(used_max_, used);
  return had_to_go;
}

std::int64_t TierStore::insert_timed(std::span<const Sent> blocks, FineTime now,
                                     std::vector<BlockKey>* gone) {
  std::int64_t had_to_go = 0;
  for (const Sent& block : blocks) {
    const EntryId id = noted(block);
    if (!written_.empty()) written_[id] = now;
    if (entries_[id].slot != kOnItsWay) {
      use(id);
      continue;
    }
    if (used_ < capacity_.value) {
      used_max_ = std::max(used_max_, ++used_);
      if (!is_list()) take_slot(id, block.key, free_slot());
    } else {
      const EntryId victim = make_way(block.key, id);
      if (gone != nullptr) gone->push_back(entries_[victim].key);
      remove(victim);
      ++had_to_go;
    }
    if (!is_list()) continue;
    entries_[id].slot = 0;
    link_newest(id);
  }
  return had_to_go;
}

/// Who goes for a new block; with a policy the block takes its slot.
TierStore::EntryId TierStore::make_way(BlockKey key, EntryId id) {
  if (is_list()) {
    const EntryId oldest = entries_[0].newer;
    unlink(oldest);
    return oldest;
  }
  const Slot slot = policy_->victim(key);
  const EntryId victim = residents_[slot];
  take_slot(id, key, slot);
  return victim;
}

void TierStore::take_slot(EntryId id, BlockKey key, Slot slot) {
  residents_[slot] = id;
  entries_[id].slot = slot;
  policy_->inserted(slot, {key, 1});
}

Slot TierStore::free_slot() {
  if (free_slots_.empty()) {
    residents_.emplace_back();
    return static_cast<Slot>(residents_.size() - 1);
  }
  const Slot slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

std::int64_t TierStore::clear(FineTime failed_at) {
  if (failed_at <= cleared_) return 0;
  cleared_ = failed_at;
  const std::int64_t lost = used_;
  reset();
  return lost;
}

}  // namespace kvcast
