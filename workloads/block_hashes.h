/// Prompt content from a list of block hashes, shared by the formats that have them.
#pragma once

#include <cstdint>
#include <vector>

#include "workloads/segments.h"

namespace kvcast {

/// Appends one segment for each hash.
/// \param space what the hashes are local to (a trace, a session)
/// \param block tokens of a full block; the last one ends with the prompt
/// \param tail_key names the tokens after the last hashed block, which nobody shares, when the hashes cover
/// only full blocks
inline void append_blocks(std::vector<PromptSegment>& content, std::uint64_t space,
                          const std::vector<std::uint64_t>& hashes, std::int64_t block, std::int64_t input,
                          std::uint64_t tail_key) {
  std::int64_t left = input;
  content.reserve(hashes.size() + 1);
  for (const std::uint64_t hash : hashes) {
    const std::int64_t length = left < block ? left : block;
    content.push_back({numbered_segment(space, hash), Tokens{length}});
    left -= length;
  }
  if (left > 0) content.push_back({numbered_segment(~space, tail_key), Tokens{left}});
}

}  // namespace kvcast
