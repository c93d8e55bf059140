/// Which leaf of the radix tree goes first.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include "sim/base/catalog.h"

namespace kvcast::sglang {

/// What a policy may see of a node. Moments are counts of the tree's own clock.
struct EvictionFacts {
  std::int64_t last_access = 0;
  std::int64_t birth = 0;
  std::int64_t hits = 0;
  std::int64_t priority = 0;
  std::int64_t tokens_above = 0;    // from the root to where the node begins
  std::int64_t branch_longest = 0;  // tokens of the longest key ever inserted through the node
};

/// The smallest goes first; ties by the node's number.
struct EvictionRank {
  std::int64_t group = 0;
  std::int64_t order = 0;

  friend auto operator<=>(const EvictionRank&, const EvictionRank&) = default;
};

/// Contract: pure; equal facts give equal ranks.
using EvictionPolicy = std::function<EvictionRank(const EvictionFacts&)>;

/// Parameters of tlru, tokens.
struct TlruSettings {
  std::int64_t threshold = 0;
  std::int64_t next_prompt_estimate = 0;
};

using EvictionMaker = EvictionPolicy (*)(const TlruSettings&);

/// lru, lfu, slru, fifo, filo, mru, priority, tlru.
[[nodiscard]] const Catalog<EvictionMaker>& eviction_catalog();

}  // namespace kvcast::sglang
