/// What one tier holds: keys of blocks, an eviction policy, an age at which they expire.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/kv/block_pool.h"
#include "sim/kv/eviction.h"
#include "sim/kv/link.h"

namespace kvcast {

/// Contract: holds at most `capacity` keys. Times are those of the calls and never go back.
class TierStore {
 public:
  /// \param lifetime since a block was written; kFineNever: none
  TierStore(Blocks capacity, EvictionMaker eviction, FineTime lifetime);

  /// Whether the key is there; one that has expired is dropped.
  [[nodiscard]] bool holds(BlockKey key, FineTime now);
  /// It is used: recency, frequency.
  void touch(BlockKey key);
  /// \returns the key that had to go, 0: none. Entering one that is there renews its age
  BlockKey insert(BlockKey key, FineTime now);
  /// Everything is lost. A failure that several who share the store tell of counts once.
  /// \returns blocks lost
  std::int64_t clear(FineTime failed_at);

  [[nodiscard]] Blocks capacity() const { return capacity_; }
  [[nodiscard]] std::int64_t used() const { return used_; }
  [[nodiscard]] std::int64_t used_max() const { return used_max_; }
  [[nodiscard]] std::int64_t expired() const { return expired_; }

 private:
  struct Entry {
    BlockKey key = 0;
    FineTime written = 0;
  };
  Blocks capacity_;
  EvictionMaker eviction_;
  FineTime lifetime_;
  KeyMap slots_;  // slot + 1 by key
  std::vector<Entry> entries_;
  std::vector<Slot> free_;
  std::unique_ptr<EvictionPolicy> policy_;
  std::int64_t used_ = 0, used_max_ = 0, expired_ = 0;
  FineTime cleared_ = -1;
};

}  // namespace kvcast
