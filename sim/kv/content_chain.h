/// Hashes of a sequence's prefixes, extended as far as they are asked for.
#pragma once

#include <cstdint>
#include <span>
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
    if (hashes_.size() <= i) [[unlikely]]
      extend(i + 1);
    return hashes_[i];
  }
  /// hash(0) to hash(count - 1).
  [[nodiscard]] std::span<const std::uint64_t> first(std::size_t count) {
    if (hashes_.size() < count) extend(count);
    return {hashes_.data(), count};
  }

 private:
  void extend(std::size_t count);
  [[nodiscard]] std::uint64_t cross_runs();
  void enter_run();

  Content content_;
  std::int64_t unit_ = 1;
  std::uint64_t state_ = 0;
  std::uint64_t segment_ = 0;  // of the run, mixed
  std::size_t run_ = 0;        // of content_.prompt; past its end: the output
  std::int64_t position_ = 0;  // in that run
  std::vector<std::uint64_t> hashes_;
};

}  // namespace kvcast
