// Scissorhands (Liu et al. 2023, arXiv 2305.17118): a fixed budget of tokens; a full cache drops those that
// were seldom pivotal in a window of past queries, some at a time. The budget is what it holds at most.
#include "sim/kv/allocators.h"
#include "sim/kv/bounded_blocks.h"

namespace kvcast {

AllocatorMaker make_scissorhands(Config& engine, const CachedBlocksSettings& layers) {
  return bounded_maker(engine, layers, "scissorhands");
}

}  // namespace kvcast
