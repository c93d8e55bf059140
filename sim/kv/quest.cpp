// Quest (Tang et al. 2024, arXiv 2406.10774): every token stays, a query reads the pages that the bounds of
// their keys promise most for. Blocks are those of paged; bounds and reads are the model's
// (hwmodels/retention.h).
#include "sim/kv/allocators.h"

namespace kvcast {

AllocatorMaker make_quest(Config& engine, const CachedBlocksSettings& layers) {
  return make_paged(engine, layers);
}

}  // namespace kvcast
