/// Blocks by name: a queue of free ones, counts of users, and the keys by which full blocks are found again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/hash.h"
#include "sim/base/units.h"
#include "sim/kv/eviction.h"
#include "sim/kv/prefix_loader.h"

namespace kvcast {

using BlockId = std::uint32_t;
constexpr BlockId kNullBlock = 0;  // stands for a block that is not needed; never handed out
using BlockKey = std::uint64_t;    // hash of all tokens up to the block's end, and of its group; 0: none

/// Block ids by key; several blocks may have one key, the first entered is found. Open addressing, linear
/// probing.
class KeyMap {
 public:
  [[nodiscard]] BlockId find(BlockKey key) const {
    if (count_ == 0) return kNullBlock;
    for (std::size_t i = home(key);; i = (i + 1) & mask()) {
      if (slots_[i].key == key) return slots_[i].block;
      if (slots_[i].key == 0) return kNullBlock;
    }
  }
  /// The block now found by the key; kNullBlock forgets it.
  void set(BlockKey key, BlockId block);

 private:
  struct Slot {
    BlockKey key = 0;
    BlockId block = kNullBlock;
  };
  [[nodiscard]] std::size_t mask() const { return slots_.size() - 1; }
  [[nodiscard]] std::size_t home(BlockKey key) const {
    return static_cast<std::size_t>(key ^ (key >> 32)) & mask();
  }
  void grow();
  void erase(std::size_t hole);
  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

/// How freed blocks enter the free queue.
enum class FreeOrder : std::uint8_t {
  split_by_key,  // those without a key in front (reused next), the others behind (vLLM since 0.24)
  all_behind,    // vLLM before
};

/// Contract: the free queue starts as 1, 2, 3, ... A block is in it exactly when nobody uses it; it keeps its
/// key there until it is taken. Source: vLLM's BlockPool (vllm/v1/core/block_pool.py), rules 18 to 24 of its
/// scheduler's semantics. With an eviction policy of another kind, the queue holds only blocks without a key,
/// which are reused first; of the others the policy says which goes.
class BlockPool {
 public:
  /// \param eviction null: the free queue itself, which is LRU
  BlockPool(Blocks usable, bool caching, FreeOrder order, EvictionMaker eviction = nullptr);

  [[nodiscard]] Blocks total() const { return total_; }
  [[nodiscard]] Blocks free() const { return free_; }
  [[nodiscard]] bool unused(BlockId id) const { return blocks_[id].users == 0; }

  /// The front of the free queue, with one user and without its key. The pool must have one.
  [[nodiscard]] BlockId take();
  /// That many times take(), appended to `ids`.
  void take(std::int64_t n, std::vector<BlockId>& ids);
  /// One more user.
  void touch(BlockId id);
  /// One user less for each, in order of their coming eviction (the first is reused first); null blocks are
  /// passed over.
  void release(std::span<const BlockId> ids);
  /// The same, the last first.
  void release_backwards(std::span<const BlockId> ids);
  /// Another number than before whenever somebody has taken, shared or given back blocks since.
  [[nodiscard]] std::uint64_t version() const { return version_; }

  /// Of several blocks with the key the one entered first; kNullBlock: none.
  [[nodiscard]] BlockId find(BlockKey key) const {
    BlockId id = buckets_[bucket(key)];
    while (id != kNullBlock && blocks_[id].key != key) id = blocks_[id].next_in_bucket;
    return id;
  }
  [[nodiscard]] BlockKey key(BlockId id) const { return blocks_[id].key; }
  void enter(BlockKey key, BlockId id) {
    Block& block = blocks_[id];
    KVCAST_CHECK(block.key == 0 || block.key == kUnfindable);
    block.key = key;
    block.next_in_bucket = kNullBlock;
    BlockId* end = &buckets_[bucket(key)];
    while (*end != kNullBlock) end = &blocks_[*end].next_in_bucket;
    *end = id;
  }
  /// Marks a block as one with a key that nobody will ask for: it is freed like one with a key, and found by
  /// none.
  void enter_unfindable(BlockId id) { blocks_[id].key = kUnfindable; }
  void watch(BlockWatcher* watcher) {
    watcher_ = watcher;
    released_keys_ = watcher != nullptr ? &watcher->released() : nullptr;
    tells_evictions_ = watcher != nullptr && watcher->hears_of_evictions();
  }
  [[nodiscard]] bool has_policy() const { return policy_ != nullptr; }
  /// With a policy, of every block that is entered: what it costs to do without it, see CachedPage.
  void weigh(BlockId id, double cost) { newcomers_[id] = {cost, 0, true}; }

  /// No key has this value: keys are odd or are made odd by their maker.
  static constexpr BlockKey kUnfindable = 2;

 private:
  struct Block {
    std::int32_t users = 0;
    BlockId previous = kNullBlock;  // free queue
    BlockId next = kNullBlock;
    BlockId next_in_bucket = kNullBlock;
    BlockKey key = 0;
  };
  /// Keys are hashes: their upper bits are as good as any.
  [[nodiscard]] std::size_t bucket(BlockKey key) const { return static_cast<std::size_t>(key >> key_shift_); }
  void forget(BlockId id) {
    if (blocks_[id].key > kUnfindable) leave_bucket(id);
    blocks_[id].key = 0;
  }
  void leave_bucket(BlockId id);
  template <class Iterator>
  void give_back(Iterator first, Iterator last);
  [[nodiscard]] BlockId evict();
  void note_hit(BlockId id);
  void let_policy_have(BlockId id);
  void unlink(BlockId id);

  std::vector<Block> blocks_;  // blocks_[0] is the null block, and the ring's head
  Blocks total_;
  Blocks free_;
  bool caching_;
  FreeOrder order_;
  /// First block of each bucket of keys, the others linked behind it in the order in which they were entered:
  /// so a key's first block comes before its later ones. As many buckets as blocks or more.
  std::vector<BlockId> buckets_;
  int key_shift_ = 0;
  /// A block with a key that has not been unused yet: the policy gets to know it when it is, so that what it
  /// decides depends on the order of releases, as under LRU, and not on when within a step keys are entered.
  struct Newcomer {
    double cost = 1;
    std::int32_t hits = 0;  // so far
    bool waits = false;
  };
  std::uint64_t version_ = 0;
  std::vector<BlockKey>* released_keys_ = nullptr;  // the watcher's
  BlockWatcher* watcher_ = nullptr;
  bool tells_evictions_ = false;
  std::unique_ptr<EvictionPolicy> policy_;  // of unused blocks with a key
  std::vector<Newcomer> newcomers_;         // by block, with a policy
  std::uint64_t unfindable_ = 0;            // keys made up for blocks that nobody will ask for
};

}  // namespace kvcast
