/// Adds the pieces of divided row tiles, in order of their keys: one CTA for each row tile, one warp for each
/// row.
#pragma once

#include "kernels/attention/rows.h"

namespace kvcast::kernels {

inline constexpr int kMergeThreads = 128;

KVCAST_DEVICE void merge_pieces(const AttentionArgs& args, const PlanArrays& plan, int rows_per_tile) {
  const MergeItem item = plan.merges[gpu::block_index()];
  const RowTile tile(args, item.request, item.kv_head, item.row, rows_per_tile);
  const int lane = gpu::thread_index() % gpu::kWarp;
  KVCAST_NO_UNROLL
  for (int row = gpu::thread_index() / gpu::kWarp; row < tile.row_end - item.row;
       row += kMergeThreads / gpu::kWarp) {
    const auto place = [&](int piece) { return static_cast<std::int64_t>(piece) * rows_per_tile + row; };
    float maximum = -INFINITY;
    for (int piece = item.partial_begin; piece < item.partial_end; ++piece) {
      maximum = fmaxf(maximum, gpu::load_global(plan.partial_stat + 2 * place(piece)));
    }
    const int head = tile.head(item.row + row);
    for (int channel = lane * 4; channel < args.value_size; channel += gpu::kWarp * 4) {
      float sum = 0;
      float value[4] = {};
      for (int piece = item.partial_begin; piece < item.partial_end; ++piece) {
        const float piece_maximum = gpu::load_global(plan.partial_stat + 2 * place(piece));
        if (piece_maximum == -INFINITY) continue;
        const float factor = gpu::exp2_fast(piece_maximum - maximum);
        sum += gpu::load_global(plan.partial_stat + 2 * place(piece) + 1) * factor;
        const float* from = plan.partial_out + place(piece) * args.value_size + channel;
        const gpu::Words<4> four = gpu::load_global(reinterpret_cast<const gpu::Words<4>*>(from));
        KVCAST_UNROLL
        for (int k = 0; k < 4; ++k) value[k] += float_of(four.word[k]) * factor;
      }
      store_output(args, tile.token(item.row + row), head, channel, value, RowEnd(args, head, maximum, sum));
    }
  }
}

}  // namespace kvcast::kernels
