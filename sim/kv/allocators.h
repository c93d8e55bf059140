/// The built-in allocators; each has a file of its own.
#pragma once

#include <memory>

#include "sim/base/catalog.h"
#include "sim/kv/block_allocator.h"

namespace kvcast {

AllocatorMaker make_paged(Config& engine);
AllocatorMaker make_contiguous(Config& engine);

/// For engine.enable_kv_cache: false; not in the catalogue.
std::unique_ptr<BlockAllocator> make_unlimited();

using AllocatorCatalog = Catalog<AllocatorMaker (*)(Config&)>;
[[nodiscard]] const AllocatorCatalog& allocator_catalog();

}  // namespace kvcast
