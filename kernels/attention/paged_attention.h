/// Attention over the paged cache with mma.sync, for sm_80 and later: decode, speculative verification and
/// chunked prefill. See ../../docs/kernels.md for the design.
///
/// A CTA has four warps (256 channels: eight) and takes work items (plan.h) one after the other. Two forms:
///   decode   a row tile is 16 rows, and each warp takes 16 of the 64 keys of every key tile. Warps load
///   their own
///            keys and never wait for one another until their shares are added, in order of warps, at the
///            end.
///   prefill  a row tile is 64 rows, each warp takes 16 of them and all keys; the warps load each key tile
///   together.
/// With 256 channels a row's accumulators are divided between two warps, which both multiply its scores.
/// Keys and values travel by cp.async through a ring of kSlots half stages, K and V of a tile alternating.
#pragma once

#include "kernels/attention/fragments.h"
#include "kernels/attention/rows.h"
#include "kernels/attention/variants.h"
#include "kernels/attention/warp_state.h"

namespace kvcast::kernels {

/// Everything that follows from the template's arguments.
template <KvType kv_type, int head_size, Form kernel_form>
struct PagedConfig {
  static constexpr KvType kType = kv_type;
  static constexpr int kHead = head_size;
  static constexpr bool kDecode = kernel_form == Form::decode;
  static constexpr int kParts = 4;                          // of the rows, or in decode of the keys
  static constexpr int kColumns = head_size > 128 ? 2 : 1;  // warps that share a part; each has its channels
  static constexpr int kChannels = head_size / kColumns;
  static constexpr int kThreads = kParts * kColumns * gpu::kWarp;
  static constexpr int kRows = kDecode ? 16 : 64;                // of a row tile
  static constexpr int kWarpKeys = kDecode ? 16 : kKeysPerTile;  // of a key tile, that a warp multiplies
  static constexpr int kSteps = head_size / 16;
  /// 256 channels of accumulators, or the scores of 64 keys, leave no room for the query's fragments.
  static constexpr bool kQueryInShared = head_size > 128 || (!kDecode && head_size > 64);
  using Layout = TileLayout<kv_type, head_size, kWarpKeys>;

  static constexpr int kHalfBytes = kKeysPerTile * Layout::kRowBytes;
  static constexpr int kScaleBytes = is_packed(kv_type) ? kKeysPerTile * 4 : 0;
  static constexpr int kQueryBytes = kQueryInShared ? kSteps * gpu::kWarp * 16 * (kDecode ? 1 : kParts) : 0;
  /// 96 KiB fit one CTA on an SM of sm_89 and two on one of sm_90.
  static constexpr int kSlots =
      (96 * 1024 - kQueryBytes) / kHalfBytes < 8 ? (96 * 1024 - kQueryBytes) / kHalfBytes : 8;
  static_assert(kSlots >= 2);

  static constexpr int kScaleStart = kSlots * kHalfBytes;
  static constexpr int kQueryStart = kScaleStart + kSlots * kScaleBytes;
  static constexpr int kStatStart = kQueryStart + kQueryBytes;
  static constexpr int kSharedBytes = kStatStart + kParts * 16 * 8;
  /// At the end of an item, the ring holds the 16 rows of each part as floats.
  static constexpr int kOutBytes = 16 * head_size * 4;
  static_assert(kParts * kOutBytes <= kSlots * kHalfBytes);

  static KVCAST_DEVICE int part() { return gpu::thread_index() / gpu::kWarp % kParts; }
  static KVCAST_DEVICE int column() { return gpu::thread_index() / (gpu::kWarp * kParts); }
};

/// Brings the keys and values of a work item's tiles into the ring. The warps of a part bring 16 keys of
/// every tile.
template <class Config>
class Loader {
 public:
  KVCAST_DEVICE Loader(const AttentionArgs& args, const RowTile& tile, int tile_begin, int tile_end)
      : args_(args), tile_(tile), next_tile_(tile_begin), tile_end_(tile_end) {
    lane_ = lane_index();
    head_offset_ = tile.kv_head * args.cache.head_stride;
    look_up();
  }

  /// Where a tile's rows begin for this warp, and the scales of its keys.
  static KVCAST_DEVICE SharedAddress slot(int index) {
    const int part = Config::kDecode ? Config::part() * Config::Layout::kBytes : 0;
    return gpu::shared_base() + static_cast<std::uint32_t>(index * Config::kHalfBytes + part);
  }
  static KVCAST_DEVICE SharedAddress scales(int index) {
    const int part = Config::kDecode ? Config::part() * 16 * 4 : 0;
    return gpu::shared_base() +
           static_cast<std::uint32_t>(Config::kScaleStart + index * Config::kScaleBytes + part);
  }

  /// Starts the next half stage, if there is one, and closes its group.
  KVCAST_DEVICE void start() {
    if (next_tile_ < tile_end_) {
      const PagedKv& cache = args_.cache;
      copy(next_is_value_ ? cache.v : cache.k, next_is_value_ ? cache.v_scale : cache.k_scale);
      if (next_is_value_) {
        ++next_tile_;
        look_up();
      }
      next_is_value_ = !next_is_value_;
      slot_ = slot_ + 1 == Config::kSlots ? 0 : slot_ + 1;
    }
    gpu::commit_copies();
  }

 private:
  KVCAST_DEVICE int first_key() const {
    return tile_.tiles.tile(next_tile_) * kKeysPerTile + Config::part() * 16;
  }

  /// The page of the lane's key (of the first 16 lanes) in the next tile, a whole half stage before it is
  /// needed.
  KVCAST_DEVICE void look_up() {
    page_ = -1;
    if (next_tile_ >= tile_end_) return;
    const int key = first_key() + lane_ % 16;
    if (tile_.sees(args_, key)) {
      page_ = gpu::load_global(args_.block_table + tile_.request * args_.block_table_stride +
                               key / args_.cache.page_size);
    }
  }

  KVCAST_DEVICE void copy(const std::uint8_t* from, const float* scale_from) {
    using Layout = typename Config::Layout;
    const PagedKv& cache = args_.cache;
    const int in_page = first_key() & (cache.page_size - 1);  // pages are 8 keys or more: at most two in 16
    const SharedAddress to = slot(slot_);
    const int row_first = Config::kDecode ? 0 : Config::part() * 16;
    KVCAST_UNROLL
    for (int i = 0; i < 16 * Layout::kChunks / (gpu::kWarp * Config::kColumns); ++i) {
      const int index = (i * Config::kColumns + Config::column()) * gpu::kWarp + lane_;
      const int row = index / Layout::kChunks;
      const int chunk = index % Layout::kChunks;
      const int page = gpu::shuffle(page_, row);
      const int token = (in_page + row) & (cache.page_size - 1);
      const std::uint8_t* source =
          from + (page * cache.page_stride + token * cache.token_stride + head_offset_) + chunk * 16;
      gpu::copy_async_16(to + Layout::offset(row_first + row, chunk * 16), page < 0 ? from : source,
                         page >= 0);
    }
    if constexpr (Config::kScaleBytes > 0) {
      if (lane_ < 16 && Config::column() == 0) {
        const int token = (in_page + lane_) & (cache.page_size - 1);
        const float* source =
            scale_from + (page_ * cache.scale_page_stride + token * cache.scale_token_stride +
                          tile_.kv_head * cache.scale_head_stride);
        gpu::copy_async_4(scales(slot_) + static_cast<std::uint32_t>((row_first + lane_) * 4),
                          page_ < 0 ? scale_from : source, page_ >= 0);
      }
    }
  }

  const AttentionArgs& args_;
  const RowTile& tile_;
  int next_tile_;
  int tile_end_;
  bool next_is_value_ = false;
  int slot_ = 0;
  int lane_;
  std::int64_t head_offset_;
  int page_ = -1;
};

template <class Config>
KVCAST_DEVICE void wait_for_half_stage() {
  gpu::wait_copies<Config::kSlots - 2>();
  if constexpr (Config::kDecode && Config::kColumns == 1) {
    gpu::sync_warp();
  } else {
    gpu::sync_cta();
  }
}

/// All key tiles of a work item.
template <class Config, class Fragments>
KVCAST_DEVICE void attend(const AttentionArgs& args, const RowTile& tile, const WorkItem& item,
                          const Fragments& query, const FragmentRows& rows, WarpState<Config>& state) {
  constexpr int kBlocks = Config::kWarpKeys / 8;
  using Layout = typename Config::Layout;
  Loader<Config> loader(args, tile, item.tile_begin, item.tile_end);
  for (int i = 0; i < Config::kSlots - 1; ++i) loader.start();
  int slot = 0;
  const auto advance = [&] { slot = slot + 1 == Config::kSlots ? 0 : slot + 1; };
  const int part_key = Config::kDecode ? Config::part() * 16 : 0;
  KVCAST_NO_UNROLL
  for (int i = item.tile_begin; i < item.tile_end; ++i) {
    wait_for_half_stage<Config>();
    loader.start();
    float s[extent(kBlocks)][4] = {};
    scores<Config::kType, Config::kHead, Layout>(query, Loader<Config>::slot(slot), 0, s);
    finish_scores<Config>(args, rows, tile.tiles.tile(i) * kKeysPerTile + part_key,
                          Loader<Config>::scales(slot), s);
    float shrink[2];
    state.softmax(s, shrink);
    advance();

    wait_for_half_stage<Config>();
    loader.start();
    if constexpr (is_packed(Config::kType)) state.weigh(s, shrink, Loader<Config>::scales(slot));
    state.rescale(shrink);
    KVCAST_UNROLL
    for (int j = 0; j < kBlocks; j += 2) {
      accumulate<Config::kType, Config::kChannels, Layout>(weights_of_16<Config>(s[j], s[j + 1]),
                                                           Loader<Config>::slot(slot), j * 8,
                                                           Config::column() * Config::kChannels, state.out);
    }
    advance();
  }
  gpu::wait_copies<0>();
}

/// What lies in shared memory at the end of an item: of each part's 16 rows the maximum and the sum, and the
/// outputs.
template <class Config>
struct EndSpace {
  static KVCAST_DEVICE SharedAddress stat(int part, int row) {
    return gpu::shared_base() + static_cast<std::uint32_t>(Config::kStatStart + (part * 16 + row) * 8);
  }
  static KVCAST_DEVICE SharedAddress out(int part, int row, int channel) {
    return gpu::shared_base() +
           static_cast<std::uint32_t>(part * Config::kOutBytes + (row * Config::kHead + channel) * 4);
  }

  /// The parts that hold keys of a row: all, or the one that owns it.
  static constexpr int kParts = Config::kDecode ? Config::kParts : 1;
  static KVCAST_DEVICE int first_part() { return Config::kDecode ? 0 : Config::part(); }

  static KVCAST_DEVICE float maximum(int row) {
    float maximum = -INFINITY;
    for (int part = first_part(); part < first_part() + kParts; ++part) {
      maximum = fmaxf(maximum, float_of(gpu::load_shared<2>(stat(part, row)).word[0]));
    }
    return maximum;
  }
};

/// Puts each warp's rows into shared memory, relative to the maximum over all parts of the row.
template <class Config>
KVCAST_DEVICE void share_rows(WarpState<Config>& state) {
  using Space = EndSpace<Config>;
  const int lane = lane_index();
  KVCAST_UNROLL
  for (int i = 0; i < 2; ++i) {
    state.sum[i] += gpu::shuffle_xor(state.sum[i], 1);
    state.sum[i] += gpu::shuffle_xor(state.sum[i], 2);
    if (lane % 4 == 0 && Config::column() == 0) {
      gpu::store_shared<2>(Space::stat(Config::part(), lane / 4 + 8 * i),
                           {{bits_of(state.maximum[i]), bits_of(state.sum[i])}});
    }
  }
  gpu::sync_cta();
  KVCAST_UNROLL
  for (int i = 0; i < 2; ++i) {
    const int row = lane / 4 + 8 * i;
    const float maximum = Space::maximum(row);
    const float factor = maximum == -INFINITY ? 0.0F
                                              : gpu::exp2_fast(state.maximum[i] - maximum) *
                                                    state.value_scale * kv_unit(Config::kType);
    store_accumulator_row<Config::kType, Config::kChannels>(
        state.out, i, factor, Space::out(Config::part(), row, Config::column() * Config::kChannels));
  }
  gpu::sync_cta();
}

/// Adds the parts' rows (decode) and writes them, to the output or as a piece for the merge kernel.
template <class Config>
KVCAST_DEVICE void finish_item(const AttentionArgs& args, const PlanArrays& plan, const RowTile& tile,
                               const WorkItem& item, WarpState<Config>& state) {
  using Space = EndSpace<Config>;
  share_rows(state);
  constexpr int kQuads = Config::kHead / 4;
  constexpr int kTeam = Config::kDecode ? Config::kThreads : gpu::kWarp * Config::kColumns;
  KVCAST_NO_UNROLL
  for (int index = Config::kDecode ? gpu::thread_index() : Config::column() * gpu::kWarp + lane_index();
       index < 16 * kQuads; index += kTeam) {
    const int row = index / kQuads;
    const int channel = index % kQuads * 4;
    const int at = item.row + (Config::kDecode ? 0 : Config::part() * 16) + row;
    if (at >= tile.row_end) continue;
    const float maximum = Space::maximum(row);
    float sum = 0;
    float value[4] = {};
    for (int part = Space::first_part(); part < Space::first_part() + Space::kParts; ++part) {
      const gpu::Words<2> stat = gpu::load_shared<2>(Space::stat(part, row));
      if (maximum > -INFINITY)
        sum += float_of(stat.word[1]) * gpu::exp2_fast(float_of(stat.word[0]) - maximum);
      const gpu::Words<4> four = gpu::load_shared<4>(Space::out(part, row, channel));
      KVCAST_UNROLL
      for (int k = 0; k < 4; ++k) value[k] += float_of(four.word[k]);
    }
    if (item.partial < 0) {
      store_output(args, tile.token(at), tile.head(at), channel, value,
                   RowEnd(args, tile.head(at), maximum, sum));
    } else {
      store_piece(plan, static_cast<std::int64_t>(item.partial) * Config::kRows + (at - item.row),
                  Config::kHead, channel,
                  {{bits_of(value[0]), bits_of(value[1]), bits_of(value[2]), bits_of(value[3])}}, maximum,
                  sum);
    }
  }
  gpu::sync_cta();
}

/// One work item.
template <class Config>
KVCAST_DEVICE void paged_attention_item(const AttentionArgs& args, const PlanArrays& plan,
                                        const WorkItem& item) {
  const RowTile tile(args, item.request, item.kv_head, item.row, Config::kRows);
  const int first_row = item.row + (Config::kDecode ? 0 : Config::part() * 16);
  QueryFragments<Config::kSteps, Config::kQueryInShared> query;
  float magnitude[2];
  if constexpr (Config::kQueryInShared) {
    // Warps that multiply the same rows (in decode all) load different fragments.
    query.base = gpu::shared_base() +
                 static_cast<std::uint32_t>(Config::kQueryStart + (Config::kDecode ? 0 : Config::part()) *
                                                                      Config::kSteps * gpu::kWarp * 16);
    const int first = Config::kDecode ? gpu::thread_index() / gpu::kWarp : Config::column();
    load_query<Config::kType, Config::kHead>(query_rows(args, tile, first_row), first,
                                             Config::kColumns * (Config::kDecode ? Config::kParts : 1), query,
                                             magnitude);
    gpu::sync_cta();
  } else {
    load_query<Config::kType, Config::kHead>(query_rows(args, tile, first_row), 0, 1, query, magnitude);
  }
  const FragmentRows rows(args, tile, first_row, magnitude, kv_unit(Config::kType));
  WarpState<Config> state;
  attend<Config>(args, tile, item, query, rows, state);
  finish_item<Config>(args, plan, tile, item, state);
}

/// The kernel: CTA c takes the plan's items of CTA c.
template <class Config>
KVCAST_DEVICE void paged_attention(const AttentionArgs& args, const PlanArrays& plan) {
  const int end = gpu::load_global(plan.cta_first_item + gpu::block_index() + 1);
  KVCAST_NO_UNROLL
  for (int i = gpu::load_global(plan.cta_first_item + gpu::block_index()); i < end; ++i) {
    paged_attention_item<Config>(args, plan, plan.items[i]);
  }
}

}  // namespace kvcast::kernels
