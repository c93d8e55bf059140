#include "sim/kv/eviction.h"

namespace kvcast {

const Catalog<EvictionMaker>& eviction_catalog() {
  static const Catalog<EvictionMaker> catalog(
      "eviction policy",
      {
          {"lru", "least recently used (vLLM, SGLang, Mooncake)", make_lru_eviction},
          {"lfu", "least frequently used since it entered", make_lfu_eviction},
          {"fifo", "first in, first out", make_fifo_eviction},
          {"slru", "probation, then a protected segment (Karedla 1994)", make_slru_eviction},
          {"arc", "recent against frequent, by what was evicted too early (Megiddo 2003)", make_arc_eviction},
          {"s3-fifo", "a small FIFO as filter in front of a main one (Yang 2023)", make_s3_fifo_eviction},
          {"2q", "FIFO for pages seen once, LRU for those that came back (Johnson 1994)",
           make_two_q_eviction},
          {"gdsf", "uses times what must be computed again (Cherkasova 1998)", make_gdsf_eviction},
          {"belady", "optimum with the future known; a bound, kvcast trace cache only (Belady 1966)",
           nullptr},
      });
  return catalog;
}

double recompute_cost(std::int64_t begin, std::int64_t end) {
  constexpr double kContextAsMatrices = 30500;
  const auto tokens = static_cast<double>(end - begin);
  return tokens * (1 + (static_cast<double>(begin) + tokens / 2) / kContextAsMatrices);
}

}  // namespace kvcast
