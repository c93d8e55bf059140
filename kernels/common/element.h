/// 16-bit and 8-bit floating point as bits: conversions that give the same result on every machine. All round
/// to nearest, ties to even.
/// Source: OCP 8-bit Floating Point Specification 1.0 (E4M3: bias 7, no infinity, 448 the largest; E5M2: bias
/// 15).
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/common/portable.h"

namespace kvcast::kernels {

/// A minifloat's shape.
struct FloatShape {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;  // without: the largest exponent holds numbers, and all ones is NaN
};
inline constexpr FloatShape kHalfShape{5, 10, true};
inline constexpr FloatShape kBfloatShape{8, 7, true};
inline constexpr FloatShape kE4m3Shape{4, 3, false};
inline constexpr FloatShape kE5m2Shape{5, 2, true};

KVCAST_HOST_DEVICE inline std::uint32_t bits_of(float value) {
  std::uint32_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

KVCAST_HOST_DEVICE inline float float_of(std::uint32_t bits) {
  float value = 0;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/// 2^exponent for exponents of normal floats.
KVCAST_HOST_DEVICE inline float power_of_two(int exponent) {
  return float_of(static_cast<std::uint32_t>(exponent + 127) << 23);
}

/// The value of a minifloat code; exact.
KVCAST_HOST_DEVICE constexpr float decode_float(FloatShape shape, std::uint32_t code) {
  const int bias = (1 << (shape.exponent_bits - 1)) - 1;
  const std::uint32_t exponent_max = (1U << shape.exponent_bits) - 1;
  const std::uint32_t mantissa = code & ((1U << shape.mantissa_bits) - 1);
  const std::uint32_t exponent = (code >> shape.mantissa_bits) & exponent_max;
  const bool negative = ((code >> (shape.mantissa_bits + shape.exponent_bits)) & 1U) != 0;
  const bool all_ones = mantissa == (1U << shape.mantissa_bits) - 1;
  float value = 0;
  if (exponent == exponent_max && (shape.has_infinity || all_ones)) {
    value = mantissa == 0 ? __builtin_inff() : __builtin_nanf("");
  } else {
    const std::uint32_t significand = exponent == 0 ? mantissa : mantissa | (1U << shape.mantissa_bits);
    int scale = (exponent == 0 ? 1 : static_cast<int>(exponent)) - bias - shape.mantissa_bits;
    value = static_cast<float>(significand);
    // bfloat16's subnormals lie below what one power of two can hold.
    for (; scale < 0; ++scale) value *= 0.5F;
    for (; scale > 0; --scale) value *= 2.0F;
  }
  return negative ? -value : value;
}

/// The code nearest to a value. Beyond the largest number: infinity where the shape has one and `saturate` is
/// false, else the largest number. NaN gives a NaN code.
KVCAST_HOST_DEVICE inline std::uint32_t encode_float(FloatShape shape, float value, bool saturate) {
  const int bias = (1 << (shape.exponent_bits - 1)) - 1;
  const std::uint32_t sign = (bits_of(value) >> 31) << (shape.exponent_bits + shape.mantissa_bits);
  const std::uint32_t ones = (1U << (shape.exponent_bits + shape.mantissa_bits)) - 1;
  const std::uint32_t infinity = ((1U << shape.exponent_bits) - 1) << shape.mantissa_bits;
  const std::uint32_t largest = (shape.has_infinity ? infinity : ones) - 1;
  const std::uint32_t magnitude = bits_of(value) & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return sign | ones;
  const int exponent = static_cast<int>(magnitude >> 23) - 127;
  std::uint32_t code = 0;
  if (exponent >= 1 - bias) {
    // Normal: drop mantissa bits with rounding; a carry walks into the exponent, as it should.
    const int drop = 23 - shape.mantissa_bits;
    const std::uint32_t rebased = magnitude - (static_cast<std::uint32_t>(127 - bias) << 23);
    code = (rebased + ((1U << (drop - 1)) - 1) + ((rebased >> drop) & 1U)) >> drop;
  } else {
    // Subnormal: the significand in units of the smallest number.
    const std::uint32_t significand =
        magnitude < 0x00800000U ? magnitude : (magnitude & 0x007fffffU) | 0x00800000U;
    const int drop = (1 - bias) - (exponent < -126 ? -126 : exponent) + 23 - shape.mantissa_bits;
    if (drop <= 24) code = (significand + ((1U << (drop - 1)) - 1) + ((significand >> drop) & 1U)) >> drop;
  }
  if (code > largest) code = shape.has_infinity && !saturate ? infinity : largest;
  return sign | code;
}

KVCAST_HOST_DEVICE inline float half_to_float(std::uint16_t code) { return decode_float(kHalfShape, code); }
KVCAST_HOST_DEVICE inline std::uint16_t float_to_half(float value) {
  return static_cast<std::uint16_t>(encode_float(kHalfShape, value, false));
}
KVCAST_HOST_DEVICE inline float bfloat_to_float(std::uint16_t code) {
  return float_of(static_cast<std::uint32_t>(code) << 16);
}
KVCAST_HOST_DEVICE inline std::uint16_t float_to_bfloat(float value) {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace kvcast::kernels
