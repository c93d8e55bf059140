/// Hashes of a sequence's prefixes, extended as far as they are asked for.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/kv/block_allocator.h"

namespace kvcast {

/// hash(i) stands for the first (i + 1) * unit tokens: equal exactly when those tokens are (up to 64-bit
/// collisions).
class ContentChain {
 public:
  ContentChain() = default;
  ContentChain(Content&& content, std::int64_t unit);

  [[nodiscard]] std::uint64_t hash(std::size_t i) {
    while (hashes_.size() <= i) extend();
    return hashes_[i];
  }

 private:
  void extend();

  Content content_;
  std::int64_t unit_ = 1;
  std::uint64_t state_ = 0;
  std::size_t run_ = 0;        // of content_.prompt; past its end: the output
  std::int64_t position_ = 0;  // in that run
  std::vector<std::uint64_t> hashes_;
};

}  // namespace kvcast
