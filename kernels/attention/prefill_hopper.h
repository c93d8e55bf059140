/// Prefill over the paged cache for sm_90a: 128 query rows for each CTA, keys and values by TMA, products by
/// wgmma with queries and weights in registers. 16-bit caches, 64 or 128 channels; the rest takes
/// paged_attention.h.
///
/// Three groups of four warps. The first group's first warp brings keys and values, page by page, into a ring
/// of half stages (K and V of a tile alternate); the other two groups each have 64 rows. A half stage has two
/// barriers: `full` when its bytes are there, `empty` when both groups have multiplied with it. What the
/// groups do in turns overlaps: while one computes its softmax, the other multiplies. Source: the
/// warp-specialised form of FlashAttention 3 (Shah et al. 2024), without its overlap inside a group.
#pragma once

#include "kernels/attention/fragments.h"
#include "kernels/attention/rows.h"
#include "kernels/attention/variants.h"
#include "kernels/attention/warp_state.h"
#include "kernels/common/hopper.h"

namespace kvcast::kernels {

template <KvType kv_type, int head_size>
struct HopperConfig {
  static constexpr KvType kType = kv_type;
  static constexpr int kHead = head_size;
  static constexpr int kChannels = head_size;
  static constexpr int kSteps = head_size / 16;
  static constexpr int kGroups = 2;  // that multiply
  static constexpr int kRows = kGroups * 64;
  static constexpr int kThreads = (1 + kGroups) * gpu::kWarpGroup;
  static constexpr int kPanelBytes = kKeysPerTile * 128;  // 64 channels of all keys of a tile
  static constexpr int kPanels = head_size / 64;
  static constexpr int kHalfBytes = kPanels * kPanelBytes;
  static constexpr int kSlots = 8;
  static constexpr int kBarrierStart = kSlots * kHalfBytes;
  static constexpr int kSharedBytes = kBarrierStart + 2 * kSlots * 8;

  static KVCAST_DEVICE SharedAddress slot(int index) {
    return gpu::shared_base() + static_cast<std::uint32_t>(index * kHalfBytes);
  }
  static KVCAST_DEVICE SharedAddress full(int index) {
    return gpu::shared_base() + static_cast<std::uint32_t>(kBarrierStart + index * 8);
  }
  static KVCAST_DEVICE SharedAddress empty(int index) { return full(kSlots + index); }
};

/// A place in the ring, and which of the barrier's phases is awaited there.
template <class Config>
struct RingPlace {
  int slot = 0;
  int parity = 0;
  KVCAST_DEVICE void advance() {
    if (++slot == Config::kSlots) {
      slot = 0;
      parity ^= 1;
    }
  }
};

/// Does some row of the tile see some key of [begin, end)? All keys?
KVCAST_DEVICE bool sees_any(const AttentionArgs& args, const RowTile& tile, int begin, int end) {
  return begin < tile.key_end && (end > tile.key_first || begin < args.sink_tokens);
}
KVCAST_DEVICE bool sees_every(const AttentionArgs& args, const RowTile& tile, int begin, int end) {
  return end <= tile.key_end && (begin >= tile.key_first || end <= args.sink_tokens);
}

/// The warp that brings keys and values: each lane brings one page's (or, of pages of 128, half a page's)
/// rows of one panel. Pages of which no key is seen are not touched.
template <class Config>
KVCAST_DEVICE void bring_item(const AttentionArgs& args, const RowTile& tile, const WorkItem& item,
                              const gpu::TensorMap& keys, const gpu::TensorMap& values,
                              RingPlace<Config>& place) {
  const int rows = args.cache.page_size < kKeysPerTile ? args.cache.page_size : kKeysPerTile;  // of a box
  const int boxes = kKeysPerTile / rows * Config::kPanels;
  const int lane = lane_index();
  const int panel = lane % Config::kPanels;
  const int first_row = lane / Config::kPanels * rows;
  KVCAST_NO_UNROLL
  for (int i = item.tile_begin; i < item.tile_end; ++i) {
    const int key = tile.tiles.tile(i) * kKeysPerTile + first_row;
    const bool needed = lane < boxes && sees_any(args, tile, key, key + rows);
    const int page = needed ? gpu::load_global(args.block_table + tile.request * args.block_table_stride +
                                               key / args.cache.page_size)
                            : 0;
    int bytes = needed ? rows * 128 : 0;
    KVCAST_UNROLL
    for (int distance = 1; distance < gpu::kWarp; distance *= 2) bytes += gpu::shuffle_xor(bytes, distance);
    KVCAST_UNROLL
    for (int half = 0; half < 2; ++half) {
      gpu::barrier_wait(Config::empty(place.slot), place.parity ^ 1);
      if (lane == 0) gpu::barrier_arrive_expect(Config::full(place.slot), bytes);
      gpu::sync_warp();
      if (needed) {
        gpu::copy_box(Config::slot(place.slot) +
                          static_cast<std::uint32_t>(panel * Config::kPanelBytes + first_row * 128),
                      half == 0 ? keys : values, panel * 64, tile.kv_head, key & (args.cache.page_size - 1),
                      page, Config::full(place.slot));
      }
      place.advance();
    }
  }
}

/// Zeros the value rows of keys that nobody sees: their weights are zero, but what lies there may be no
/// number.
template <class Config>
KVCAST_DEVICE void clear_unseen_values(const AttentionArgs& args, const RowTile& tile, int key,
                                       SharedAddress values) {
  const int thread = gpu::thread_index() - gpu::kWarpGroup;
  constexpr int kChunks = Config::kPanels * 8;
  for (int i = thread; i < kKeysPerTile * kChunks; i += Config::kGroups * gpu::kWarpGroup) {
    const int row = i / kChunks;
    if (tile.sees(args, key + row)) continue;
    const int chunk = i % kChunks;
    gpu::store_shared<4>(
        values + static_cast<std::uint32_t>(chunk / 8 * Config::kPanelBytes + row * 128 + chunk % 8 * 16),
        {{0, 0, 0, 0}});
  }
  gpu::fence_async_proxy();
  gpu::sync_some(1, Config::kGroups * gpu::kWarpGroup);
}

/// The warp has multiplied with the half stage.
template <class Config>
KVCAST_DEVICE void give_back(RingPlace<Config>& place) {
  if (lane_index() == 0) gpu::barrier_arrive(Config::empty(place.slot));
  place.advance();
}

/// All key tiles of a work item, for one group of warps.
template <class Config>
KVCAST_DEVICE void multiply_item(const AttentionArgs& args, const RowTile& tile, const WorkItem& item,
                                 const QueryFragments<Config::kSteps, false>& query, const FragmentRows& rows,
                                 RingPlace<Config>& place, WarpState<Config>& state) {
  constexpr bool kBfloat = Config::kType == KvType::bf16;
  KVCAST_NO_UNROLL
  for (int i = item.tile_begin; i < item.tile_end; ++i) {
    const int key = tile.tiles.tile(i) * kKeysPerTile;
    float s[8][4] = {};
    gpu::barrier_wait(Config::full(place.slot), place.parity);
    gpu::wgmma_fence();
    KVCAST_UNROLL
    for (int step = 0; step < Config::kSteps; ++step) {
      const SharedAddress start = Config::slot(place.slot) +
                                  static_cast<std::uint32_t>(step / 4 * Config::kPanelBytes + step % 4 * 32);
      gpu::wgmma<kBfloat, false>(s, query.at(step), gpu::matrix_descriptor(start, 0, 1024), step > 0);
    }
    gpu::wgmma_commit();
    gpu::wgmma_wait();
    give_back(place);
    finish_scores<Config>(args, rows, key, 0, s);
    float shrink[2];
    state.softmax(s, shrink);
    gpu::Words<4> weights[4];
    KVCAST_UNROLL
    for (int j = 0; j < 4; ++j) weights[j] = weights_of_16<Config>(s[2 * j], s[2 * j + 1]);

    gpu::barrier_wait(Config::full(place.slot), place.parity);
    if (!sees_every(args, tile, key, key + kKeysPerTile)) {
      clear_unseen_values<Config>(args, tile, key, Config::slot(place.slot));
    }
    state.rescale(shrink);
    gpu::wgmma_fence();
    KVCAST_UNROLL
    for (int j = 0; j < 4; ++j) {
      const SharedAddress start = Config::slot(place.slot) + static_cast<std::uint32_t>(j * 16 * 128);
      gpu::wgmma<kBfloat, true>(state.out, weights[j],
                                gpu::matrix_descriptor(start, Config::kPanelBytes, 1024), true);
    }
    gpu::wgmma_commit();
    gpu::wgmma_wait();
    give_back(place);
  }
}

/// Writes a warp's 16 rows from its accumulators. Neighbouring lanes exchange halves of two blocks of 8
/// channels, so that each has four channels in a row.
template <class Config>
KVCAST_DEVICE void write_rows(const AttentionArgs& args, const PlanArrays& plan, const RowTile& tile,
                              const WorkItem& item, int first_row, WarpState<Config>& state) {
  const int lane = lane_index();
  const bool odd = lane % 2 == 1;
  KVCAST_UNROLL
  for (int i = 0; i < 2; ++i) {
    state.sum[i] += gpu::shuffle_xor(state.sum[i], 1);
    state.sum[i] += gpu::shuffle_xor(state.sum[i], 2);
    const int at = first_row + lane / 4 + 8 * i;
    const bool exists = at < tile.row_end;
    const int head = exists ? tile.head(at) : 0;
    const RowEnd end(args, head, state.maximum[i], state.sum[i]);
    KVCAST_UNROLL
    for (int t = 0; t < Config::kChannels / 8; t += 2) {
      float value[4];
      KVCAST_UNROLL
      for (int k = 0; k < 2; ++k) {
        const float other = gpu::shuffle_xor(odd ? state.out[t][2 * i + k] : state.out[t + 1][2 * i + k], 1);
        const float own = odd ? state.out[t + 1][2 * i + k] : state.out[t][2 * i + k];
        value[k] = odd ? other : own;
        value[2 + k] = odd ? own : other;
      }
      const int channel = (t + lane % 2) * 8 + lane % 4 / 2 * 4;
      if (!exists) continue;
      if (item.partial < 0) {
        store_output(args, tile.token(at), head, channel, value, end);
      } else {
        store_piece(plan, static_cast<std::int64_t>(item.partial) * Config::kRows + (at - item.row),
                    Config::kHead, channel,
                    {{bits_of(value[0]), bits_of(value[1]), bits_of(value[2]), bits_of(value[3])}},
                    state.maximum[i], state.sum[i]);
      }
    }
  }
}

/// The kernel: CTA c takes the plan's items of CTA c. The maps are of the cache's keys and values: {channel,
/// head, token in page, page} with boxes of {64, 1, min(page size, 64), 1}, swizzled by 128 bytes.
template <class Config>
KVCAST_DEVICE void prefill_hopper(const AttentionArgs& args, const PlanArrays& plan,
                                  const gpu::TensorMap& keys, const gpu::TensorMap& values) {
  const int group = gpu::thread_index() / gpu::kWarpGroup;
  const int warp = gpu::thread_index() / gpu::kWarp;
  if (gpu::thread_index() == 0) {
    for (int i = 0; i < Config::kSlots; ++i) {
      gpu::barrier_init(Config::full(i), 1);
      gpu::barrier_init(Config::empty(i), Config::kGroups * 4);
    }
    gpu::barrier_init_fence();
  }
  gpu::sync_cta();
  const int begin = gpu::load_global(plan.cta_first_item + gpu::block_index());
  const int end = gpu::load_global(plan.cta_first_item + gpu::block_index() + 1);
  RingPlace<Config> place;
  if (group == 0) {
    gpu::lower_registers<24>();
    if (warp != 0) return;
    KVCAST_NO_UNROLL
    for (int i = begin; i < end; ++i) {
      const WorkItem item = plan.items[i];
      const RowTile tile(args, item.request, item.kv_head, item.row, Config::kRows);
      bring_item<Config>(args, tile, item, keys, values, place);
    }
    return;
  }
  gpu::raise_registers<240>();
  KVCAST_NO_UNROLL
  for (int i = begin; i < end; ++i) {
    const WorkItem item = plan.items[i];
    const RowTile tile(args, item.request, item.kv_head, item.row, Config::kRows);
    const int first_row = item.row + (warp - 4) * 16;
    QueryFragments<Config::kSteps, false> query;
    float magnitude[2];
    load_query<Config::kType, Config::kHead>(query_rows(args, tile, first_row), 0, 1, query, magnitude);
    const FragmentRows rows(args, tile, first_row, magnitude, 1.0F);
    WarpState<Config> state;
    multiply_item<Config>(args, tile, item, query, rows, place, state);
    write_rows<Config>(args, plan, tile, item, first_row, state);
  }
}

}  // namespace kvcast::kernels
