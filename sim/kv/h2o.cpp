// H2O (Zhang et al. 2023, arXiv 2306.14048): a fixed budget of tokens a head, half of them the newest, half
// those with the largest sum of attention so far (heavy hitters). A new token overwrites the one with the
// least.
#include "sim/kv/allocators.h"
#include "sim/kv/bounded_blocks.h"

namespace kvcast {

AllocatorMaker make_h2o(Config& engine, const CachedBlocksSettings& layers) {
  return bounded_maker(engine, layers, "h2o");
}

}  // namespace kvcast
