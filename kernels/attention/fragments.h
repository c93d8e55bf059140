/// Tiles of cache rows in shared memory, and the two matrix products on them with mma.m16n8k16.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/attention/dequantise.h"
#include "kernels/common/device.h"

namespace kvcast::kernels {

using gpu::extent;
using gpu::SharedAddress;

/// `keys` rows of `channels` channels in shared memory. Rows are cut into panels of 128 bytes (or 64, or 32),
/// panels lie one after the other, and the 16-byte chunks of every 128 bytes are swapped (chunk xor line) so
/// that neither ldmatrix nor the wide loads of packed rows meet bank conflicts of more than two. For 128-byte
/// panels this is TMA's 128-byte swizzle.
template <KvType type, int channels, int keys>
struct TileLayout {
  static constexpr int kRowBytes = kv_row_bytes(type, channels);
  static constexpr int kPanelBytes = kRowBytes % 128 == 0 ? 128 : (kRowBytes % 64 == 0 ? 64 : 32);
  static constexpr int kBytes = kRowBytes * keys;
  static constexpr int kChunks = kRowBytes / 16;

  static_assert(keys % 16 == 0);

  static KVCAST_DEVICE std::uint32_t offset(int key, int byte) {
    const int in_panel = (key * kPanelBytes + byte % kPanelBytes) ^ ((key / (128 / kPanelBytes) % 8) * 16);
    return static_cast<std::uint32_t>(byte / kPanelBytes * (keys * kPanelBytes) + in_panel);
  }
  /// offset(key, byte + more) from offset(key, byte), where the bits of byte and of `more` inside a panel are
  /// disjoint.
  static KVCAST_DEVICE std::uint32_t advance(std::uint32_t at, int more) {
    return (at ^ static_cast<std::uint32_t>(more % kPanelBytes)) +
           static_cast<std::uint32_t>(more / kPanelBytes * (keys * kPanelBytes));
  }
};

/// Whether rows are multiplied as they are (ldmatrix) or dequantised to half on the way.
KVCAST_HOST_DEVICE constexpr bool is_packed(KvType type) { return kv_bits(type) < 16; }

template <KvType type>
KVCAST_DEVICE void multiply(float (&c)[4], const gpu::Words<4>& a, std::uint32_t b0, std::uint32_t b1) {
  if constexpr (type == KvType::bf16) {
    gpu::mma_bfloat(c, a, b0, b1);
  } else {
    gpu::mma_half(c, a, b0, b1);
  }
}

/// Two floats as the operand type of the products.
template <KvType type>
KVCAST_DEVICE std::uint32_t pack_operand(float low, float high) {
  return type == KvType::bf16 ? gpu::pack_bfloat(low, high) : gpu::pack_half(low, high);
}

KVCAST_DEVICE int lane_index() { return gpu::thread_index() % gpu::kWarp; }

/// The A fragments of 16 query rows: in registers, or in shared memory where these would be too many.
template <int steps, bool in_shared>
struct QueryFragments;
template <int steps>
struct QueryFragments<steps, false> {
  static constexpr int kUnroll = steps;  // registers have no index
  gpu::Words<4> fragment[extent(steps)];
  KVCAST_DEVICE gpu::Words<4> at(int step) const { return fragment[step]; }
  KVCAST_DEVICE void put(int step, const gpu::Words<4>& words) { fragment[step] = words; }
};
template <int steps>
struct QueryFragments<steps, true> {
  static constexpr int kUnroll = 2;
  SharedAddress base;
  KVCAST_DEVICE SharedAddress place(int step) const {
    return base + static_cast<std::uint32_t>((step * gpu::kWarp + lane_index()) * 16);
  }
  KVCAST_DEVICE gpu::Words<4> at(int step) const { return gpu::load_shared<4>(place(step)); }
  KVCAST_DEVICE void put(int step, const gpu::Words<4>& words) { gpu::store_shared<4>(place(step), words); }
};

/// The two query rows that a lane holds elements of; null: no such row, all zeros.
struct QueryRows {
  const std::uint16_t* row[2];
  QueryType type;
};

KVCAST_DEVICE float query_to_float(QueryType type, std::uint32_t bits) {
  return type == QueryType::bf16 ? float_of(bits << 16) : gpu::unpack_half(static_cast<std::uint16_t>(bits));
}

/// 8 channels of a row as floats, times a power of two.
KVCAST_DEVICE void load_8_channels(const QueryRows& rows, int i, int channel, float factor, float (&out)[8]) {
  gpu::Words<4> words = {{0, 0, 0, 0}};
  if (rows.row[i] != nullptr)
    words = gpu::load_global(reinterpret_cast<const gpu::Words<4>*>(rows.row[i] + channel));
  KVCAST_UNROLL
  for (int c = 0; c < 8; ++c) {
    out[c] = query_to_float(rows.type, (words.word[c / 2] >> (16 * (c % 2))) & 0xffffU) * factor;
  }
}

/// The power of two just below the largest magnitude of each of the lane's two rows (1 for a row of zeros):
/// packed rows are multiplied in half precision, whose range a query row in bfloat16 may leave.
template <int head>
KVCAST_DEVICE void query_magnitude(const QueryRows& rows, float (&magnitude)[2]) {
  const int share = (lane_index() % 4) * (head / 4);
  KVCAST_UNROLL
  for (int i = 0; i < 2; ++i) {
    float largest = 0;
    KVCAST_UNROLL
    for (int channel = 0; channel < head / 4; channel += 8) {
      float values[8];
      load_8_channels(rows, i, share + channel, 1.0F, values);
      KVCAST_UNROLL
      for (const float value : values) largest = fmaxf(largest, fabsf(value));
    }
    largest = fmaxf(largest, gpu::shuffle_xor(largest, 1));
    largest = fmaxf(largest, gpu::shuffle_xor(largest, 2));
    const std::uint32_t exponent = bits_of(largest) >> 23;
    magnitude[i] = exponent < 1 || exponent > 253 ? 1.0F : float_of(exponent << 23);
  }
}

/// Loads the A fragments; `first` and `stride` let warps that share fragments load different ones. For packed
/// types the rows are divided by `magnitude`, which scores must be multiplied with.
template <KvType type, int head, class Fragments>
KVCAST_DEVICE void load_query(const QueryRows& rows, int first, int stride, Fragments& q,
                              float (&magnitude)[2]) {
  const int place = lane_index() % 4;
  magnitude[0] = magnitude[1] = 1.0F;
  if constexpr (!is_packed(type)) {
    KVCAST_UNROLL
    for (int step = 0; step < head / 16; ++step) {
      if (step % stride != first) continue;
      gpu::Words<4> a = {{0, 0, 0, 0}};
      KVCAST_UNROLL
      for (int r = 0; r < 4; ++r) {
        const std::uint16_t* row = rows.row[r % 2];
        const int channel = step * 16 + (r / 2) * 8 + place * 2;
        if (row != nullptr)
          a.word[r] = gpu::load_global(reinterpret_cast<const std::uint32_t*>(row + channel));
      }
      q.put(step, a);
    }
  } else {
    query_magnitude<head>(rows, magnitude);
    constexpr int kCodes = codes_per_word(type);
    KVCAST_UNROLL
    for (int words = 0; words < head / 4 / (2 * kCodes); ++words) {  // pairs of words of a cache row
      if (words % stride != first) continue;
      float value[2][extent(2 * kCodes)];
      KVCAST_UNROLL
      for (int i = 0; i < 2; ++i) {
        KVCAST_UNROLL
        for (int channel = 0; channel < 2 * kCodes; channel += 8) {
          float eight[8];
          load_8_channels(rows, i, place * (head / 4) + words * 2 * kCodes + channel, 1.0F / magnitude[i],
                          eight);
          KVCAST_UNROLL
          for (int c = 0; c < 8; ++c) value[i][channel + c] = eight[c];
        }
      }
      KVCAST_UNROLL
      for (int j = 0; j < kCodes; j += 2) {  // the k of b0 and b1 in scores()
        gpu::Words<4> a;
        KVCAST_UNROLL
        for (int r = 0; r < 4; ++r) {
          a.word[r] = gpu::pack_half(value[r % 2][j + r / 2], value[r % 2][kCodes + j + r / 2]);
        }
        q.put(words * (kCodes / 2) + j / 2, a);
      }
    }
  }
}

/// s += Q K^T for n * 8 keys from row `key` of the tile on: s[j] is the C fragment of keys key + 8 j to key +
/// 8 j + 7.
template <KvType type, int head, class Layout, class Fragments, std::size_t n>
KVCAST_DEVICE void scores(const Fragments& q, SharedAddress tile, int key, float (&s)[n][4]) {
  const int lane = lane_index();
  if constexpr (!is_packed(type)) {
    const std::uint32_t start = Layout::offset(key + lane % 8 + (lane / 16) * 8, ((lane / 8) % 2) * 16);
    KVCAST_UNROLL_AS(Fragments::kUnroll)
    for (int step = 0; step < head / 16; ++step) {
      const gpu::Words<4> a = q.at(step);
      const SharedAddress at = tile + Layout::advance(start, step * 32);
      KVCAST_UNROLL
      for (int j = 0; j < static_cast<int>(n); j += 2) {
        const gpu::Words<4> k =
            gpu::load_matrices(at + static_cast<std::uint32_t>(j * 8 * Layout::kPanelBytes));
        multiply<type>(s[j], a, k.word[0], k.word[1]);
        multiply<type>(s[j + 1], a, k.word[2], k.word[3]);
      }
    }
  } else {
    constexpr int kShare = Layout::kRowBytes / 4;  // a lane's bytes of a row
    constexpr int kWords = kShare % 16 == 0 ? 4 : 2;
    constexpr int kCodes = codes_per_word(type);
    KVCAST_UNROLL_AS(Fragments::kUnroll)
    for (int byte = 0; byte < kShare; byte += 4 * kWords) {
      KVCAST_UNROLL
      for (int j = 0; j < static_cast<int>(n); ++j) {
        const gpu::Words<kWords> k = gpu::load_shared<kWords>(
            tile + Layout::offset(key + lane / 4 + j * 8, (lane % 4) * kShare + byte));
        KVCAST_UNROLL
        for (int w = 0; w < kWords; w += 2) {
          KVCAST_UNROLL
          for (int c = 0; c < kCodes; c += 2) {
            multiply<type>(s[j], q.at((byte / 4 + w) / 2 * (kCodes / 2) + c / 2),
                           pair<type>(k.word[w], k.word[w + 1], c),
                           pair<type>(k.word[w], k.word[w + 1], c + 1));
          }
        }
      }
    }
  }
}

/// o += P V for 16 keys from row `key` of the tile on and `count` channels from `channel` on. Which channel a
/// column stands for: see store_accumulator_row().
template <KvType type, int count, class Layout>
KVCAST_DEVICE void accumulate(const gpu::Words<4>& p, SharedAddress tile, int key, int channel,
                              float (&o)[extent(count / 8)][4]) {
  const int lane = lane_index();
  if constexpr (!is_packed(type)) {
    const std::uint32_t start = Layout::offset(lane % 16, channel * 2 + (lane / 16) * 16);
    KVCAST_UNROLL
    for (int t = 0; t < count / 8; t += 2) {
      const gpu::Words<4> v = gpu::load_matrices_transposed(
          tile + static_cast<std::uint32_t>(key * Layout::kPanelBytes) + Layout::advance(start, t * 16));
      multiply<type>(o[t], p, v.word[0], v.word[1]);
      multiply<type>(o[t + 1], p, v.word[2], v.word[3]);
    }
  } else {
    constexpr int kCodes = codes_per_word(type);
    constexpr int kShare = count / 8 / kCodes;  // words
    constexpr int kWords = kShare % 4 == 0 ? 4 : kShare;
    const int row = key + 2 * (lane % 4);
    const int first = kv_row_bytes(type, channel) + (lane / 4) * 4 * kShare;
    std::uint32_t start[4];
    KVCAST_UNROLL
    for (int i = 0; i < 4; ++i) start[i] = Layout::offset(row + i % 2 + (i / 2) * 8, first);
    KVCAST_UNROLL
    for (int word = 0; word < kShare; word += kWords) {
      gpu::Words<kWords> v[4];
      KVCAST_UNROLL
      for (int i = 0; i < 4; ++i) {
        v[i] = gpu::load_shared<kWords>(tile + Layout::advance(start[i], 4 * word));
      }
      KVCAST_UNROLL
      for (int w = 0; w < kWords; ++w) {
        KVCAST_UNROLL
        for (int j = 0; j < kCodes; ++j) {
          multiply<type>(o[(word + w) * kCodes + j], p, pair<type>(v[0].word[w], v[1].word[w], j),
                         pair<type>(v[2].word[w], v[3].word[w], j));
        }
      }
    }
  }
}

/// Writes the lane's accumulators of its row i (0: lane / 4, 1: 8 further), times a factor, to floats in the
/// order of channels from `to` on.
template <KvType type, int count>
KVCAST_DEVICE void store_accumulator_row(const float (&o)[extent(count / 8)][4], int i, float factor,
                                         SharedAddress to) {
  const int place = lane_index() % 4;
  if constexpr (!is_packed(type)) {
    KVCAST_UNROLL
    for (int t = 0; t < count / 8; ++t) {
      const gpu::Words<2> out = {{bits_of(o[t][2 * i] * factor), bits_of(o[t][2 * i + 1] * factor)}};
      gpu::store_shared<2>(to + static_cast<std::uint32_t>((t * 8 + place * 2) * 4), out);
    }
  } else {
    constexpr int kShare = count / 8;
    KVCAST_UNROLL
    for (int column = 0; column < 2; ++column) {
      KVCAST_UNROLL
      for (int t = 0; t < kShare; t += 4) {
        gpu::Words<4> out;
        KVCAST_UNROLL
        for (int k = 0; k < 4; ++k) out.word[k] = bits_of(o[t + k][2 * i + column] * factor);
        gpu::store_shared<4>(to + static_cast<std::uint32_t>(((place * 2 + column) * kShare + t) * 4), out);
      }
    }
  }
}

}  // namespace kvcast::kernels
