/// Divides attention over ragged requests into equal work for a fixed number of CTAs, on the host. The same
/// plan drives the GPU kernels, their emulation, the planned CPU reference and the model of their time.
///
/// The rows of one (request, KV head) are its query tokens times the heads of the group: row = token * group
/// + head in the group. They are cut into tiles of `rows_per_tile`; the keys that a row tile sees are cut
/// into tiles of kKeysPerTile. All key tiles of all row tiles in a row (requests, then KV heads, then row
/// tiles) are one long line of equal pieces of work, and CTA c takes the c-th equal part of it. A row tile
/// that ends up in more than one CTA is written in pieces (partials), which the merge kernel adds in order of
/// their keys: always the same order, so results are the same every time. Source: the persistent equal-work
/// grid of FlashMLA's scheduler, and stream-K (Osama et al. 2023).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/portable.h"

namespace kvcast::kernels {

inline constexpr int kKeysPerTile = 64;

/// Work on key tiles [tile_begin, tile_end) of one row tile. Tiles are counted along those that the row tile
/// sees (KeyTiles). tile_begin == tile_end: no key is seen, only the output is written.
struct WorkItem {
  std::int32_t request = 0;
  std::int32_t kv_head = 0;
  std::int32_t row = 0;  // the first row of the row tile
  std::int32_t tile_begin = 0;
  std::int32_t tile_end = 0;
  std::int32_t partial = -1;  // where a piece goes; -1: the work is whole and goes to the output
};

/// A row tile whose pieces are partials [partial_begin, partial_end), in order of keys.
struct MergeItem {
  std::int32_t request = 0;
  std::int32_t kv_head = 0;
  std::int32_t row = 0;
  std::int32_t partial_begin = 0;
  std::int32_t partial_end = 0;
};

/// The key tiles that the rows [row, row_end) of a request see: the tiles of the sink tokens, then those from
/// the first row's window to the last row's own position.
struct KeyTiles {
  std::int32_t sink_tiles = 0;  // tiles 0 .. sink_tiles - 1
  std::int32_t first = 0;       // then first, first + 1, ...
  std::int32_t count = 0;       // of all

  [[nodiscard]] KVCAST_HOST_DEVICE constexpr std::int32_t tile(std::int32_t i) const {
    return i < sink_tiles ? i : first + (i - sink_tiles);
  }
};

/// \param q_len, kv_len  tokens of the request; \param token_first, token_last  the row tile's first and last
/// token
KVCAST_HOST_DEVICE constexpr KeyTiles key_tiles(int q_len, int kv_len, int token_first, int token_last,
                                                int window, int sink_tokens) {
  KeyTiles tiles;
  const int last_position = kv_len - q_len + token_last;
  if (last_position < 0) return tiles;
  const int end = last_position / kKeysPerTile + 1;
  const int first_key = window > 0 ? kv_len - q_len + token_first - window + 1 : 0;
  tiles.first = first_key > 0 ? first_key / kKeysPerTile : 0;
  if (window > 0 && sink_tokens > 0) {
    const int sinks = (sink_tokens + kKeysPerTile - 1) / kKeysPerTile;
    tiles.sink_tiles = sinks < tiles.first ? sinks : tiles.first;
  }
  tiles.count = tiles.sink_tiles + end - tiles.first;
  return tiles;
}

struct PlanInput {
  std::span<const std::int32_t> q_len;   // [requests]
  std::span<const std::int32_t> kv_len;  // [requests]
  int group = 1;                         // query heads for each KV head
  int kv_heads = 1;
  int rows_per_tile = 16;
  int window = 0;
  int sink_tokens = 0;
  int ctas = 1;  // on a GPU: SMs times CTAs that fit on one
  /// No CTA gets fewer key tiles than this: pieces of one or two tiles cost more to merge than they gain.
  int min_tiles = 4;
};

struct Plan {
  std::vector<WorkItem> items;  // in the order of CTAs
  std::vector<std::int32_t>
      cta_first_item;  // [ctas + 1]: CTA c does items [cta_first_item[c], cta_first_item[c + 1])
  std::vector<MergeItem> merges;
  std::int32_t partials = 0;
  std::int32_t rows_per_tile = 16;
  std::int64_t tiles = 0;          // key tiles of all items
  std::int32_t tiles_per_cta = 0;  // of the busiest CTA

  [[nodiscard]] int ctas() const { return static_cast<int>(cta_first_item.size()) - 1; }
};

/// \throws std::invalid_argument if a count is not positive or a length is negative
[[nodiscard]] Plan plan_attention(const PlanInput& input);

}  // namespace kvcast::kernels
