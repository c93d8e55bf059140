/// Paged KV blocks by name, with prefix caching and groups of layers that keep unlike parts of a sequence
/// (vLLM's KV cache manager).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/kv/block_allocator.h"
#include "sim/kv/block_pool.h"

namespace kvcast {

/// Layers that share one block table.
struct KvGroup {
  std::int64_t block_size = 16;
  std::int64_t window = 0;                       // tokens that a query sees; 0: all before it
  std::optional<std::int64_t> admission_blocks;  // most blocks that the admission gate asks for; none: no cap
  /// The window is a chunk: a query sees the tokens before it in its own chunk of that many.
  bool chunks = false;
  bool recurrent = false;  // its blocks are states, of which the last is what a sequence goes on with
  bool bounded =
      false;  // its layers do not keep every token: of a split cache, it draws from the second pool
  /// Which of its blocks are kept for later hits, whatever the settings say of windows: 0: those at a
  /// prompt's end; n: also those at every n tokens. none: as the settings say.
  std::optional<std::int64_t> kept_every = std::nullopt;
  // Of allocators with bounds (bounded_blocks.h).
  std::int64_t blocks_max = 0;  // most blocks of a sequence; 0: no bound
  std::int64_t prompt_max = 0;  // most tokens of a prompt that are kept; 0: all
};

/// Settings in force; rule numbers are those of vLLM's scheduler semantics as measured against its code.
struct CachedBlocksSettings {
  std::vector<KvGroup> groups;
  double bounded_share = 0;  // of the blocks, which groups marked as bounded have for themselves; 0: one pool
  bool caching = true;
  std::int64_t unit = 16;       // least common multiple of the block sizes: hits end there
  std::int64_t hash_unit = 16;  // greatest common divisor: prefixes are hashed in these steps
  /// Which blocks of window groups are kept for later hits: none: all that a hit can use; 0: the last window
  /// of a prompt; n: also every n tokens.
  std::optional<std::int64_t> retention_interval = 0;
  bool keep_all_window_blocks = false;  // whether a hit can use them or not (before 0.24)
  bool drop_last_block = false;         // a hit loses its last block (EAGLE recomputes it)
  bool commit_whole_units = true;       // several groups: only whole units become findable (rule 39)
  bool keep_junctions = true;           // rule 41
  FreeOrder free_order = FreeOrder::split_by_key;
  EvictionMaker eviction = nullptr;  // null: by the free queue, LRU
};

/// \param size blocks, usable; its block_size is that of the first group
[[nodiscard]] std::unique_ptr<BlockAllocator> make_cached_blocks(const CachedBlocksSettings& settings,
                                                                 const PoolSize& size);

}  // namespace kvcast
