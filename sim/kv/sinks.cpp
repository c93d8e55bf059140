// StreamingLLM (Xiao et al. 2023, arXiv 2309.17453): the first tokens, which attention falls back on, and a
// ring of the newest. Positions are those inside the cache: keys are kept unrotated and rotated when they are
// read.
#include "sim/kv/allocators.h"
#include "sim/kv/bounded_blocks.h"

namespace kvcast {

AllocatorMaker make_sinks(Config& engine, const CachedBlocksSettings& layers) {
  return bounded_maker(engine, layers, "sinks");
}

}  // namespace kvcast
