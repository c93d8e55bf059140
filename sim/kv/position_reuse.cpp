#include "sim/kv/position_reuse.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/hash.h"

namespace kvcast {

std::string_view to_string(PositionScheme scheme) {
  switch (scheme) {
    case PositionScheme::rope:
      return "rope";
    case PositionScheme::alibi:
      return "alibi";
    case PositionScheme::learned:
      return "learned";
    case PositionScheme::none:
      return "none";
  }
  return "";
}

Reuse reuse_of(PositionScheme scheme, bool same_context, bool same_position) {
  KVCAST_CHECK(same_position || !same_context);
  if (same_context) return Reuse::exact;
  if (same_position) return Reuse::in_place;
  if (scheme == PositionScheme::rope) return Reuse::rotated;
  return scheme == PositionScheme::learned ? Reuse::not_reusable : Reuse::moved;
}

void SegmentStream::add(const Content& content) {
  std::uint64_t context = mix64(content.salt);
  std::int64_t position = 0;
  for (const Content::Run& run : content.prompt) {
    for (std::int64_t begin = 0; begin < run.length.value; begin += chunk_tokens_) {
      const std::int64_t tokens = std::min(chunk_tokens_, run.length.value - begin);
      const std::uint64_t part =
          mix64(static_cast<std::uint64_t>(begin) << 32U ^ static_cast<std::uint64_t>(tokens));
      const std::uint64_t key = mix64(mix64(content.salt ^ run.segment) ^ part) | 1U;
      BlockId number = numbers_.find(key);
      if (number == kNullBlock) {
        keys_.push_back(key);
        number = static_cast<BlockId>(keys_.size());
        numbers_.set(key, number);
      }
      references_.push_back({number - 1, position, tokens, context});
      context = mix64(context ^ key);
      position += tokens;
    }
  }
  tokens_ += position;
  ends_.push_back(references_.size());
}

namespace {

constexpr Slot kAbsent = ~Slot{0};

struct Stored {
  std::uint32_t chunk = 0;
  std::int64_t position = 0;
  std::uint64_t context = 0;
};

void count(PositionResult& result, Reuse reuse, std::int64_t tokens) {
  switch (reuse) {
    case Reuse::exact:
      result.exact += tokens;
      return;
    case Reuse::in_place:
      result.in_place += tokens;
      return;
    case Reuse::moved:
      result.moved += tokens;
      return;
    case Reuse::rotated:
      result.rotated += tokens;
      return;
    case Reuse::not_reusable:
      result.not_reusable += tokens;
      return;
  }
}

}  // namespace

PositionResult replay_positions(const SegmentStream& stream, PositionScheme scheme, EvictionMaker maker,
                                std::size_t capacity) {
  PositionResult result;
  result.capacity = capacity;
  if (capacity == 0) return result;
  const std::size_t slots = std::min(capacity, stream.distinct());
  const auto policy = maker(capacity);
  std::vector<Slot> slot_of(stream.distinct(), kAbsent);
  std::vector<Stored> stored(slots);
  Slot used = 0;
  std::size_t begin = 0;
  for (const std::size_t end : stream.ends()) {
    for (std::size_t i = begin; i < end; ++i) {
      const SegmentStream::Reference& wanted = stream.references()[i];
      const Slot found = slot_of[wanted.chunk];
      if (found == kAbsent) continue;
      const bool same_context = stored[found].context == wanted.context;
      count(result, reuse_of(scheme, same_context, stored[found].position == wanted.position), wanted.tokens);
    }
    for (; begin < end; ++begin) {
      const SegmentStream::Reference& wanted = stream.references()[begin];
      if (slot_of[wanted.chunk] != kAbsent) {
        policy->hit(slot_of[wanted.chunk]);
        continue;
      }
      const Slot slot = used < slots ? used++ : policy->victim(stream.key(wanted.chunk));
      if (slot_of[stored[slot].chunk] == slot) slot_of[stored[slot].chunk] = kAbsent;
      slot_of[wanted.chunk] = slot;
      stored[slot] = {wanted.chunk, wanted.position, wanted.context};
      policy->inserted(
          slot, {stream.key(wanted.chunk), recompute_cost(wanted.position, wanted.position + wanted.tokens)});
    }
  }
  return result;
}

}  // namespace kvcast
