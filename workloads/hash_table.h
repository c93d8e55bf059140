/// A set of hashes with a number each, 12 bytes a slot: prefixes seen so far. Looked up only, never walked.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace kvcast {

/// Open addressing with linear probing, at most half full. Keys are hashes themselves; key 0 is kept apart.
class HashTable {
 public:
  /// The key's number, 0 when it is new.
  std::int32_t& operator[](std::uint64_t key) {
    if (key == 0) return of_zero_;
    if (2 * (used_ + 1) > keys_.size()) grow();
    const std::size_t slot = find(key);
    if (keys_[slot] == 0) {
      keys_[slot] = key;
      ++used_;
    }
    return values_[slot];
  }

  [[nodiscard]] std::size_t size() const { return used_; }

 private:
  [[nodiscard]] std::size_t find(std::uint64_t key) const {
    std::size_t slot = key & (keys_.size() - 1);
    while (keys_[slot] != 0 && keys_[slot] != key) slot = (slot + 1) & (keys_.size() - 1);
    return slot;
  }

  void grow() {
    const std::size_t slots = keys_.empty() ? 1024 : 2 * keys_.size();
    std::vector<std::uint64_t> keys(slots);
    std::vector<std::int32_t> values(slots);
    keys_.swap(keys);
    values_.swap(values);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] == 0) continue;
      const std::size_t slot = find(keys[i]);
      keys_[slot] = keys[i];
      values_[slot] = values[i];
    }
  }

  std::vector<std::uint64_t> keys_;
  std::vector<std::int32_t> values_;
  std::size_t used_ = 0;
  std::int32_t of_zero_ = 0;
};

}  // namespace kvcast
