/// Who owns which part of the KV pool.
#pragma once

#include <functional>
#include <memory>

#include "sim/base/units.h"

namespace kvcast {

class Config;

/// A sequence's hold on the pool.
struct BlockTable {
  Tokens limit;              // the most tokens the sequence may ever hold
  Blocks blocks;             // held
  std::int64_t offset = -1;  // contiguous: first slot of the region
};

/// Size of one replica's pool, per rank.
struct PoolSize {
  Blocks blocks;      // usable
  Tokens block_size;  // tokens a block
};

/// Contract:
/// - grow() makes `table` hold at least `tokens`; when the pool lacks room it returns false and has changed nothing.
/// - needed() is what grow() would take now; grow() succeeds exactly when the pool has that (paged: as free blocks anywhere; contiguous: as
///   one free run).
/// - used + free() = total() at every moment; release() gives back all that the table holds and leaves it empty.
/// - grows_by_blocks(): a table that holds n tokens needs one more block exactly when n is a multiple of block_size(). Where it is true,
///   take(n) takes n blocks at once for n tables that reach such a boundary in one step; their owner keeps the count.
class BlockAllocator {
 public:
  virtual ~BlockAllocator() = default;
  [[nodiscard]] virtual Tokens block_size() const = 0;
  [[nodiscard]] virtual Blocks total() const = 0;
  [[nodiscard]] virtual Blocks free() const = 0;
  /// Longest run of adjacent free blocks; for external fragmentation.
  [[nodiscard]] virtual Blocks largest_free() const { return free(); }
  [[nodiscard]] virtual Blocks needed(const BlockTable& table, Tokens tokens) const = 0;
  [[nodiscard]] virtual bool grow(BlockTable& table, Tokens tokens) = 0;
  virtual void release(BlockTable& table) = 0;
  [[nodiscard]] virtual bool grows_by_blocks() const = 0;
  virtual void take(Blocks n) = 0;
};

/// Makes the allocator of one replica.
using AllocatorMaker = std::function<std::unique_ptr<BlockAllocator>(const PoolSize&)>;

}  // namespace kvcast
