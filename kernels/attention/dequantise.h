/// Cache codes to half-precision numbers in registers, two at a time and without a conversion instruction.
///
/// pair<type>(w0, w1, j) takes code j of the 32-bit word w0 (low half of the result) and code j of w1 (high
/// half). As contraction order is free, and so is the order in which an accumulator's columns stand for
/// channels, this one form feeds both matrix products: for Q K^T the words are neighbours in one row, for P V
/// the same word of two rows. Results are exact but for NF4, whose levels are rounded to half; kv_unit() says
/// in which unit they are.
#pragma once

#include "kernels/common/device.h"
#include "kernels/common/kv_format.h"

namespace kvcast::kernels {

/// pair() gives value / kv_unit. e4m3's exponent is put into half's without adding the difference of biases.
KVCAST_HOST_DEVICE constexpr float kv_unit(KvType type) { return type == KvType::fp8_e4m3 ? 256.0F : 1.0F; }

/// Codes in a 32-bit word.
KVCAST_HOST_DEVICE constexpr int codes_per_word(KvType type) { return 32 / kv_bits(type); }

template <KvType type>
KVCAST_DEVICE std::uint32_t pair(std::uint32_t w0, std::uint32_t w1, int j) {
  const auto k = static_cast<std::uint32_t>(j);
  if constexpr (kv_bits(type) == 8) {
    const std::uint32_t doubled = gpu::pick_bytes(w0, w1, k * 0x11U + (k + 4) * 0x1100U);  // each byte twice
    if constexpr (type == KvType::fp8_e5m2) {
      return doubled & 0xff00ff00U;  // half has the same exponent
    } else if constexpr (type == KvType::fp8_e4m3) {
      return (doubled & 0x80008000U) | ((doubled & 0x7f007f00U) >> 1);
    } else {
      // 0x6400 is 1024, whose unit in the last place is 1: the biased code adds to it exactly.
      return gpu::subtract_halves(((doubled ^ 0x00800080U) & 0x00ff00ffU) | 0x64006400U, 0x64806480U);
    }
  } else if constexpr (type == KvType::int4) {
    const std::uint32_t halves = gpu::pick_bytes(w0, w1, k < 4 ? 0x5410U : 0x7632U);
    return gpu::subtract_halves(((halves >> (4 * (k % 4))) & 0x000f000fU) | 0x64006400U, 0x64086408U);
  } else {
    static_assert(type == KvType::nf4);
    // Four codes (two of each word) look up their bytes in both planes; the table of 16 is two of 8.
    const std::uint32_t codes = gpu::pick_bytes(w0, w1, (k / 2) + (k / 2 + 4) * 0x10U);
    const std::uint32_t index = codes & 0x7777U;
    const std::uint32_t upper = gpu::pick_bytes(0x0000ff00U, 0, (codes >> 3) & 0x1111U);
    const auto look_up = [&](const std::uint32_t(&plane)[4]) {
      return (gpu::pick_bytes(plane[0], plane[1], index) & ~upper) |
             (gpu::pick_bytes(plane[2], plane[3], index) & upper);
    };
    // The levels as halves: their low bytes and their high bytes.
    constexpr std::uint32_t kLow[4] = {0x52339200, 0x00d4ea8d, 0x68e02618, 0x00c9800d};
    constexpr std::uint32_t kHigh[4] = {0xb6b8b9bc, 0x00adb1b4, 0x3533312d, 0x3c393837};
    return gpu::pick_bytes(look_up(kLow), look_up(kHigh), k % 2 == 0 ? 0x6240U : 0x7351U);
  }
}

}  // namespace kvcast::kernels
