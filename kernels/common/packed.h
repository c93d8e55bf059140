/// Loads and stores of 1 to 16 bytes by one instruction; addresses are multiples of the size.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/common/element.h"
#include "kernels/common/words.h"

namespace kvcast::kernels {

template <int bytes>
struct Packed {
  static_assert(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16);
  std::uint32_t word[gpu::extent((bytes + 3) / 4)] = {};
};

template <int bytes>
KVCAST_DEVICE Packed<bytes> load_packed(const void* from) {
  Packed<bytes> out;
#ifdef __CUDACC__
  if constexpr (bytes == 16) {
    const uint4 value = *static_cast<const uint4*>(from);
    out.word[0] = value.x;
    out.word[1] = value.y;
    out.word[2] = value.z;
    out.word[3] = value.w;
  } else if constexpr (bytes == 8) {
    const uint2 value = *static_cast<const uint2*>(from);
    out.word[0] = value.x;
    out.word[1] = value.y;
  } else if constexpr (bytes == 4) {
    out.word[0] = *static_cast<const std::uint32_t*>(from);
  } else if constexpr (bytes == 2) {
    out.word[0] = *static_cast<const std::uint16_t*>(from);
  } else {
    out.word[0] = *static_cast<const std::uint8_t*>(from);
  }
#else
  std::memcpy(out.word, from, bytes);
#endif
  return out;
}

template <int bytes>
KVCAST_DEVICE void store_packed(void* to, const Packed<bytes>& value) {
#ifdef __CUDACC__
  if constexpr (bytes == 16) {
    *static_cast<uint4*>(to) = make_uint4(value.word[0], value.word[1], value.word[2], value.word[3]);
  } else if constexpr (bytes == 8) {
    *static_cast<uint2*>(to) = make_uint2(value.word[0], value.word[1]);
  } else if constexpr (bytes == 4) {
    *static_cast<std::uint32_t*>(to) = value.word[0];
  } else if constexpr (bytes == 2) {
    *static_cast<std::uint16_t*>(to) = static_cast<std::uint16_t>(value.word[0]);
  } else {
    *static_cast<std::uint8_t*>(to) = static_cast<std::uint8_t>(value.word[0]);
  }
#else
  std::memcpy(to, value.word, bytes);
#endif
}

/// Which 16-bit type activations are in.
enum class Element : std::uint8_t { bf16, fp16 };

KVCAST_HOST_DEVICE inline float element_to_float(Element element, std::uint16_t bits) {
  return element == Element::bf16 ? bfloat_to_float(bits) : half_to_float(bits);
}
KVCAST_HOST_DEVICE inline std::uint16_t element_from_float(Element element, float value) {
  return element == Element::bf16 ? float_to_bfloat(value) : float_to_half(value);
}

/// n neighbouring 16-bit elements as floats, and back.
template <int n>
KVCAST_DEVICE void load_elements(Element element, const std::uint16_t* from, float (&x)[gpu::extent(n)]) {
  const Packed<2 * n> packed = load_packed<2 * n>(from);
  for (int i = 0; i < n; ++i)
    x[i] = element_to_float(element, static_cast<std::uint16_t>(packed.word[i / 2] >> (16 * (i % 2))));
}
template <int n>
KVCAST_DEVICE void store_elements(Element element, std::uint16_t* to, const float (&x)[gpu::extent(n)]) {
  Packed<2 * n> packed;
  for (int i = 0; i < n; ++i)
    packed.word[i / 2] |= static_cast<std::uint32_t>(element_from_float(element, x[i])) << (16 * (i % 2));
  store_packed(to, packed);
}

}  // namespace kvcast::kernels
