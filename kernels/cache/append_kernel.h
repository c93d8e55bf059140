/// Append on a GPU: one warp for each head of each token. A lane holds neighbouring channels, and reads the
/// channels that they are rotated with from the same row, so that any rotary_dim needs no shuffle.
#pragma once

#include "kernels/cache/cache.h"
#include "kernels/common/device.h"
#include "kernels/common/packed.h"

namespace kvcast::kernels {

inline constexpr int kAppendThreads = 256;

/// A lane's channels of one row, rotated. \param row the head's first channel
template <int kChannels>
KVCAST_DEVICE void load_rotated(const AppendArgs<std::uint16_t>& args, Element element,
                                const std::uint16_t* row, std::int64_t position,
                                float (&x)[gpu::extent(kChannels)]) {
  const int first = gpu::thread_index() % gpu::kWarp * kChannels;
  load_elements<kChannels>(element, row + first, x);
  if (args.rotation == Rotation::none || first >= args.rotary_dim) return;
  const int half = args.rotary_dim / 2;
  const float* cosines = args.cos_sin + position * args.rotary_dim;
  const float* sines = cosines + half;
  if (args.rotation == Rotation::halves) {
    const bool low = first < half;
    float other[gpu::extent(kChannels)];
    load_elements<kChannels>(element, row + (low ? first + half : first - half), other);
    const int angle = low ? first : first - half;
    KVCAST_UNROLL
    for (int i = 0; i < kChannels; ++i) {
      const float turned = other[i] * sines[angle + i];
      x[i] = low ? x[i] * cosines[angle + i] - turned : x[i] * cosines[angle + i] + turned;
    }
    return;
  }
  KVCAST_UNROLL
  for (int i = 0; i < kChannels; i += 2) {
    const int angle = (first + i) / 2;
    const float a = x[i], b = x[i + 1];
    x[i] = a * cosines[angle] - b * sines[angle];
    x[i + 1] = b * cosines[angle] + a * sines[angle];
  }
}

/// Quantises a row that the warp holds, and writes its codes and its scale.
template <KvType type, int kChannels>
KVCAST_DEVICE void store_quantised(const float (&x)[gpu::extent(kChannels)], std::uint8_t* row,
                                   float* scale) {
  float step = 1;
  const int lane = gpu::thread_index() % gpu::kWarp;
  if constexpr (kv_has_scale(type)) {
    float largest = 0;
    KVCAST_UNROLL
    for (int i = 0; i < kChannels; ++i) {
      const float size = x[i] < 0 ? -x[i] : x[i];
      largest = size > largest ? size : largest;
    }
    KVCAST_UNROLL
    for (int mask = gpu::kWarp / 2; mask > 0; mask /= 2) {
      const float other = gpu::shuffle_xor(largest, mask);
      largest = other > largest ? other : largest;
    }
    if (largest > 0) step = largest / kv_code_max(type);
    if (lane == 0) *scale = step;
  }
  constexpr int kBits = kv_bits(type);
  Packed<kChannels * kBits / 8> packed;
  KVCAST_UNROLL
  for (int i = 0; i < kChannels; ++i)
    packed.word[i * kBits / 32] |= encode_kv(type, x[i] / step) << (i * kBits % 32);
  store_packed(row + lane * (kChannels * kBits / 8), packed);
}

/// The CTA's share of the work. head_size is 32 * kChannels.
template <KvType type, int kChannels>
KVCAST_DEVICE void append_heads(const AppendArgs<std::uint16_t>& args, Element element) {
  const CacheView& cache = args.cache;
  const int warps = kAppendThreads / gpu::kWarp;
  const int query_heads = args.q == nullptr ? 0 : args.heads;
  const std::int64_t heads = query_heads + cache.kv_heads;
  const std::int64_t stride = static_cast<std::int64_t>(gpu::block_count()) * warps;
  std::int64_t item =
      static_cast<std::int64_t>(gpu::block_index()) * warps + gpu::thread_index() / gpu::kWarp;
  for (; item < args.tokens * heads; item += stride) {
    const std::int64_t token = item / heads, head = item % heads;
    float x[gpu::extent(kChannels)];
    if (head < query_heads) {
      if (args.rotation == Rotation::none) continue;
      std::uint16_t* row = args.q + token * args.q_stride + head * cache.head_size;
      load_rotated<kChannels>(args, element, row, args.positions[token], x);
      gpu::sync_warp();  // all have read before any writes
      store_elements<kChannels>(element, row + gpu::thread_index() % gpu::kWarp * kChannels, x);
      continue;
    }
    const std::int64_t slot = args.slots[token];
    if (slot < 0) continue;
    const std::int64_t kv_head = head - query_heads;
    const std::int64_t at = cache.row(slot, kv_head), scale = cache.scale(slot, kv_head);
    load_rotated<kChannels>(args, element, args.k + token * args.k_stride + kv_head * cache.head_size,
                            args.rotation == Rotation::none ? 0 : args.positions[token], x);
    store_quantised<type, kChannels>(x, cache.k + at, cache.k_scale + scale);
    load_elements<kChannels>(element,
                             args.v + token * args.v_stride + kv_head * cache.head_size +
                                 gpu::thread_index() % gpu::kWarp * kChannels,
                             x);
    store_quantised<type, kChannels>(x, cache.v + at, cache.v_scale + scale);
  }
}

/// Slots and positions of new tokens; one thread for each token.
KVCAST_DEVICE void find_slots(const SlotArgs& args, int threads) {
  const std::int64_t total = args.start[args.seqs];
  std::int64_t token = static_cast<std::int64_t>(gpu::block_index()) * threads + gpu::thread_index();
  for (; token < total; token += static_cast<std::int64_t>(gpu::block_count()) * threads) {
    std::int64_t low = 0, high = args.seqs;  // the last sequence that starts at or before the token
    while (high - low > 1) {
      const std::int64_t middle = (low + high) / 2;
      (args.start[middle] <= token ? low : high) = middle;
    }
    args.positions[token] = args.first[low] + token - args.start[low];
    args.slots[token] =
        cache_slot(args.tables + low * args.blocks_max, args.positions[token], args.ring, args.page);
  }
}

}  // namespace kvcast::kernels
