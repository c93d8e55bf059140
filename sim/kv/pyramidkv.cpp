// PyramidKV (Cai et al. 2024, arXiv 2406.02069): SnapKV with a budget that falls from the first layer to the
// last; each layer has a block table of its own.
#include "sim/kv/allocators.h"
#include "sim/kv/bounded_blocks.h"

namespace kvcast {

AllocatorMaker make_pyramidkv(Config& engine, const CachedBlocksSettings& layers) {
  return bounded_maker(engine, layers, "pyramidkv");
}

}  // namespace kvcast
