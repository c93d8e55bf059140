/// What one tier holds: keys of blocks, an eviction policy, an age at which they expire.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/kv/block_pool.h"
#include "sim/kv/eviction.h"
#include "sim/kv/link.h"

namespace kvcast {

/// Contract: holds at most `capacity` keys, and knows of those that are being sent to it. Times are those of
/// the calls and never go back. LRU, what nearly everybody asks for, is a list through the entries
/// themselves; other policies know the residents by slots.
class TierStore {
 public:
  using EntryId = std::uint32_t;
  /// A block on its way, and where it is noted.
  struct Sent {
    BlockKey key = 0;
    EntryId entry = 0;
  };

  /// \param lifetime since a block was written; kFineNever: none
  TierStore(Blocks capacity, EvictionMaker eviction, FineTime lifetime);

  /// Whether the key is there; one that has expired is dropped.
  [[nodiscard]] bool holds(BlockKey key, FineTime now);
  /// It is used: recency, frequency.
  void touch(BlockKey key);
  /// Those of the blocks that have to be sent, which they are from now on: they are not there, and nobody
  /// sends them. \param touches those that are there are used
  [[nodiscard]] std::vector<Sent> send(std::span<const BlockKey> keys, FineTime now, bool touches);
  /// The blocks have been written. \param gone appended to: the keys that had to go; may be null
  /// \returns how many had to
  std::int64_t insert(std::span<const Sent> blocks, FineTime now, std::vector<BlockKey>* gone);
  /// Everything is lost, and what is on its way. A failure that several who share the store tell of counts
  /// once.
  /// \returns blocks lost
  std::int64_t clear(FineTime failed_at);

  [[nodiscard]] Blocks capacity() const { return capacity_; }
  [[nodiscard]] std::int64_t used() const { return used_; }
  [[nodiscard]] std::int64_t used_max() const { return used_max_; }
  [[nodiscard]] std::int64_t expired() const { return expired_; }

 private:
  static constexpr EntryId kNone = 0;
  static constexpr Slot kOnItsWay = ~Slot{0};
  struct Entry {
    BlockKey key = 0;
    EntryId next = kNone;   // in its bucket, or of the free ones
    Slot slot = kOnItsWay;  // as the policy knows it; with the list 0
    EntryId older = kNone;  // in the list, whose ring starts at entry 0
    EntryId newer = kNone;
  };
  [[nodiscard]] EntryId& bucket(BlockKey key) { return buckets_[key >> key_shift_]; }
  [[nodiscard]] EntryId find(BlockKey key);
  [[nodiscard]] EntryId add(BlockKey key);
  void make_room();
  void remove(EntryId id);
  void resize_buckets(std::size_t buckets);
  [[nodiscard]] bool has_expired(EntryId id, FineTime now) const {
    return !written_.empty() && now - written_[id] >= lifetime_;
  }
  void expire(EntryId id);
  void reset();
  [[nodiscard]] bool is_list() const { return policy_ == nullptr; }
  void use(EntryId id);
  void link_newest(EntryId id) {
    Entry* const entries = entries_.data();
    const EntryId newest = entries[0].older;
    entries[id].older = newest;
    entries[id].newer = 0;
    entries[newest].newer = id;
    entries[0].older = id;
  }
  void unlink(EntryId id) {
    Entry* const entries = entries_.data();
    entries[entries[id].older].newer = entries[id].newer;
    entries[entries[id].newer].older = entries[id].older;
  }
  [[nodiscard]] EntryId noted(const Sent& block);
  [[nodiscard]] std::int64_t insert_in_list(std::span<const Sent> blocks, std::vector<BlockKey>* gone);
  [[nodiscard]] std::int64_t insert_timed(std::span<const Sent> blocks, FineTime now,
                                          std::vector<BlockKey>* gone);
  [[nodiscard]] EntryId make_way(BlockKey key, EntryId id);
  void take_slot(EntryId id, BlockKey key, Slot slot);
  [[nodiscard]] Slot free_slot();

  Blocks capacity_;
  EvictionMaker eviction_;
  FineTime lifetime_;
  std::vector<Entry> entries_;     // entries_[0] is none, and the list's head
  EntryId fresh_ = 1;              // from here on entries have never been used
  EntryId free_entry_ = kNone;     // the first, linked by `next`
  std::vector<FineTime> written_;  // by entry, with a lifetime
  std::vector<EntryId> buckets_;
  int key_shift_ = 0;
  std::vector<EntryId> residents_;  // by slot, with a policy
  std::vector<Slot> free_slots_;
  std::unique_ptr<EvictionPolicy> policy_;  // null: the list
  std::int64_t used_ = 0, used_max_ = 0, expired_ = 0;
  FineTime cleared_ = -1;
};

}  // namespace kvcast
