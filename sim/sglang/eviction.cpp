#include "sim/sglang/eviction.h"

#include <algorithm>

namespace kvcast::sglang {
namespace {

using Facts = EvictionFacts;
using Rank = EvictionRank;
using Tlru = TlruSettings;

/// Hits from which a node counts as protected: SLRU's second segment.
constexpr std::int64_t kSlruHits = 2;

EvictionPolicy lru(const Tlru&) {
  return [](const Facts& f) { return Rank{0, f.last_access}; };
}
EvictionPolicy lfu(const Tlru&) {
  return [](const Facts& f) { return Rank{f.hits, f.last_access}; };
}
EvictionPolicy slru(const Tlru&) {
  return [](const Facts& f) { return Rank{f.hits >= kSlruHits ? 1 : 0, f.last_access}; };
}
EvictionPolicy fifo(const Tlru&) {
  return [](const Facts& f) { return Rank{0, f.birth}; };
}
EvictionPolicy filo(const Tlru&) {
  return [](const Facts& f) { return Rank{0, -f.birth}; };
}
EvictionPolicy mru(const Tlru&) {
  return [](const Facts& f) { return Rank{0, -f.last_access}; };
}
EvictionPolicy priority(const Tlru&) {
  return [](const Facts& f) { return Rank{f.priority, f.last_access}; };
}

/// Safe to evict: what stays of the branch already covers what the next turn is expected to re-use within the
/// threshold.
EvictionPolicy tlru(const Tlru& settings) {
  return [settings](const Facts& f) {
    const std::int64_t needed =
        std::max<std::int64_t>(0, f.branch_longest + settings.next_prompt_estimate - settings.threshold);
    return Rank{f.tokens_above >= needed ? 0 : 1, f.last_access};
  };
}

}  // namespace

const Catalog<EvictionMaker>& eviction_catalog() {
  static const Catalog<EvictionMaker> catalog(
      "radix eviction policy",
      {
          {"lru", "the least recently used leaf first (SGLang's default)", lru},
          {"lfu", "the leaf with the fewest insertions through it first, then lru", lfu},
          {"slru", "leaves used once before leaves used again (segmented LRU), then lru", slru},
          {"fifo", "the oldest leaf first", fifo},
          {"filo", "the youngest leaf first", filo},
          {"mru", "the most recently used leaf first", mru},
          {"priority", "the lowest priority first, then lru", priority},
          {"tlru", "leaves that no next turn needs for its latency first, then lru (tail-optimised LRU)",
           tlru},
      });
  return catalog;
}

}  // namespace kvcast::sglang
