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
  constexpr std::size_t kBuckets = 1024;
  entries_.assign(1, {});
  free_entries_.clear();
  residents_.clear();
  free_slots_.clear();
  resize_buckets(kBuckets);
  policy_ = eviction_(static_cast<std::size_t>(capacity_.value));
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

TierStore::EntryId TierStore::add(BlockKey key) {
  auto id = static_cast<EntryId>(entries_.size());
  if (!free_entries_.empty()) {
    id = free_entries_.back();
    free_entries_.pop_back();
  } else {
    if (entries_.size() > buckets_.size()) resize_buckets(2 * buckets_.size());
    entries_.emplace_back();
  }
  EntryId& first = bucket(key);
  entries_[id] = {key, first, kOnItsWay};
  first = id;
  return id;
}

void TierStore::remove(EntryId id) {
  EntryId* at = &bucket(entries_[id].key);
  while (*at != id) at = &entries_[*at].next;
  *at = entries_[id].next;
  entries_[id] = {};
  free_entries_.push_back(id);
}

// ---- Blocks

void TierStore::expire(EntryId id) {
  const Slot slot = entries_[id].slot;
  policy_->dropped(slot);
  free_slots_.push_back(slot);
  remove(id);
  --used_;
  ++expired_;
}

bool TierStore::holds(BlockKey key, FineTime now) {
  const EntryId id = find(key);
  if (id == kNone || entries_[id].slot == kOnItsWay) return false;
  if (!has_expired(entries_[id], now)) return true;
  expire(id);
  return false;
}

void TierStore::touch(BlockKey key) {
  const EntryId id = find(key);
  if (id != kNone && entries_[id].slot != kOnItsWay) policy_->hit(entries_[id].slot);
}

bool TierStore::lacks(BlockKey key, FineTime now, bool touches) {
  if (const EntryId id = find(key); id != kNone) {
    const Entry& entry = entries_[id];
    if (entry.slot == kOnItsWay) return false;
    if (!has_expired(entry, now)) {
      if (touches) policy_->hit(entry.slot);
      return false;
    }
    expire(id);
  }
  (void)add(key);
  return true;
}

BlockKey TierStore::insert(BlockKey key, FineTime now) {
  EntryId id = find(key);
  if (id == kNone) id = add(key);
  if (entries_[id].slot != kOnItsWay) {
    residents_[entries_[id].slot].written = now;
    policy_->hit(entries_[id].slot);
    return 0;
  }
  BlockKey gone = 0;
  Slot slot = 0;
  if (used_ == capacity_.value) {
    slot = policy_->victim(key);
    gone = entries_[residents_[slot].entry].key;
    remove(residents_[slot].entry);
  } else if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
    ++used_;
  } else {
    slot = static_cast<Slot>(residents_.size());
    residents_.emplace_back();
    ++used_;
  }
  residents_[slot] = {id, now};
  entries_[id].slot = slot;
  policy_->inserted(slot, {key, 1});
  used_max_ = std::max(used_max_, used_);
  return gone;
}

std::int64_t TierStore::clear(FineTime failed_at) {
  if (failed_at <= cleared_) return 0;
  cleared_ = failed_at;
  const std::int64_t lost = used_;
  reset();
  return lost;
}

}  // namespace kvcast
