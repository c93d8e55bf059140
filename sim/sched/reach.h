/// What bounded layers attend to of a sequence: layers with a window, with a budget of kept tokens, or that
/// select what they read.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/base/units.h"

namespace kvcast {

/// Contract: of a sequence of `known` tokens whose prompt has `input`, a decode step attends in bounded
/// layers to min(known - dropped(input), cap) tokens; with chunks to those of the newest token's chunk,
/// (known - 1) mod cap + 1.
struct Reach {
  std::int64_t cap = 0;     // most tokens; 0: no bound
  std::int64_t prompt = 0;  // most tokens of a prompt that stay once it is computed; 0: all
  bool everywhere = false;  // every layer is bounded so: no layer attends to more
  bool in_prompts = false;  // queries of a prompt are bounded by the cap too, as by a window
  /// The bound is no window but a chunk: tokens attend to those before them in their own chunk of `cap`
  /// tokens (chunked local attention, Llama 4).
  bool chunks = false;

  [[nodiscard]] bool on() const { return cap > 0 || prompt > 0; }

  [[nodiscard]] std::int64_t dropped(Tokens input) const {
    return prompt > 0 ? std::max<std::int64_t>(0, input.value - prompt) : 0;
  }
  [[nodiscard]] std::int64_t of(std::int64_t known, std::int64_t dropped) const {
    if (chunks) return (known - 1) % cap + 1;
    return cap > 0 ? std::min(known - dropped, cap) : known - dropped;
  }

  /// Whether prompts are counted for bounded layers apart from the others.
  [[nodiscard]] bool counts_prompts_apart() const { return chunks && !everywhere; }
  /// Keys that a prompt's part of n tokens after `held` ones reads in chunks, and its query-key pairs.
  [[nodiscard]] std::int64_t chunk_keys(std::int64_t held, std::int64_t n) const { return held % cap + n; }
  [[nodiscard]] std::int64_t chunk_pairs(std::int64_t held, std::int64_t n) const {
    const auto below = [this](std::int64_t tokens) {
      const std::int64_t rest = tokens % cap;
      return tokens / cap * (cap * (cap + 1) / 2) + rest * (rest + 1) / 2;
    };
    return below(held + n) - below(held);
  }

  /// Keys that a prompt chunk of n tokens after `held` ones reads.
  [[nodiscard]] std::int64_t keys(std::int64_t held, std::int64_t n) const {
    if (chunks && everywhere) return chunk_keys(held, n);
    return bounds_prompts() ? std::min(held, cap - 1) + n : held + n;
  }
  /// Its query-key pairs: the query behind p tokens sees min(p + 1, cap) of them.
  [[nodiscard]] std::int64_t pairs(std::int64_t held, std::int64_t n) const {
    if (chunks && everywhere) return chunk_pairs(held, n);
    const std::int64_t rising = bounds_prompts() ? std::clamp<std::int64_t>(cap - held, 0, n) : n;
    return rising * held + rising * (rising + 1) / 2 + (n - rising) * cap;
  }

 private:
  [[nodiscard]] bool bounds_prompts() const { return everywhere && in_prompts && cap > 0; }
};

}  // namespace kvcast
