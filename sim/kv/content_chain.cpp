#include "sim/kv/content_chain.h"

#include <algorithm>
#include <limits>

#include "sim/base/hash.h"

namespace kvcast {
namespace {

constexpr std::uint64_t mix(std::uint64_t state, std::uint64_t value) { return mix64(state ^ value); }

}  // namespace

ContentChain::ContentChain(Content&& content, std::int64_t unit)
    : content_(std::move(content)), unit_(unit), state_(mix(content_.salt, 0)) {}

void ContentChain::extend() {
  std::int64_t left = unit_;
  while (left > 0) {
    const bool in_prompt = run_ < content_.prompt.size();
    const std::int64_t rest =
        in_prompt ? content_.prompt[run_].length.value - position_ : std::numeric_limits<std::int64_t>::max();
    const std::int64_t n = std::min(left, rest);
    if (n > 0) {
      state_ = mix(state_, in_prompt ? content_.prompt[run_].segment : content_.output);
      state_ = mix(state_, (static_cast<std::uint64_t>(position_) << 20) ^ static_cast<std::uint64_t>(n));
    }
    left -= n;
    position_ += n;
    if (in_prompt && n == rest) {
      ++run_;
      position_ = 0;
    }
  }
  hashes_.push_back(state_);
}

}  // namespace kvcast
