/// Multi-head latent attention in its absorbed form (DeepSeek-V2): all heads share one row of 576 channels
/// for each token, 512 latent ones, which are the values too, and 64 with rotary positions. With mma.sync,
/// for sm_80 and later.
///
/// A row tile is 16 rows (`mla`, four warps) or 64 (`mla_wide`, sixteen warps); four warps share 16 rows.
/// Keys pass by in stages of 32: each warp multiplies 8 of them with all channels and puts the logits into
/// shared memory; then each warp has the weights of all 32 and adds up its 128 of the 512 value channels. The
/// cache is read once for both.
#pragma once

#include "kernels/attention/fragments.h"
#include "kernels/attention/rows.h"
#include "kernels/attention/variants.h"
#include "kernels/attention/warp_state.h"

namespace kvcast::kernels {

template <KvType kv_type, Form kernel_form>
struct MlaConfig {
  static constexpr KvType kType = kv_type;
  static constexpr int kHead = 576;
  static constexpr int kValue = 512;
  /// Parts of 16 rows. Sixteen warps have 128 registers a thread, too few to dequantise in.
  static constexpr int kParts = kernel_form == Form::mla ? 1 : (is_packed(kv_type) ? 2 : 4);
  static constexpr int kRows = kParts * 16;
  static constexpr int kColumns = 4;  // warps that share a part
  static constexpr int kChannels = kValue / kColumns;
  static constexpr int kThreads = kParts * kColumns * gpu::kWarp;
  static constexpr int kStageKeys = 32;
  static constexpr int kSteps = kHead / 16;
  using Layout = TileLayout<kv_type, kHead, kStageKeys>;

  static constexpr int kSlots = is_packed(kv_type) ? 4 : 2;
  static constexpr int kScaleStart = kSlots * Layout::kBytes;
  static constexpr int kQueryStart = kScaleStart + kSlots * kStageKeys * 4;
  static constexpr int kQueryPartBytes = kSteps * gpu::kWarp * 16;
  static constexpr int kLogitStart = kQueryStart + kParts * kQueryPartBytes;
  static constexpr int kLogitStride = kStageKeys + 4;  // floats; padded against bank conflicts
  static constexpr int kSharedBytes = kLogitStart + kRows * kLogitStride * 4;
  /// At the end of an item a warp's part of the ring holds 8 of its rows as floats.
  static constexpr int kOutBytes = 8 * kChannels * 4;
  static_assert(kParts * kColumns * kOutBytes <= kSlots * Layout::kBytes);

  static KVCAST_DEVICE int part() { return gpu::thread_index() / (gpu::kWarp * kColumns); }
  static KVCAST_DEVICE int column() { return gpu::thread_index() / gpu::kWarp % kColumns; }
  static KVCAST_DEVICE SharedAddress at(int byte) {
    return gpu::shared_base() + static_cast<std::uint32_t>(byte);
  }
  static KVCAST_DEVICE SharedAddress slot(int index) { return at(index * Layout::kBytes); }
  static KVCAST_DEVICE SharedAddress scales(int index) { return at(kScaleStart + index * kStageKeys * 4); }
};

/// Brings stages of 32 keys into the ring; all threads take part.
template <class Config>
class MlaLoader {
 public:
  KVCAST_DEVICE MlaLoader(const AttentionArgs& args, const RowTile& tile, int stage_begin, int stage_end)
      : args_(args), tile_(tile), next_(stage_begin), end_(stage_end) {
    look_up();
  }

  /// Stages are half tiles.
  static KVCAST_DEVICE int first_key(const RowTile& tile, int stage) {
    return tile.tiles.tile(stage / 2) * kKeysPerTile + stage % 2 * Config::kStageKeys;
  }

  KVCAST_DEVICE void start() {
    if (next_ < end_) {
      copy();
      ++next_;
      slot_ = slot_ + 1 == Config::kSlots ? 0 : slot_ + 1;
      look_up();
    }
    gpu::commit_copies();
  }

 private:
  /// Each lane knows the page of one key of the next stage.
  KVCAST_DEVICE void look_up() {
    page_ = -1;
    if (next_ >= end_) return;
    const int key = first_key(tile_, next_) + lane_index();
    if (tile_.sees(args_, key)) {
      page_ = gpu::load_global(args_.block_table + tile_.request * args_.block_table_stride +
                               key / args_.cache.page_size);
    }
  }

  KVCAST_DEVICE void copy() {
    using Layout = typename Config::Layout;
    const PagedKv& cache = args_.cache;
    const int first = first_key(tile_, next_);
    constexpr int kAll = Config::kStageKeys * Layout::kChunks;
    KVCAST_UNROLL_AS(2)
    for (int i = 0; i < (kAll + Config::kThreads - 1) / Config::kThreads; ++i) {
      const int index = i * Config::kThreads + gpu::thread_index();
      const int row = index / Layout::kChunks % Config::kStageKeys;
      const int chunk = index % Layout::kChunks;
      const int page = gpu::shuffle(page_, row);
      const int token = (first + row) & (cache.page_size - 1);
      const std::uint8_t* source =
          cache.k + (page * cache.page_stride + token * cache.token_stride) + chunk * 16;
      if (index < kAll) {
        gpu::copy_async_16(Config::slot(slot_) + Layout::offset(row, chunk * 16), page < 0 ? cache.k : source,
                           page >= 0);
      }
    }
    if constexpr (is_packed(Config::kType)) {
      if (gpu::thread_index() < Config::kStageKeys) {
        const int token = (first + lane_index()) & (cache.page_size - 1);
        const float* source =
            cache.k_scale + (page_ * cache.scale_page_stride + token * cache.scale_token_stride);
        gpu::copy_async_4(Config::scales(slot_) + static_cast<std::uint32_t>(lane_index() * 4),
                          page_ < 0 ? cache.k_scale : source, page_ >= 0);
      }
    }
  }

  const AttentionArgs& args_;
  const RowTile& tile_;
  int next_;
  int end_;
  int slot_ = 0;
  int page_ = -1;
};

/// s += Q K^T for the 8 keys from row `key` on, of 16-bit rows: one ldmatrix brings two steps of 16 channels.
template <class Config, class Fragments>
KVCAST_DEVICE void scores_of_8(const Fragments& q, SharedAddress tile, int key, float (&s)[1][4]) {
  const int lane = lane_index();
  const std::uint32_t start = Config::Layout::offset(key + lane % 8, (lane / 8) * 16);
  KVCAST_UNROLL_AS(2)
  for (int step = 0; step < Config::kSteps; step += 2) {
    const gpu::Words<4> k = gpu::load_matrices(tile + Config::Layout::advance(start, step * 32));
    multiply<Config::kType>(s[0], q.at(step), k.word[0], k.word[1]);
    multiply<Config::kType>(s[0], q.at(step + 1), k.word[2], k.word[3]);
  }
}

/// The logits of the warp's 8 keys go to shared memory; those of all 32 come back.
template <class Config>
KVCAST_DEVICE void exchange_logits(const float (&own)[1][4],
                                   float (&all)[extent(Config::kStageKeys / 8)][4]) {
  const int lane = lane_index();
  const auto place = [&](int i, int key) {
    const int row = Config::part() * 16 + lane / 4 + 8 * i;
    return Config::at(Config::kLogitStart + (row * Config::kLogitStride + key + 2 * (lane % 4)) * 4);
  };
  KVCAST_UNROLL
  for (int i = 0; i < 2; ++i) {
    gpu::store_shared<2>(place(i, Config::column() * 8),
                         {{bits_of(own[0][2 * i]), bits_of(own[0][2 * i + 1])}});
  }
  gpu::sync_cta();
  KVCAST_UNROLL
  for (int j = 0; j < Config::kStageKeys / 8; ++j) {
    KVCAST_UNROLL
    for (int i = 0; i < 2; ++i) {
      const gpu::Words<2> two = gpu::load_shared<2>(place(i, j * 8));
      all[j][2 * i] = float_of(two.word[0]);
      all[j][2 * i + 1] = float_of(two.word[1]);
    }
  }
}

/// All stages of a work item.
template <class Config, class Fragments>
KVCAST_DEVICE void mla_attend(const AttentionArgs& args, const RowTile& tile, const WorkItem& item,
                              const Fragments& query, const FragmentRows& rows, WarpState<Config>& state) {
  constexpr int kBlocks = Config::kStageKeys / 8;
  MlaLoader<Config> loader(args, tile, 2 * item.tile_begin, 2 * item.tile_end);
  for (int i = 0; i < Config::kSlots - 1; ++i) loader.start();
  int slot = 0;
  const int own = Config::column() * 8;
  KVCAST_NO_UNROLL
  for (int stage = 2 * item.tile_begin; stage < 2 * item.tile_end; ++stage) {
    gpu::wait_copies<Config::kSlots - 2>();
    gpu::sync_cta();
    loader.start();
    const SharedAddress keys = Config::slot(slot);
    float own_logits[1][4] = {};
    if constexpr (is_packed(Config::kType)) {
      scores<Config::kType, Config::kHead, typename Config::Layout>(query, keys, own, own_logits);
    } else {
      scores_of_8<Config>(query, keys, own, own_logits);
    }
    finish_scores<Config>(args, rows, MlaLoader<Config>::first_key(tile, stage) + own,
                          Config::scales(slot) + static_cast<std::uint32_t>(own * 4), own_logits);
    float s[extent(kBlocks)][4];
    exchange_logits<Config>(own_logits, s);
    float shrink[2];
    state.softmax(s, shrink);
    if constexpr (is_packed(Config::kType)) state.weigh(s, shrink, Config::scales(slot));
    state.rescale(shrink);
    KVCAST_UNROLL
    for (int j = 0; j < kBlocks; j += 2) {
      accumulate<Config::kType, Config::kChannels, typename Config::Layout>(
          weights_of_16<Config>(s[j], s[j + 1]), keys, j * 8, Config::column() * Config::kChannels,
          state.out);
    }
    slot = slot + 1 == Config::kSlots ? 0 : slot + 1;
  }
  gpu::wait_copies<0>();
  gpu::sync_cta();
}

/// Writes a warp's 16 rows and 128 channels. Its four warps agree on maxima and sums.
template <class Config>
KVCAST_DEVICE void mla_finish_item(const AttentionArgs& args, const PlanArrays& plan, const RowTile& tile,
                                   const WorkItem& item, WarpState<Config>& state) {
  const int lane = lane_index();
  const SharedAddress space = Config::at(gpu::thread_index() / gpu::kWarp * Config::kOutBytes);
  const auto place = [&](int row, int channel) {
    return space + static_cast<std::uint32_t>((row * Config::kChannels + channel) * 4);
  };
  const int channel = Config::column() * Config::kChannels + lane * 4;
  KVCAST_UNROLL
  for (int i = 0; i < 2; ++i) {
    state.sum[i] += gpu::shuffle_xor(state.sum[i], 1);
    state.sum[i] += gpu::shuffle_xor(state.sum[i], 2);
    store_accumulator_row<Config::kType, Config::kChannels>(
        state.out, i, state.value_scale * kv_unit(Config::kType), place(lane / 4, 0));
    gpu::sync_warp();
    KVCAST_NO_UNROLL
    for (int row = 0; row < 8; ++row) {
      const float maximum = gpu::shuffle(state.maximum[i], row * 4);
      const float sum = gpu::shuffle(state.sum[i], row * 4);
      const gpu::Words<4> words = gpu::load_shared<4>(place(row, lane * 4));
      const int at = item.row + Config::part() * 16 + 8 * i + row;
      if (at >= tile.row_end) continue;
      if (item.partial < 0) {
        float value[4];
        KVCAST_UNROLL
        for (int k = 0; k < 4; ++k) value[k] = float_of(words.word[k]);
        store_output(args, tile.token(at), tile.head(at), channel, value,
                     RowEnd(args, tile.head(at), maximum, sum));
      } else {
        store_piece(plan, static_cast<std::int64_t>(item.partial) * Config::kRows + (at - item.row),
                    Config::kValue, channel, words, maximum, sum);
      }
    }
    gpu::sync_warp();
  }
  gpu::sync_cta();
}

template <class Config>
KVCAST_DEVICE void mla_item(const AttentionArgs& args, const PlanArrays& plan, const WorkItem& item) {
  const RowTile tile(args, item.request, item.kv_head, item.row, Config::kRows);
  const int first_row = item.row + Config::part() * 16;
  QueryFragments<Config::kSteps, true> query;
  query.base = Config::at(Config::kQueryStart + Config::part() * Config::kQueryPartBytes);
  float magnitude[2];
  load_query<Config::kType, Config::kHead>(query_rows(args, tile, first_row), Config::column(),
                                           Config::kColumns, query, magnitude);
  gpu::sync_cta();
  const FragmentRows rows(args, tile, first_row, magnitude, kv_unit(Config::kType));
  WarpState<Config> state;
  mla_attend<Config>(args, tile, item, query, rows, state);
  mla_finish_item<Config>(args, plan, tile, item, state);
}

/// The kernel: CTA c takes the plan's items of CTA c.
template <class Config>
KVCAST_DEVICE void mla_attention(const AttentionArgs& args, const PlanArrays& plan) {
  const int end = gpu::load_global(plan.cta_first_item + gpu::block_index() + 1);
  KVCAST_NO_UNROLL
  for (int i = gpu::load_global(plan.cta_first_item + gpu::block_index()); i < end; ++i) {
    mla_item<Config>(args, plan, plan.items[i]);
  }
}

}  // namespace kvcast::kernels
