#include "sim/kv/tier_store.h"

#include <algorithm>

namespace kvcast {

TierStore::TierStore(Blocks capacity, EvictionMaker eviction, FineTime lifetime)
    : capacity_(capacity), eviction_(eviction), lifetime_(lifetime) {
  KVCAST_CHECK(capacity > Blocks{0} && capacity.value < std::int64_t{1} << 31);
  policy_ = eviction_(static_cast<std::size_t>(capacity.value));
}

bool TierStore::holds(BlockKey key, FineTime now) {
  const BlockId at = slots_.find(key);
  if (at == kNullBlock) return false;
  const Slot slot = at - 1;
  if (now - entries_[slot].written < lifetime_) return true;
  policy_->dropped(slot);
  slots_.set(key, kNullBlock);
  entries_[slot] = {};
  free_.push_back(slot);
  --used_;
  ++expired_;
  return false;
}

void TierStore::touch(BlockKey key) {
  const BlockId at = slots_.find(key);
  if (at != kNullBlock) policy_->hit(at - 1);
}

BlockKey TierStore::insert(BlockKey key, FineTime now) {
  if (const BlockId at = slots_.find(key); at != kNullBlock) {
    entries_[at - 1].written = now;
    policy_->hit(at - 1);
    return 0;
  }
  BlockKey gone = 0;
  Slot slot = 0;
  if (used_ == capacity_.value) {
    slot = policy_->victim(key);
    gone = entries_[slot].key;
    slots_.set(gone, kNullBlock);
  } else if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
    ++used_;
  } else {
    slot = static_cast<Slot>(entries_.size());
    entries_.emplace_back();
    ++used_;
  }
  entries_[slot] = {key, now};
  slots_.set(key, slot + 1);
  policy_->inserted(slot, {key, 1});
  used_max_ = std::max(used_max_, used_);
  return gone;
}

std::int64_t TierStore::clear(FineTime failed_at) {
  if (failed_at <= cleared_) return 0;
  cleared_ = failed_at;
  const std::int64_t lost = used_;
  slots_ = KeyMap{};
  entries_.clear();
  free_.clear();
  policy_ = eviction_(static_cast<std::size_t>(capacity_.value));
  used_ = 0;
  return lost;
}

}  // namespace kvcast
