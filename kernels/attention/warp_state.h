/// A warp's 16 rows while keys pass by: masks, online softmax, the scales of packed values.
#pragma once

#include "kernels/attention/fragments.h"
#include "kernels/attention/rows.h"

namespace kvcast::kernels {

/// Online softmax (Milakov & Gimelshein 2018; Dao et al. 2022) in the
/// log2 domain.
template <class Config>
struct WarpState {
  static constexpr int kChannels = Config::kChannels;
  float out[extent(kChannels / 8)][4];
  float maximum[2];
  float sum[2];       // of this lane's keys
  float value_scale;  // the unit of `out`: the largest value scale so far (packed types)

  KVCAST_DEVICE WarpState() {
    KVCAST_UNROLL
    for (int t = 0; t < kChannels / 8; ++t) {
      KVCAST_UNROLL
      for (int i = 0; i < 4; ++i) out[t][i] = 0;
    }
    maximum[0] = maximum[1] = -INFINITY;
    sum[0] = sum[1] = 0;
    value_scale = is_packed(Config::kType) ? 0.0F : 1.0F;
  }

  /// Scores become weights; `shrink` is what the sums so far must be multiplied with.
  template <std::size_t n>
  KVCAST_DEVICE void softmax(float (&s)[n][4], float (&shrink)[2]) {
    KVCAST_UNROLL
    for (int i = 0; i < 2; ++i) {
      float largest = maximum[i];
      KVCAST_UNROLL
      for (int j = 0; j < static_cast<int>(n); ++j)
        largest = fmaxf(largest, fmaxf(s[j][2 * i], s[j][2 * i + 1]));
      largest = fmaxf(largest, gpu::shuffle_xor(largest, 1));
      largest = fmaxf(largest, gpu::shuffle_xor(largest, 2));
      const float reference = largest == -INFINITY ? 0.0F : largest;  // no key seen yet: all weights are 0
      shrink[i] = gpu::exp2_fast(maximum[i] - reference);
      maximum[i] = largest;
      sum[i] *= shrink[i];
      KVCAST_UNROLL
      for (int j = 0; j < static_cast<int>(n); ++j) {
        KVCAST_UNROLL
        for (int k = 2 * i; k < 2 * i + 2; ++k) {
          s[j][k] = gpu::exp2_fast(s[j][k] - reference);
          sum[i] += s[j][k];
        }
      }
    }
  }

  KVCAST_DEVICE void rescale(const float (&shrink)[2]) {
    if (!gpu::any_in_warp(shrink[0] != 1.0F || shrink[1] != 1.0F)) return;
    KVCAST_UNROLL
    for (int t = 0; t < kChannels / 8; ++t) {
      KVCAST_UNROLL
      for (int i = 0; i < 4; ++i) out[t][i] *= shrink[i / 2];
    }
  }

  /// Puts the scales of the values into the weights, in units of the largest scale so far: weights stay in
  /// [0, 1], whatever the scales are.
  template <std::size_t n>
  KVCAST_DEVICE void weigh(float (&s)[n][4], float (&shrink)[2], SharedAddress scales) {
    const int column = 2 * (lane_index() % 4);
    gpu::Words<2> scale[n];
    float largest = value_scale;
    KVCAST_UNROLL
    for (int j = 0; j < static_cast<int>(n); ++j) {
      scale[j] = gpu::load_shared<2>(scales + static_cast<std::uint32_t>((j * 8 + column) * 4));
      largest = fmaxf(largest, fmaxf(float_of(scale[j].word[0]), float_of(scale[j].word[1])));
    }
    largest = fmaxf(largest, gpu::shuffle_xor(largest, 1));
    largest = fmaxf(largest, gpu::shuffle_xor(largest, 2));
    const float inverse = largest > 0 ? 1.0F / largest : 0.0F;
    shrink[0] *= value_scale * inverse;
    shrink[1] *= value_scale * inverse;
    if (largest == 0) shrink[0] = shrink[1] = 1.0F;
    value_scale = largest;
    KVCAST_UNROLL
    for (int j = 0; j < static_cast<int>(n); ++j) {
      KVCAST_UNROLL
      for (int k = 0; k < 4; ++k) s[j][k] *= float_of(scale[j].word[k % 2]) * inverse;
    }
  }
};

/// Raw scores of a warp's keys become logits, minus infinity where a row does not see a key.
template <class Config, std::size_t n>
KVCAST_DEVICE void finish_scores(const AttentionArgs& args, const FragmentRows& rows, int key,
                                 SharedAddress scales, float (&s)[n][4]) {
  const int column = 2 * (lane_index() % 4);
  const bool all = rows.see_all(args, key, static_cast<int>(n) * 8);
  KVCAST_UNROLL
  for (int j = 0; j < static_cast<int>(n); ++j) {
    float key_scale[2] = {1.0F, 1.0F};
    if constexpr (is_packed(Config::kType)) {
      const gpu::Words<2> two =
          gpu::load_shared<2>(scales + static_cast<std::uint32_t>((j * 8 + column) * 4));
      key_scale[0] = float_of(two.word[0]);
      key_scale[1] = float_of(two.word[1]);
    }
    KVCAST_UNROLL
    for (int k = 0; k < 4; ++k) {
      const int at = key + j * 8 + column + k % 2;
      const float x = rows.logit(args, s[j][k] * key_scale[k % 2], k / 2, at);
      s[j][k] = all || rows.sees(args, k / 2, at) ? x : -INFINITY;
    }
  }
}

/// The A fragment of the weights of 16 keys: the C fragments of two blocks of 8, as they are.
template <class Config>
KVCAST_DEVICE gpu::Words<4> weights_of_16(const float (&low)[4], const float (&high)[4]) {
  return {{pack_operand<Config::kType>(low[0], low[1]), pack_operand<Config::kType>(low[2], low[3]),
           pack_operand<Config::kType>(high[0], high[1]), pack_operand<Config::kType>(high[2], high[3])}};
}

/// Writes four channels of a piece's row, and its maximum and sum with the first.
KVCAST_DEVICE void store_piece(const PlanArrays& plan, std::int64_t row, int channels, int channel,
                               const gpu::Words<4>& value, float maximum, float sum) {
  gpu::store_global(reinterpret_cast<gpu::Words<4>*>(plan.partial_out + row * channels + channel), value);
  if (channel != 0) return;
  gpu::store_global(reinterpret_cast<gpu::Words<2>*>(plan.partial_stat + row * 2),
                    gpu::Words<2>{{bits_of(maximum), bits_of(sum)}});
}

/// The query rows that a lane has of the 16 from first_row on.
KVCAST_DEVICE QueryRows query_rows(const AttentionArgs& args, const RowTile& tile, int first_row) {
  QueryRows rows = {{nullptr, nullptr}, args.q_type};
  KVCAST_UNROLL
  for (int i = 0; i < 2; ++i) {
    const int row = first_row + lane_index() / 4 + 8 * i;
    if (row < tile.row_end) {
      rows.row[i] = args.q + tile.token(row) * args.q_token_stride + tile.head(row) * args.q_head_stride;
    }
  }
  return rows;
}

}  // namespace kvcast::kernels
