/// Four floats at once, on every machine that g++ and clang know: the compiler's vector type, no intrinsics.
#pragma once

#include <cstring>

namespace kvcast::cpu {

typedef float Vec4 __attribute__((vector_size(16)));

inline Vec4 load4(const float* from) {
  Vec4 value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline void store4(float* to, Vec4 value) { std::memcpy(to, &value, sizeof value); }

/// In a fixed order, so that a sum is the same everywhere.
inline float sum4(Vec4 v) { return (v[0] + v[1]) + (v[2] + v[3]); }

}  // namespace kvcast::cpu
