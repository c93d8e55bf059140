// SnapKV (Li et al. 2024, arXiv 2404.14469): of a prompt, a budget of tokens that its last queries attend to;
// all that is generated behind it stays.
#include "sim/kv/allocators.h"
#include "sim/kv/bounded_blocks.h"

namespace kvcast {

AllocatorMaker make_snapkv(Config& engine, const CachedBlocksSettings& layers) {
  return bounded_maker(engine, layers, "snapkv");
}

}  // namespace kvcast
