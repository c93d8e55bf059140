/// Score accumulation on a GPU: one warp for each cached token of each KV head. No two warps add to the same
/// score, so that the result is the same in every run.
#pragma once

#include "kernels/cache/cache.h"
#include "kernels/common/device.h"
#include "kernels/common/packed.h"

namespace kvcast::kernels {

inline constexpr int kScoresThreads = 256;

/// The value of a code before its scale. NF4's levels are chosen one after the other: a table with a varying
/// index would need a stack.
template <KvType type>
KVCAST_DEVICE float decode_by_choice(std::uint32_t code) {
  if constexpr (type != KvType::nf4) return decode_kv(type, code);
  float level = nf4_level(0);
  KVCAST_UNROLL
  for (std::uint32_t i = 1; i < 16; ++i) level = code == i ? nf4_level(i) : level;
  return level;
}

/// \param context_max the longest context: the work is seqs * kv_heads * context_max warps, below 2^32
template <KvType type>
KVCAST_DEVICE void add_scores(const AccumulateScoresArgs<std::uint16_t>& args, Element element,
                              std::int64_t context_max) {
  const CacheView& cache = args.cache;
  const int warps = kScoresThreads / gpu::kWarp;
  const int lane = gpu::thread_index() % gpu::kWarp;
  const std::int64_t group = args.heads / cache.kv_heads;
  const auto length = static_cast<std::uint32_t>(context_max),
             heads = static_cast<std::uint32_t>(cache.kv_heads);
  const std::uint32_t items = static_cast<std::uint32_t>(args.seqs) * heads * length;
  const auto stride = static_cast<std::uint32_t>(gpu::block_count() * warps);
  auto item = static_cast<std::uint32_t>(gpu::block_index() * warps + gpu::thread_index() / gpu::kWarp);
  for (; item < items; item += stride) {
    const std::uint32_t token = item % length;
    const std::int64_t kv_head = item / length % heads;
    const std::int64_t seq = item / length / heads;
    if (token >= args.context[seq]) continue;
    const std::int64_t slot = cache_slot(args.tables + seq * args.blocks_max, token, 0, cache.page);
    const std::uint8_t* row = cache.k + cache.row(slot, kv_head);
    const float scale = kv_has_scale(type) ? cache.k_scale[cache.scale(slot, kv_head)] : 1.0F;
    float weight = 0;
    for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      const std::uint16_t* q = args.q + (seq * args.heads + head) * cache.head_size;
      float product = 0;
      for (int i = lane; i < cache.head_size; i += gpu::kWarp)
        product += element_to_float(element, q[i]) * decode_by_choice<type>(load_kv_code(type, row, i));
      for (int mask = gpu::kWarp / 2; mask > 0; mask /= 2) product += gpu::shuffle_xor(product, mask);
      constexpr float kLog2e = 1.44269504F;
      weight += gpu::exp2_fast((product * scale * args.scale - args.lse[seq * args.heads + head]) * kLog2e);
    }
    if (lane == 0) args.scores[slot * cache.kv_heads + kv_head] += weight;
  }
}

}  // namespace kvcast::kernels
