/// Whole blocks on a GPU: copy-on-write, swap by mapped host memory, gather and scatter. The work is cut into
/// chunks of 16 KiB; a thread has four loads of 16 bytes under way before it stores the first.
#pragma once

#include "kernels/cache/cache.h"
#include "kernels/common/device.h"
#include "kernels/common/packed.h"

namespace kvcast::kernels {

inline constexpr int kBlocksThreads = 256;
inline constexpr int kLoadsUnderWay = 4;
inline constexpr std::int64_t kChunkWords = std::int64_t{kBlocksThreads} * kLoadsUnderWay;  // of 16 bytes

/// One chunk of one block. \param words 16-byte words of the block
KVCAST_DEVICE void copy_chunk(const std::uint8_t* from, std::uint8_t* to, std::int64_t chunk,
                              std::int64_t words) {
  Packed<16> held[gpu::extent(kLoadsUnderWay)];
  const std::int64_t first = chunk * kChunkWords + gpu::thread_index();
  KVCAST_UNROLL
  for (int i = 0; i < kLoadsUnderWay; ++i) {
    const std::int64_t word = first + std::int64_t{i} * kBlocksThreads;
    if (word < words) held[i] = load_packed<16>(from + word * 16);
  }
  KVCAST_UNROLL
  for (int i = 0; i < kLoadsUnderWay; ++i) {
    const std::int64_t word = first + std::int64_t{i} * kBlocksThreads;
    if (word < words) store_packed(to + word * 16, held[i]);
  }
}

/// The CTA's share of chunks; `place(pair, pool)` gives a block's source and target.
template <class Place>
KVCAST_DEVICE void copy_chunks(std::int64_t pairs, std::int64_t pools, std::int64_t block_bytes,
                               const Place& place) {
  const std::int64_t words = block_bytes / 16;
  const std::int64_t chunks = (words + kChunkWords - 1) / kChunkWords;
  for (std::int64_t unit = gpu::block_index(); unit < pairs * pools * chunks; unit += gpu::block_count()) {
    const std::uint8_t* from = nullptr;
    std::uint8_t* to = nullptr;
    place(unit / chunks / pools, unit / chunks % pools, from, to);
    copy_chunk(from, to, unit % chunks, words);
  }
}

KVCAST_DEVICE void copy_pairs(const CopyBlocksArgs& args) {
  copy_chunks(args.pairs, args.pools, args.block_bytes,
              [&args](std::int64_t pair, std::int64_t pool, const std::uint8_t*& from, std::uint8_t*& to) {
                from = args.sources[pool] + args.from[pair] * args.block_bytes;
                to = args.targets[pool] + args.to[pair] * args.block_bytes;
              });
}

template <bool kScatter>
KVCAST_DEVICE void move_dense(const GatherBlocksArgs& args) {
  copy_chunks(args.count, args.pool_count, args.block_bytes,
              [&args](std::int64_t i, std::int64_t pool, const std::uint8_t*& from, std::uint8_t*& to) {
                std::uint8_t* paged = args.pools[pool] + args.blocks[i] * args.block_bytes;
                std::uint8_t* dense = args.dense + (i * args.pool_count + pool) * args.block_bytes;
                from = kScatter ? dense : paged;
                to = kScatter ? paged : dense;
              });
}

}  // namespace kvcast::kernels
