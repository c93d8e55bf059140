/// What a query row sees and what becomes of its scores: positions, masks, soft cap, ALiBi, the end of its
/// softmax.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/common/device.h"

namespace kvcast::kernels {

inline constexpr float kLog2E = 1.4426950408889634F;
inline constexpr float kLn2 = 0.6931471805599453F;

/// The row tile that a work item is about, and the keys that it sees.
struct RowTile {
  int request;
  int kv_head;
  int group;      // query heads for each KV head
  int row;        // the first
  int row_end;    // one past the last
  int q_first;    // the request's first query token
  int position;   // of that token
  int key_end;    // one past the last key that a row sees
  int key_first;  // the first key in the first row's window
  KeyTiles tiles;

  KVCAST_DEVICE RowTile(const AttentionArgs& args, int at_request, int at_kv_head, int first_row, int rows) {
    request = at_request;
    kv_head = at_kv_head;
    group = args.q_heads / args.kv_heads;
    q_first = gpu::load_global(args.q_start + request);
    const int q_len = gpu::load_global(args.q_start + request + 1) - q_first;
    const int kv_len = gpu::load_global(args.kv_len + request);
    row = first_row;
    row_end = q_len * group < row + rows ? q_len * group : row + rows;
    position = kv_len - q_len;
    const int last = (row_end - 1) / group;
    tiles = key_tiles(q_len, kv_len, row / group, last, args.window, args.sink_tokens);
    key_end = position + last + 1;
    key_first = args.window > 0 ? position + row / group - args.window + 1 : 0;
  }

  /// Does some row of the tile see the key?
  KVCAST_DEVICE bool sees(const AttentionArgs& args, int key) const {
    return key < key_end && (key >= key_first || key < args.sink_tokens);
  }
  KVCAST_DEVICE int token(int at) const { return q_first + at / group; }
  KVCAST_DEVICE int head(int at) const { return kv_head * group + at % group; }
  /// -1 for a row that does not exist: it sees nothing.
  KVCAST_DEVICE int row_position(int at) const { return at < row_end ? position + at / group : -1; }
};

/// The two rows that a lane's C fragments belong to.
struct FragmentRows {
  int position[2];
  float scale[2];  // of q . k, magnitude of the query row and unit of the cache codes included; log2 domain
                   // unless capped
  float slope[2];  // ALiBi, log2 domain

  KVCAST_DEVICE FragmentRows(const AttentionArgs& args, const RowTile& tile, int first_row,
                             const float (&magnitude)[2], float unit) {
    KVCAST_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int row = first_row + (gpu::thread_index() % gpu::kWarp) / 4 + 8 * i;
      position[i] = tile.row_position(row);
      scale[i] = args.scale * magnitude[i] * unit * (args.soft_cap > 0 ? 1.0F : kLog2E);
      slope[i] = args.alibi_slopes != nullptr && row < tile.row_end
                     ? gpu::load_global(args.alibi_slopes + tile.head(row)) * kLog2E
                     : 0.0F;
    }
  }

  /// Do both rows see all of `count` keys from `key` on?
  KVCAST_DEVICE bool see_all(const AttentionArgs& args, int key, int count) const {
    const int low = position[0] < position[1] ? position[0] : position[1];
    const int high = position[0] < position[1] ? position[1] : position[0];
    return key + count - 1 <= low && (args.window == 0 || key > high - args.window);
  }

  /// A raw score becomes a logit in the log2 domain.
  KVCAST_DEVICE float logit(const AttentionArgs& args, float score, int i, int key) const {
    float x = score * scale[i];
    if (args.soft_cap > 0) {
      // tanh(y) = 1 - 2 / (exp(2 y) + 1), which is right at both ends.
      const float e = gpu::exp2_fast(x / args.soft_cap * (2.0F * kLog2E));
      x = args.soft_cap * kLog2E * (1.0F - 2.0F * gpu::reciprocal_fast(e + 1.0F));
    }
    if (args.alibi_slopes != nullptr) x += slope[i] * static_cast<float>(key - position[i]);
    return x;
  }

  KVCAST_DEVICE bool sees(const AttentionArgs& args, int i, int key) const {
    return key <= position[i] &&
           (args.window == 0 || key > position[i] - args.window || key < args.sink_tokens);
  }
};

/// The end of a row's softmax: what its sum of weighted values is multiplied with, and the lse.
struct RowEnd {
  float factor;
  float lse;

  /// \param maximum in the log2 domain, minus infinity if no key was seen; \param sum of 2^(logit - maximum)
  KVCAST_DEVICE RowEnd(const AttentionArgs& args, int head, float maximum, float sum) {
    if (maximum == -INFINITY) {
      factor = 0;
      lse = -INFINITY;
      return;
    }
    float all = sum;
    if (args.sink_logits != nullptr) {
      const float sink = gpu::load_global(args.sink_logits + head) * kLog2E;
      if (sink > maximum) {  // keep the exponent small
        const float shrink = gpu::exp2_fast(maximum - sink);
        factor = shrink / (sum * shrink + 1.0F);
        lse = kLn2 * (sink + gpu::log2_fast(sum * shrink + 1.0F));
        return;
      }
      all += gpu::exp2_fast(sink - maximum);
    }
    factor = 1.0F / all;
    lse = kLn2 * (maximum + gpu::log2_fast(all));
  }
};

/// Writes four channels of an output row, and the row's lse with its first.
KVCAST_DEVICE void store_output(const AttentionArgs& args, int token, int head, int channel,
                                const float (&value)[4], const RowEnd& end) {
  gpu::Words<2> words;
  KVCAST_UNROLL
  for (int i = 0; i < 2; ++i) {
    const float low = value[2 * i] * end.factor;
    const float high = value[2 * i + 1] * end.factor;
    words.word[i] = args.q_type == QueryType::bf16 ? gpu::pack_bfloat(low, high) : gpu::pack_half(low, high);
  }
  std::uint16_t* row = args.out + token * args.out_token_stride + head * args.out_head_stride;
  gpu::store_global(reinterpret_cast<gpu::Words<2>*>(row + channel), words);
  if (channel == 0 && args.lse != nullptr) {
    gpu::store_global(args.lse + static_cast<std::int64_t>(token) * args.q_heads + head, end.lse);
  }
}

}  // namespace kvcast::kernels
