/// Reference streams against caches of given sizes: hit rates by policy, all sizes of LRU at once, and the
/// optimum.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/kv/eviction.h"
#include "sim/kv/reference_stream.h"

namespace kvcast {

/// What a cache of one size gave on a stream.
struct CacheResult {
  std::size_t capacity = 0;  // blocks
  std::int64_t hits =
      0;  // lookups in the run of resident blocks from the prompt's start: what an engine can reuse
  std::int64_t hit_tokens = 0;  // of those blocks
  std::int64_t resident_hits =
      0;  // references, answers' included, to a resident block, reusable or not: what the policy itself sees
};

/// One policy, one size. A request's lookups are judged when it arrives; then its references are made in
/// order, each to a block that is resident or enters, with a victim where the cache is full.
[[nodiscard]] CacheResult replay_cache(const ReferenceStream& stream, EvictionMaker maker,
                                       std::size_t capacity);

/// LRU for every capacity in one pass: a reference hits exactly in the caches that are larger than its stack
/// distance, the number of distinct blocks since the last reference to its block (Mattson et al. 1970).
/// O(references log references). \param capacities ascending
[[nodiscard]] std::vector<CacheResult> replay_lru(const ReferenceStream& stream,
                                                  std::span<const std::size_t> capacities);

/// The optimum: a block enters only if it is asked for again before the resident that is asked for last,
/// which then goes (Belady 1966, with the choice not to keep). No policy has more resident_hits, and none
/// more hits than that.
[[nodiscard]] CacheResult replay_belady(const ReferenceStream& stream, std::size_t capacity);

}  // namespace kvcast
