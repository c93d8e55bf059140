#include "sim/kv/allocators.h"

namespace kvcast {

const AllocatorCatalog& allocator_catalog() {
  static const AllocatorCatalog catalog(
      "allocator",
      {
          {"paged", "blocks on demand (PagedAttention, vLLM)", make_paged},
          {"contiguous", "one region to the maximum length (Hugging Face, Orca)", make_contiguous},
          {"ring", "blocks of a sliding window, overwritten in place (Mistral)", make_ring},
          {"sinks", "first tokens and a window, positions inside the cache (StreamingLLM)", make_sinks},
          {"h2o", "a budget of heavy hitters and newest tokens (H2O)", make_h2o},
          {"tova", "a budget of what the newest query attends to (TOVA)", make_tova},
          {"scissorhands", "a budget of tokens that were pivotal before (Scissorhands)", make_scissorhands},
          {"snapkv", "a budget of the prompt, all of the answer (SnapKV)", make_snapkv},
          {"pyramidkv", "as snapkv, with a budget that falls from layer to layer (PyramidKV)",
           make_pyramidkv},
          {"quest", "keeps all, reads the pages that a query selects (Quest)", make_quest},
      });
  return catalog;
}

}  // namespace kvcast
