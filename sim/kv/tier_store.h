/// What one tier holds: keys of blocks, an eviction policy, an age at which they expire.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/kv/block_pool.h"
#include "sim/kv/eviction.h"
#include "sim/kv/link.h"

namespace kvcast {

/// Contract: holds at most `capacity` keys, and knows of those that are being sent to it. Times are those of
/// the calls and never go back.
class TierStore {
 public:
  /// \param lifetime since a block was written; kFineNever: none
  TierStore(Blocks capacity, EvictionMaker eviction, FineTime lifetime);

  /// Whether the key is there; one that has expired is dropped.
  [[nodiscard]] bool holds(BlockKey key, FineTime now);
  /// It is used: recency, frequency.
  void touch(BlockKey key);
  /// Whether the block has to be sent, which it is from now on: it is not there, and nobody sends it.
  /// \param touches one that is there is used
  [[nodiscard]] bool lacks(BlockKey key, FineTime now, bool touches);
  /// A block has been written. \returns the key that had to go, 0: none
  BlockKey insert(BlockKey key, FineTime now);
  /// Everything is lost, and what is on its way. A failure that several who share the store tell of counts
  /// once.
  /// \returns blocks lost
  std::int64_t clear(FineTime failed_at);

  [[nodiscard]] Blocks capacity() const { return capacity_; }
  [[nodiscard]] std::int64_t used() const { return used_; }
  [[nodiscard]] std::int64_t used_max() const { return used_max_; }
  [[nodiscard]] std::int64_t expired() const { return expired_; }

 private:
  using EntryId = std::uint32_t;
  static constexpr EntryId kNone = 0;
  static constexpr Slot kOnItsWay = ~Slot{0};
  struct Entry {
    BlockKey key = 0;
    EntryId next = kNone;   // in its bucket
    Slot slot = kOnItsWay;  // as the policy knows it
  };
  [[nodiscard]] EntryId& bucket(BlockKey key) { return buckets_[key >> key_shift_]; }
  [[nodiscard]] EntryId find(BlockKey key);
  [[nodiscard]] EntryId add(BlockKey key);
  void remove(EntryId id);
  void resize_buckets(std::size_t buckets);
  [[nodiscard]] bool has_expired(const Entry& entry, FineTime now) const {
    return now - residents_[entry.slot].written >= lifetime_;
  }
  void expire(EntryId id);
  void reset();

  Blocks capacity_;
  EvictionMaker eviction_;
  FineTime lifetime_;
  std::vector<Entry> entries_;         // entries_[0] is none
  std::vector<EntryId> free_entries_;  // their indices
  std::vector<EntryId> buckets_;
  int key_shift_ = 0;
  struct Resident {
    EntryId entry = kNone;
    FineTime written = 0;
  };
  std::vector<Resident> residents_;  // by slot
  std::vector<Slot> free_slots_;
  std::unique_ptr<EvictionPolicy> policy_;
  std::int64_t used_ = 0, used_max_ = 0, expired_ = 0;
  FineTime cleared_ = -1;
};

}  // namespace kvcast
