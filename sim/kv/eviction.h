/// Which cached block goes next when the cache is full.
#pragma once

#include <cstdint>
#include <memory>

#include "sim/base/catalog.h"

namespace kvcast {

using Slot = std::uint32_t;  // where a block lies: [0, slots)

/// What a policy may know of a block's content.
struct CachedPage {
  std::uint64_t key = 0;  // names the content, also after it was evicted
  double cost = 1;        // of doing without it, see recompute_cost()
};

/// Contract:
/// - inserted(): new content lies in the slot, which was not resident; hit(): resident content was asked for
/// again.
/// - victim(): of the residents that nobody holds the one to go; it is resident no more. There must be one.
/// `incoming` is the key that the room is made for, 0 where it is not known yet.
/// - dropped(): content is resident no more for another reason.
/// - hold() and let_go() bracket the time in which somebody uses a resident block: it is no victim, and
/// recency counts from let_go(). A cache-only replay never holds.
/// - Deterministic: ties end in the order of use.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  virtual void inserted(Slot slot, const CachedPage& page) = 0;
  virtual void hit(Slot slot) = 0;
  [[nodiscard]] virtual Slot victim(std::uint64_t incoming) = 0;
  virtual void dropped(Slot slot) = 0;
  virtual void hold(Slot slot) = 0;
  virtual void let_go(Slot slot) = 0;
};

/// \param slots of the cache: what shares of queues are taken of
using EvictionMaker = std::unique_ptr<EvictionPolicy> (*)(std::size_t slots);

std::unique_ptr<EvictionPolicy> make_lru_eviction(std::size_t slots);
std::unique_ptr<EvictionPolicy> make_fifo_eviction(std::size_t slots);
std::unique_ptr<EvictionPolicy> make_lfu_eviction(std::size_t slots);
std::unique_ptr<EvictionPolicy> make_slru_eviction(std::size_t slots);
std::unique_ptr<EvictionPolicy> make_arc_eviction(std::size_t slots);
std::unique_ptr<EvictionPolicy> make_two_q_eviction(std::size_t slots);
std::unique_ptr<EvictionPolicy> make_s3_fifo_eviction(std::size_t slots);
std::unique_ptr<EvictionPolicy> make_gdsf_eviction(std::size_t slots);

/// The built-in policies. One entry, belady, has no maker: it needs the future, so only a replay of a whole
/// stream can follow it (replay_belady()).
[[nodiscard]] const Catalog<EvictionMaker>& eviction_catalog();

/// What an engine computes again when a block is gone: the block and everything behind it in its prompt,
/// since only a prefix can be reused. In tokens of a short context; a token at position p costs 1 + p /
/// 30,500: attention over p tokens beside the matrices, whose ratio is parameters / (2 layers hidden) =
/// 30,500 tokens for Llama-3.1-8B. \param begin first token of the block \param end of the prompt
[[nodiscard]] double recompute_cost(std::int64_t begin, std::int64_t end);

}  // namespace kvcast
