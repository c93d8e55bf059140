/// Who owns which part of the KV pool.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

class Config;
class BlockWatcher;
class ForkingBlocks;

/// A sequence's hold on the pool.
struct BlockTable {
  Tokens limit;                      // the most tokens the sequence may ever hold
  Tokens prompt;                     // of them, the request's prompt
  Blocks blocks;                     // held; kept by allocators that count
  std::int64_t offset = -1;          // contiguous: first slot of the region
  std::uint32_t handle = kUnopened;  // of the allocator's own record, where it knows blocks by name

  static constexpr std::uint32_t kUnopened = ~std::uint32_t{0};
};

/// What the tokens of a sequence are, so that equal prefixes can be found: runs of (segment, length) for the
/// prompt, one segment for the output. Two tokens are equal exactly when segment and position in it are.
struct Content {
  struct Run {
    std::uint64_t segment;
    Tokens length;
  };
  std::uint64_t salt = 0;  // tenants do not share
  std::vector<Run> prompt;
  std::uint64_t output = 0;
  bool is_private =
      false;  // no other sequence can hold any of it: only the sequence itself can find it again
};

/// What a table must hold for the step being planned.
struct Growth {
  Tokens slots;      // room for the computed tokens, the step's and the lookahead
  Tokens computed;   // with KV before the step, cached ones included
  Tokens shareable;  // tokens whose content is known and that have KV after the step
  Tokens in_flight;  // of `computed`: of steps whose output has not been taken
};

/// Size of one replica's pool, per rank.
struct PoolSize {
  Blocks blocks;      // usable
  Tokens block_size;  // tokens a block
};

/// Contract:
/// - open() and close() bracket a sequence's stay in the engine; in between, lookup() (at an admission),
/// grow() and release() in any order.
/// - grow() makes `table` hold what `growth` says; when the pool lacks room it returns false and the table
/// has not grown.
/// - needed() is what grow() would take now, cached blocks that nobody holds included; grow() succeeds
/// exactly when the pool has that (contiguous: as one
///   free run). needed_whole() is what an admission gate should ask for a whole sequence: less where blocks
///   are recycled on the way.
/// - used + free() = total() at every moment; release() gives back all that the table holds.
/// - commit() makes full blocks up to that many tokens findable.
class BlockAllocator {
 public:
  /// How a running decode makes a table grow.
  enum class Growing : std::uint8_t {
    never,      // room was taken on admission
    by_blocks,  // one more block exactly when the tokens held are a multiple of block_size(); take(n) takes n
                // such blocks at once
    by_name,    // as by_blocks, but grow() must be called for each table in turn
    by_step,    // grow() must be called for every table in every step
  };

  virtual ~BlockAllocator() = default;
  [[nodiscard]] virtual Tokens block_size() const = 0;
  [[nodiscard]] virtual Blocks total() const = 0;
  [[nodiscard]] virtual Blocks free() const = 0;
  /// So many blocks can be taken whatever for: less than free() where blocks of several kinds are kept apart.
  /// Then needed() of what one kind lacks is more than free().
  [[nodiscard]] virtual Blocks free_for_any() const { return free(); }
  /// Longest run of adjacent free blocks; for external fragmentation.
  [[nodiscard]] virtual Blocks largest_free() const { return free(); }

  virtual void open(BlockTable& /*table*/, Content&& /*content*/) {}
  virtual void close(BlockTable& /*table*/) {}
  /// Tokens of the longest prefix found in the cache, fewer than `known`; remembered for the needed() and
  /// grow() that follow.
  [[nodiscard]] virtual Tokens lookup(BlockTable& /*table*/, Tokens /*known*/) { return Tokens{0}; }
  [[nodiscard]] virtual Blocks needed(const BlockTable& table, Tokens slots) const = 0;
  [[nodiscard]] virtual Blocks needed_whole(const BlockTable& table, Tokens known) const {
    return needed(table, known);
  }
  [[nodiscard]] virtual bool grow(BlockTable& table, const Growth& growth) = 0;
  virtual void commit(BlockTable& /*table*/, Tokens /*shareable*/) {}
  virtual void release(BlockTable& table) = 0;
  /// release() of a sequence that will come back and may find its blocks again.
  virtual void suspend(BlockTable& table) { release(table); }

  /// Whom to tell of blocks released and evicted, where the allocator knows them by name.
  virtual void watch(BlockWatcher* /*watcher*/) {}
  /// The name of the content of a block of the sequence and of all before it; 0: nobody can ask for it again.
  [[nodiscard]] virtual std::uint64_t content_key(const BlockTable& /*table*/, std::int64_t /*index*/) {
    return 0;
  }

  /// Whether taking a block shortens what a lookup finds by a block at most, because a prefix is evicted from
  /// its end. Where it is not, a waiting sequence may suddenly ask for less and get in.
  [[nodiscard]] virtual bool evicts_ends_first() const { return true; }

  /// For sequences with several branches; null where the allocator has none.
  [[nodiscard]] virtual ForkingBlocks* forking() { return nullptr; }

  [[nodiscard]] virtual Growing growing() const = 0;
  /// With Growing::by_blocks: blocks of a table that holds so many computed tokens.
  [[nodiscard]] virtual Blocks held(const BlockTable& /*table*/, Tokens computed) const {
    return Blocks{ceil_div(computed.value, block_size().value)};
  }
  /// With Growing::by_blocks: tokens of the prompt that take no room behind it; blocks are counted without
  /// them.
  [[nodiscard]] virtual Tokens dropped(const BlockTable& /*table*/) const { return Tokens{0}; }
  /// With Growing::by_blocks: with so many computed tokens a table takes no block any more.
  [[nodiscard]] virtual Tokens full_at() const { return Tokens::max(); }
  virtual void take(Blocks /*n*/) {}
  /// With Growing::by_step: the most blocks that `steps` steps of `tables` tables can take.
  [[nodiscard]] virtual Blocks growth_bound(std::int64_t /*tables*/, std::int64_t /*steps*/) const {
    return Blocks{0};
  }
};

/// Makes the allocator of one replica.
using AllocatorMaker = std::function<std::unique_ptr<BlockAllocator>(const PoolSize&)>;

}  // namespace kvcast
