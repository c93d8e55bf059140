/// The doors between a replica's blocks and what keeps KV elsewhere.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

class BlockAllocator;
struct BlockTable;

/// Contract: told of blocks that can be found again, by the key of their content.
class BlockWatcher {
 public:
  virtual ~BlockWatcher() = default;
  /// Where keys are appended of blocks that nobody uses any more; they stay where they are until their room
  /// is needed. Does not change.
  [[nodiscard]] virtual std::vector<std::uint64_t>& released() = 0;
  /// Whether evicted() is of interest; does not change.
  [[nodiscard]] virtual bool hears_of_evictions() const { return true; }
  /// The block's room was taken for another; nothing of the content is left.
  virtual void evicted(std::uint64_t key) = 0;
};

/// Contract: brings prefixes of waiting sequences in from elsewhere.
/// - begins() is asked of the head of the queue; only the first call since admission or forget() may begin a
/// load.
///   True: the sequence waits for it, apart from the queue; its engine learns of the end.
/// - arrives() is asked once of a sequence that enters the queue, with prefetches(): a load may begin, which
///   nobody waits for before the sequence is the head.
/// - usable(): tokens that need no computing, where `found` are in the pool: more where a load has brought
/// those behind.
/// - admitted(): the sequence has taken what was loaded.
class PrefixLoader {
 public:
  virtual ~PrefixLoader() = default;
  [[nodiscard]] virtual bool begins(std::uint32_t seq, BlockAllocator& allocator, BlockTable& table,
                                    Tokens found, Tokens known) = 0;
  [[nodiscard]] virtual bool prefetches() const { return false; }
  virtual void arrives(std::uint32_t /*seq*/, BlockAllocator& /*allocator*/, BlockTable& /*table*/,
                       Tokens /*found*/, Tokens /*known*/) {}
  [[nodiscard]] virtual Tokens usable(std::uint32_t seq, Tokens found) const = 0;
  virtual void admitted(std::uint32_t seq) = 0;
  virtual void forget(std::uint32_t seq) = 0;
};

}  // namespace kvcast
