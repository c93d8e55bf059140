/// Runs of neighbouring blocks: what a swap hands to the copy engines. Descriptors cost about half a
/// microsecond each, so that merging them is worth more than anything else for small blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cache/cache.h"

namespace kvcast::kernels {

struct BlockRun {
  std::int64_t from = 0, to = 0;  // first blocks
  std::int64_t count = 0;
  bool operator==(const BlockRun&) const = default;
};

/// The pairs in their order, neighbours in both pools as one run.
[[nodiscard]] inline std::vector<BlockRun> merge_runs(const CopyBlocksArgs& args) {
  std::vector<BlockRun> runs;
  for (std::int64_t i = 0; i < args.pairs; ++i) {
    if (!runs.empty()) {
      BlockRun& last = runs.back();
      if (args.from[i] == last.from + last.count && args.to[i] == last.to + last.count) {
        ++last.count;
        continue;
      }
    }
    runs.push_back({args.from[i], args.to[i], 1});
  }
  return runs;
}

}  // namespace kvcast::kernels
