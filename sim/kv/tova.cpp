// TOVA (Oren et al. 2024, arXiv 2401.06104): a fixed budget of tokens; a new token overwrites the one that
// the newest query attends to least.
#include "sim/kv/allocators.h"
#include "sim/kv/bounded_blocks.h"

namespace kvcast {

AllocatorMaker make_tova(Config& engine, const CachedBlocksSettings& layers) {
  return bounded_maker(engine, layers, "tova");
}

}  // namespace kvcast
