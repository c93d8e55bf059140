/// How one (token, KV head) row of keys or values lies in the cache, for every storage type: what append
/// writes and attention reads.
///
/// A row holds head_size channels back to back: 2 bytes, 1 byte or half a byte each; of two 4-bit channels in
/// a byte the even one is in the low half. A row's bytes are a multiple of 16, and rows start at multiples
/// of 16. value = decode_kv(type, code) * scale. The scale is one float for each (token, KV head), in an
/// array of its own; strides of zero make it one for a head or for the tensor. 16-bit types have no scale.
#pragma once

#include <cstdint>

#include "kernels/common/element.h"

namespace kvcast::kernels {

enum class KvType : std::uint8_t { bf16, fp16, fp8_e4m3, fp8_e5m2, int8, int4, nf4 };
inline constexpr KvType kKvTypes[] = {KvType::bf16, KvType::fp16, KvType::fp8_e4m3, KvType::fp8_e5m2,
                                      KvType::int8, KvType::int4, KvType::nf4};

KVCAST_HOST_DEVICE constexpr const char* kv_type_name(KvType type) {
  switch (type) {
    case KvType::bf16:
      return "bfloat16";
    case KvType::fp16:
      return "float16";
    case KvType::fp8_e4m3:
      return "fp8_e4m3";
    case KvType::fp8_e5m2:
      return "fp8_e5m2";
    case KvType::int8:
      return "int8";
    case KvType::int4:
      return "int4";
    case KvType::nf4:
      return "nf4";
  }
  return "";
}

KVCAST_HOST_DEVICE constexpr int kv_bits(KvType type) {
  if (type == KvType::bf16 || type == KvType::fp16) return 16;
  return type == KvType::int4 || type == KvType::nf4 ? 4 : 8;
}
KVCAST_HOST_DEVICE constexpr bool kv_has_scale(KvType type) { return kv_bits(type) < 16; }
KVCAST_HOST_DEVICE constexpr int kv_row_bytes(KvType type, int head_size) {
  return head_size * kv_bits(type) / 8;
}

/// The largest |value| that a code stands for: the scale of a row is its largest magnitude over this.
KVCAST_HOST_DEVICE constexpr float kv_code_max(KvType type) {
  switch (type) {
    case KvType::fp8_e4m3:
      return 448.0F;
    case KvType::fp8_e5m2:
      return 57344.0F;
    case KvType::int8:
      return 127.0F;
    case KvType::int4:
      return 7.0F;
    default:
      return 1.0F;
  }
}

/// The 16 levels of NF4: quantiles of the normal distribution, scaled to [-1, 1].
/// Source: Dettmers et al. 2023 (QLoRA), appendix E.
KVCAST_HOST_DEVICE constexpr float nf4_level(std::uint32_t code) {
  constexpr float kLevels[16] = {-1.0F,
                                 -0.6961928009986877F,
                                 -0.5250730514526367F,
                                 -0.39491748809814453F,
                                 -0.28444138169288635F,
                                 -0.18477343022823334F,
                                 -0.09105003625154495F,
                                 0.0F,
                                 0.07958029955625534F,
                                 0.16093020141124725F,
                                 0.24611230194568634F,
                                 0.33791524171829224F,
                                 0.44070982933044434F,
                                 0.5626170039176941F,
                                 0.7229568362236023F,
                                 1.0F};
  return kLevels[code & 15U];
}

/// What a code stands for, before the scale. int8: two's complement. int4: the value plus 8, so -8 to 7. nf4:
/// the level's number. Attention computes with NF4 levels rounded to half precision.
KVCAST_HOST_DEVICE inline float decode_kv(KvType type, std::uint32_t code) {
  switch (type) {
    case KvType::bf16:
      return bfloat_to_float(static_cast<std::uint16_t>(code));
    case KvType::fp16:
      return half_to_float(static_cast<std::uint16_t>(code));
    case KvType::fp8_e4m3:
      return decode_float(kE4m3Shape, code & 0xffU);
    case KvType::fp8_e5m2:
      return decode_float(kE5m2Shape, code & 0xffU);
    case KvType::int8:
      return static_cast<float>(static_cast<std::int8_t>(code & 0xffU));
    case KvType::int4:
      return static_cast<float>(static_cast<int>(code & 15U) - 8);
    case KvType::nf4:
      return nf4_level(code);
  }
  return 0;
}

/// x to the nearest integer, ties to even, for |x| < 2^22.
KVCAST_HOST_DEVICE inline float round_to_even(float x) {
  constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: adding it leaves no fraction bits
  return (x + kShift) - kShift;
}

/// The code nearest to x, which is a value already divided by its scale; beyond the largest code: the
/// largest.
KVCAST_HOST_DEVICE inline std::uint32_t encode_kv(KvType type, float x) {
  switch (type) {
    case KvType::bf16:
      return float_to_bfloat(x);
    case KvType::fp16:
      return float_to_half(x);
    case KvType::fp8_e4m3:
      return encode_float(kE4m3Shape, x, true);
    case KvType::fp8_e5m2:
      return encode_float(kE5m2Shape, x, true);
    case KvType::int8:
    case KvType::int4: {
      const float largest = kv_code_max(type);
      const float clamped = x < -largest ? -largest : (x > largest ? largest : x);
      const int value = static_cast<int>(round_to_even(clamped));
      return type == KvType::int8 ? static_cast<std::uint32_t>(value) & 0xffU
                                  : static_cast<std::uint32_t>(value + 8);
    }
    case KvType::nf4: {
      std::uint32_t code = 0;
      while (code < 15 && x > 0.5F * (nf4_level(code) + nf4_level(code + 1))) ++code;
      return code;
    }
  }
  return 0;
}

/// The code of channel `channel` of a row, and its place. The writers of 4-bit rows own whole bytes.
KVCAST_HOST_DEVICE inline std::uint32_t load_kv_code(KvType type, const std::uint8_t* row, int channel) {
  switch (kv_bits(type)) {
    case 16:
      return row[2 * channel] | (static_cast<std::uint32_t>(row[2 * channel + 1]) << 8);
    case 8:
      return row[channel];
    default:
      return (static_cast<std::uint32_t>(row[channel / 2]) >> (4 * (channel % 2))) & 15U;
  }
}

KVCAST_HOST_DEVICE inline void store_kv_code(KvType type, std::uint8_t* row, int channel,
                                             std::uint32_t code) {
  switch (kv_bits(type)) {
    case 16:
      row[2 * channel] = static_cast<std::uint8_t>(code & 0xffU);
      row[2 * channel + 1] = static_cast<std::uint8_t>(code >> 8);
      return;
    case 8:
      row[channel] = static_cast<std::uint8_t>(code);
      return;
    default: {
      const int shift = 4 * (channel % 2);
      row[channel / 2] =
          static_cast<std::uint8_t>((row[channel / 2] & ~(15U << shift)) | ((code & 15U) << shift));
    }
  }
}

}  // namespace kvcast::kernels
