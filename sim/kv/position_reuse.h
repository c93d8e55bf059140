/// Reuse of cached KV where it is not the beginning of a prompt: what the way in which keys know their
/// position permits.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/kv/block_allocator.h"
#include "sim/kv/block_pool.h"
#include "sim/kv/eviction.h"

namespace kvcast {

/// How a model's keys know where they stand.
enum class PositionScheme : std::uint8_t {
  rope,     // rotated by their absolute position before they are cached (Su et al. 2021)
  alibi,    // not at all: distance is a bias of the scores (Press et al. 2022)
  learned,  // an embedding of the position is added to the first layer's input (GPT-2, OPT)
  none,     // no positions (NoPE; order comes from the causal mask or other layers)
};
[[nodiscard]] std::string_view to_string(PositionScheme scheme);

/// What cached KV of some tokens is worth in another prompt.
enum class Reuse : std::uint8_t {
  exact,     // same tokens before it, so same position: the KV is what would be computed
  in_place,  // same position behind other tokens: some tokens must be computed again, since deeper layers saw
             // those
  moved,     // another position too, and the keys do not say where they stand
  rotated,   // another position: keys are rotated by the difference first, which is exact for that part
  not_reusable  // another position, and every layer's keys and values depend on it
};
/// \param same_context the tokens before are the same
[[nodiscard]] Reuse reuse_of(PositionScheme scheme, bool same_context, bool same_position);

/// Prompts as chunks of their segments, wherever these stand.
class SegmentStream {
 public:
  struct Reference {
    std::uint32_t chunk;    // number of the content
    std::int64_t position;  // of its first token
    std::int64_t tokens;
    std::uint64_t context;  // hash of all tokens before it
  };
  /// \param chunk_tokens a segment is cut into so many tokens from its own beginning
  explicit SegmentStream(std::int64_t chunk_tokens) : chunk_tokens_(chunk_tokens) {}

  void add(const Content& content);

  [[nodiscard]] const std::vector<Reference>& references() const { return references_; }
  /// Where each request's references end.
  [[nodiscard]] const std::vector<std::size_t>& ends() const { return ends_; }
  [[nodiscard]] std::size_t distinct() const { return keys_.size(); }
  [[nodiscard]] std::uint64_t key(std::uint32_t chunk) const { return keys_[chunk]; }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }

 private:
  std::int64_t chunk_tokens_;
  KeyMap numbers_;  // chunk + 1 by key
  std::vector<std::uint64_t> keys_;
  std::vector<Reference> references_;
  std::vector<std::size_t> ends_;
  std::int64_t tokens_ = 0;
};

/// Prompt tokens by what a store of chunks could do for them.
struct PositionResult {
  std::size_t capacity = 0;  // chunks
  std::int64_t exact = 0, in_place = 0, moved = 0, rotated = 0, not_reusable = 0;

  [[nodiscard]] std::int64_t reused() const { return in_place + moved + rotated; }
  /// Tokens that need not be computed when `recompute` of the reused ones are computed again to blend them in
  /// (CacheBlend, Yao et al., EuroSys 2025: about 0.15).
  [[nodiscard]] double saved(double recompute) const {
    return static_cast<double>(exact) + (1 - recompute) * static_cast<double>(reused());
  }
};

/// A store of chunks of one size. A chunk keeps the position and context of the prompt that computed it; what
/// it is worth is checked at every find against the position and context where it is wanted.
[[nodiscard]] PositionResult replay_positions(const SegmentStream& stream, PositionScheme scheme,
                                              EvictionMaker maker, std::size_t capacity);

}  // namespace kvcast
