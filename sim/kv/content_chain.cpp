#include "sim/kv/content_chain.h"

#include <algorithm>
#include <limits>

#include "sim/base/hash.h"

namespace kvcast {
namespace {

/// Of n tokens from a position of a run, behind what `state` stands for.
constexpr std::uint64_t mix(std::uint64_t state, std::uint64_t segment, std::int64_t position,
                            std::int64_t n) {
  return mix64(state ^
               (segment + (static_cast<std::uint64_t>(position) << 20U) + static_cast<std::uint64_t>(n)));
}

}  // namespace

ContentChain::ContentChain(Content&& content, std::int64_t unit)
    : content_(std::move(content)),
      unit_(unit),
      // Twice, a segment once: else segment 1 of tenant 2 would be segment 2 of tenant 1.
      state_(mix64(mix64(content_.salt))) {
  enter_run();
}

void ContentChain::enter_run() {
  segment_ = mix64(run_ < content_.prompt.size() ? content_.prompt[run_].segment : content_.output);
}

void ContentChain::extend(std::size_t count) {
  if (hashes_.empty()) {  // of a prompt all at once: what is not found is entered later
    std::int64_t prompt = 0;
    for (const Content::Run& run : content_.prompt) prompt += run.length.value;
    count = std::max(count, static_cast<std::size_t>(prompt / unit_));
    constexpr std::size_t kAnswer = 64;  // units of an answer that find room at once
    hashes_.reserve(count + kAnswer);
  }
  std::size_t at = hashes_.size();
  while (at < count) {
    const bool in_prompt = run_ < content_.prompt.size();
    const std::int64_t whole = in_prompt ? (content_.prompt[run_].length.value - position_) / unit_
                                         : std::numeric_limits<std::int64_t>::max();
    const auto n = static_cast<std::size_t>(std::min(whole, static_cast<std::int64_t>(count - at)));
    std::uint64_t state = state_;
    std::int64_t position = position_;
    hashes_.resize(at + n);
    for (std::uint64_t& hash : std::span(hashes_).subspan(at)) {
      hash = state = mix(state, segment_, position, unit_);
      position += unit_;
    }
    state_ = state;
    position_ = position;
    at += n;
    if (in_prompt && position_ == content_.prompt[run_].length.value) {  // units end where the run does
      ++run_;
      position_ = 0;
      enter_run();
    } else if (at < count) {
      hashes_.push_back(cross_runs());
      ++at;
    }
  }
}

/// The hash behind a unit of tokens of several runs.
std::uint64_t ContentChain::cross_runs() {
  std::int64_t left = unit_;
  while (left > 0) {
    const bool in_prompt = run_ < content_.prompt.size();
    const std::int64_t rest =
        in_prompt ? content_.prompt[run_].length.value - position_ : std::numeric_limits<std::int64_t>::max();
    const std::int64_t n = std::min(left, rest);
    if (n > 0) state_ = mix(state_, segment_, position_, n);
    left -= n;
    position_ += n;
    if (in_prompt && n == rest) {
      ++run_;
      position_ = 0;
      enter_run();
    }
  }
  return state_;
}

}  // namespace kvcast
