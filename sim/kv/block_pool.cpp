#include "sim/kv/block_pool.h"

#include <bit>
#include <type_traits>

namespace kvcast {

void KeyMap::set(BlockKey key, BlockId block) {
  KVCAST_CHECK(key != 0);
  if (block != kNullBlock && 2 * (count_ + 1) > slots_.size()) grow();
  for (std::size_t i = home(key);; i = (i + 1) & mask()) {
    Slot& slot = slots_[i];
    if (slot.key == key) {
      if (block == kNullBlock) return erase(i);
      slot.block = block;
      return;
    }
    if (slot.key == 0) {
      KVCAST_CHECK(block != kNullBlock);
      slot = {key, block};
      ++count_;
      return;
    }
  }
}

void KeyMap::grow() {
  std::vector<Slot> old(slots_.empty() ? 1024 : 2 * slots_.size());
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.key == 0) continue;
    std::size_t i = home(slot.key);
    while (slots_[i].key != 0) i = (i + 1) & mask();
    slots_[i] = slot;
  }
}

/// Moves later slots of the run back over the hole, so that no search stops too early.
void KeyMap::erase(std::size_t hole) {
  --count_;
  for (std::size_t i = (hole + 1) & mask(); slots_[i].key != 0; i = (i + 1) & mask()) {
    const std::size_t distance_home = (i - home(slots_[i].key)) & mask();
    const std::size_t distance_hole = (i - hole) & mask();
    if (distance_home < distance_hole) continue;
    slots_[hole] = slots_[i];
    hole = i;
  }
  slots_[hole] = Slot{};
}

BlockPool::BlockPool(Blocks usable, bool caching, FreeOrder order, EvictionMaker eviction)
    : blocks_(static_cast<std::size_t>(usable.value) + 1),
      total_(usable),
      free_(usable),
      caching_(caching),
      order_(order) {
  if (eviction != nullptr) {
    policy_ = eviction(blocks_.size());
    newcomers_.resize(blocks_.size());
  }
  constexpr int kKeyBits = 64;
  buckets_.resize(caching ? std::bit_ceil(blocks_.size()) : 2);
  key_shift_ = kKeyBits - std::countr_zero(buckets_.size());
  const auto n = static_cast<BlockId>(blocks_.size());
  for (BlockId id = 0; id < n; ++id) {
    blocks_[id].next = id + 1 == n ? 0 : id + 1;
    blocks_[id].previous = id == 0 ? n - 1 : id - 1;
  }
}

BlockId BlockPool::take() {
  ++version_;
  KVCAST_CHECK(free_ > Blocks{0});
  const BlockId id = blocks_[0].next;
  if (id == kNullBlock) [[unlikely]]
    return evict();
  unlink(id);
  forget(id);
  blocks_[id].users = 1;
  return id;
}

void BlockPool::take(std::int64_t n, std::vector<BlockId>& ids) {
  KVCAST_CHECK(n > 0 && Blocks{n} <= free_);
  ++version_;
  const std::size_t end = ids.size() + static_cast<std::size_t>(n);
  std::size_t at = ids.size();
  ids.resize(end);
  BlockId id = blocks_[0].next;
  for (; at < end && id != kNullBlock; ++at) {  // the front of the queue, in one piece
    Block& block = blocks_[id];
    if (block.key > kUnfindable) {
      if (tells_evictions_) {
        leave_bucket(id);
      } else {
        BlockId* link = &buckets_[bucket(block.key)];
        while (*link != id) link = &blocks_[*link].next_in_bucket;
        *link = block.next_in_bucket;
      }
    }
    block.key = 0;
    block.users = 1;
    ids[at] = id;
    id = block.next;
    --free_.value;
  }
  blocks_[0].next = id;
  blocks_[id].previous = kNullBlock;
  for (; at < end; ++at) ids[at] = evict();
}

/// The queue is empty: a block with a key goes, as the policy says.
BlockId BlockPool::evict() {
  const BlockId id = policy_->victim(0);
  --free_.value;
  forget(id);
  blocks_[id].users = 1;
  return id;
}

void BlockPool::touch(BlockId id) {
  if (id == kNullBlock) return;
  ++version_;
  if (policy_ != nullptr) [[unlikely]] {
    note_hit(id);
  } else if (blocks_[id].users == 0) {
    unlink(id);
  }
  ++blocks_[id].users;
}

void BlockPool::release(std::span<const BlockId> ids) { give_back(ids.begin(), ids.end()); }

void BlockPool::release_backwards(std::span<const BlockId> ids) { give_back(ids.rbegin(), ids.rend()); }

template <class Iterator>
void BlockPool::give_back(Iterator first, Iterator last) {
  ++version_;
  Block* const blocks = blocks_.data();
  const bool splits = order_ == FreeOrder::split_by_key;
  BlockId front = 0;  // the ring's head: those that go in front follow it in order
  BlockId tail = blocks[0].previous;
  std::int64_t freed = 0;
  constexpr std::size_t kKeys = 64;
  BlockKey keys[kKeys];  // for the watcher
  std::size_t told = 0;
  const auto tell = [&] {
    released_keys_->insert(released_keys_->end(), keys, keys + told);
    told = 0;
  };
  // What most pools do not have costs them nothing.
  const auto walk = [&](auto is_watched, auto has_policy) {
    for (; first != last; ++first) {
      const BlockId id = *first;
      if (id == kNullBlock) continue;
      Block& block = blocks[id];
      KVCAST_CHECK(block.users > 0);
      if (--block.users > 0) continue;
      ++freed;
      if constexpr (is_watched.value) {
        if (block.key > kUnfindable) keys[told++] = block.key;
        if (told == kKeys) tell();
      }
      if constexpr (has_policy.value) {
        if (block.key != 0) {
          let_policy_have(id);
          continue;
        }
      }
      if (splits && (block.key == 0 || !caching_)) {
        block.previous = front;
        block.next = blocks[front].next;
        blocks[block.next].previous = id;
        blocks[front].next = id;
        if (tail == front) tail = id;
        front = id;
      } else {
        block.previous = tail;
        blocks[tail].next = id;
        tail = id;
      }
    }
  };
  const bool watched = released_keys_ != nullptr;
  if (policy_ != nullptr) {
    watched ? walk(std::true_type{}, std::true_type{}) : walk(std::false_type{}, std::true_type{});
  } else {
    watched ? walk(std::true_type{}, std::false_type{}) : walk(std::false_type{}, std::false_type{});
  }
  if (watched) tell();
  blocks[tail].next = 0;
  blocks[0].previous = tail;
  free_.value += freed;
}

void BlockPool::note_hit(BlockId id) {
  if (newcomers_[id].waits) {
    ++newcomers_[id].hits;
  } else {
    policy_->hit(id);
  }
  if (blocks_[id].users > 0) return;
  policy_->hold(id);
  --free_.value;
}

void BlockPool::let_policy_have(BlockId id) {
  Newcomer& newcomer = newcomers_[id];
  if (!newcomer.waits) return policy_->let_go(id);
  const BlockKey key = blocks_[id].key;
  policy_->inserted(id, {key == kUnfindable ? mix64(++unfindable_) : key, newcomer.cost});
  for (; newcomer.hits > 0; --newcomer.hits) policy_->hit(id);
  newcomer.waits = false;
}

void BlockPool::leave_bucket(BlockId id) {
  const BlockKey key = blocks_[id].key;
  BlockId* at = &buckets_[bucket(key)];
  while (*at != id) at = &blocks_[*at].next_in_bucket;
  *at = blocks_[id].next_in_bucket;
  if (!tells_evictions_) return;
  blocks_[id].key = 0;
  if (find(key) == kNullBlock) watcher_->evicted(key);
}

void BlockPool::unlink(BlockId id) {
  Block& block = blocks_[id];
  blocks_[block.previous].next = block.next;
  blocks_[block.next].previous = block.previous;
  --free_.value;
}

}  // namespace kvcast
