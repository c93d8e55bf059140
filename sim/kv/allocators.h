/// The built-in allocators; each has a file of its own.
#pragma once

#include <memory>

#include "sim/base/catalog.h"
#include "sim/kv/block_allocator.h"
#include "sim/kv/cached_blocks.h"

namespace kvcast {

/// \param layers how the engine's layers share blocks, and whether prefixes are cached
AllocatorMaker make_paged(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_contiguous(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_ring(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_sinks(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_h2o(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_tova(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_scissorhands(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_snapkv(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_pyramidkv(Config& engine, const CachedBlocksSettings& layers);
AllocatorMaker make_quest(Config& engine, const CachedBlocksSettings& layers);

/// For engine.enable_kv_cache: false; not in the catalogue.
std::unique_ptr<BlockAllocator> make_unlimited();

using AllocatorCatalog = Catalog<AllocatorMaker (*)(Config&, const CachedBlocksSettings&)>;
[[nodiscard]] const AllocatorCatalog& allocator_catalog();

}  // namespace kvcast
