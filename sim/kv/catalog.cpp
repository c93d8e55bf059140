#include "sim/kv/allocators.h"

namespace kvcast {

const AllocatorCatalog& allocator_catalog() {
  static const AllocatorCatalog catalog(
      "allocator",
      {
          {"paged", "blocks on demand (PagedAttention, vLLM)", make_paged},
          {"contiguous", "one region to the maximum length (Hugging Face, Orca)", make_contiguous},
      });
  return catalog;
}

}  // namespace kvcast
