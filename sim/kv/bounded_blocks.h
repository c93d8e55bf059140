/// Blocks of sequences of which a cache keeps a bounded part: what leaves is overwritten in place, so that
/// only their number matters.
#pragma once

#include <memory>
#include <vector>

#include "sim/kv/block_allocator.h"
#include "sim/kv/cached_blocks.h"

namespace kvcast {

/// Of a group, n tokens of a sequence hold min(ceil(kept / block_size), blocks_max) blocks, where `kept` is n
/// less what prompt_max lets go of the prompt. One group: runs of decodes are taken as sums. \param groups
/// draw from one pool; with several, the pool's block size is that of the first
[[nodiscard]] std::unique_ptr<BlockAllocator> make_bounded_blocks(std::vector<KvGroup> groups, Blocks blocks);

/// The maker of an allocator with bounds. \throws InputError where prefixes shall be cached, or where the
/// model leaves nothing that `allocator` could bound
[[nodiscard]] AllocatorMaker bounded_maker(Config& engine, const CachedBlocksSettings& layers,
                                           const char* allocator);

}  // namespace kvcast
