/// The GPU side of device.h: inline PTX. Source: PTX ISA 9.0.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/common/portable.h"
#include "kernels/common/words.h"

namespace kvcast::kernels::gpu {

KVCAST_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
KVCAST_DEVICE int block_index() { return static_cast<int>(blockIdx.x); }
KVCAST_DEVICE int block_count() { return static_cast<int>(gridDim.x); }

/// The start of the dynamic shared memory, aligned to 1024 bytes.
KVCAST_DEVICE SharedAddress shared_base() {
  extern __shared__ __align__(1024) unsigned char kvcast_shared[];
  return static_cast<SharedAddress>(__cvta_generic_to_shared(kvcast_shared));
}

KVCAST_DEVICE void sync_cta() { __syncthreads(); }
KVCAST_DEVICE void sync_warp() { __syncwarp(); }

template <class T>
KVCAST_DEVICE T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffU, value, mask);
}
template <class T>
KVCAST_DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffU, value, lane);
}
KVCAST_DEVICE bool any_in_warp(bool value) { return __any_sync(0xffffffffU, value) != 0; }

template <class T>
KVCAST_DEVICE T load_global(const T* address) {
  return __ldg(address);
}
template <>
KVCAST_DEVICE Words<4> load_global(const Words<4>* address) {
  const uint4 value = __ldg(reinterpret_cast<const uint4*>(address));
  return {{value.x, value.y, value.z, value.w}};
}
template <class T>
KVCAST_DEVICE void store_global(T* address, T value) {
  *address = value;
}
template <>
KVCAST_DEVICE void store_global(Words<4>* address, Words<4> value) {
  *reinterpret_cast<uint4*>(address) = make_uint4(value.word[0], value.word[1], value.word[2], value.word[3]);
}

template <int n>
KVCAST_DEVICE Words<n> load_shared(SharedAddress address) {
  static_assert(n == 1 || n == 2 || n == 4);
  Words<n> out;
  if constexpr (n == 1) {
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(out.word[0]) : "r"(address) : "memory");
  } else if constexpr (n == 2) {
    asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];"
                 : "=r"(out.word[0]), "=r"(out.word[1])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out.word[0]), "=r"(out.word[1]), "=r"(out.word[2]), "=r"(out.word[3])
                 : "r"(address)
                 : "memory");
  }
  return out;
}

template <int n>
KVCAST_DEVICE void store_shared(SharedAddress address, Words<n> value) {
  static_assert(n == 1 || n == 2 || n == 4);
  if constexpr (n == 1) {
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(value.word[0]) : "memory");
  } else if constexpr (n == 2) {
    asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(address), "r"(value.word[0]), "r"(value.word[1])
                 : "memory");
  } else {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(value.word[0]),
                 "r"(value.word[1]), "r"(value.word[2]), "r"(value.word[3])
                 : "memory");
  }
}

/// Four 8x8 matrices of 16-bit elements; lane i names row i % 8 of matrix i / 8, 16 bytes.
KVCAST_DEVICE Words<4> load_matrices(SharedAddress row) {
  Words<4> out;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out.word[0]), "=r"(out.word[1]), "=r"(out.word[2]), "=r"(out.word[3])
               : "r"(row)
               : "memory");
  return out;
}
KVCAST_DEVICE Words<4> load_matrices_transposed(SharedAddress row) {
  Words<4> out;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out.word[0]), "=r"(out.word[1]), "=r"(out.word[2]), "=r"(out.word[3])
               : "r"(row)
               : "memory");
  return out;
}

/// c += a * b, a 16x16 by b 16x8, in float.
KVCAST_DEVICE void mma_half(float (&c)[4], const Words<4>& a, std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b0), "r"(b1));
}
KVCAST_DEVICE void mma_bfloat(float (&c)[4], const Words<4>& a, std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b0), "r"(b1));
}

/// 16 bytes from global to shared memory without passing through registers; zeros if not valid, and then the
/// source is not read.
KVCAST_DEVICE void copy_async_16(SharedAddress to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}
KVCAST_DEVICE void copy_async_4(SharedAddress to, const void* from, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(valid ? 4 : 0)
               : "memory");
}
/// Closes a group of this thread's copies, which may be empty.
KVCAST_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Until at most `pending` of this thread's latest groups are under way.
template <int pending>
KVCAST_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

KVCAST_DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
KVCAST_DEVICE float log2_fast(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
KVCAST_DEVICE float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Two floats rounded to 16 bits, the first in the low half.
KVCAST_DEVICE std::uint32_t pack_half(float low, float high) {
  std::uint32_t out;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}
KVCAST_DEVICE std::uint32_t pack_bfloat(float low, float high) {
  std::uint32_t out;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}
KVCAST_DEVICE float unpack_half(std::uint16_t bits) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(bits));
  return out;
}

/// Four bytes of a (0..3) and b (4..7), picked by the nibbles of the selector.
KVCAST_DEVICE std::uint32_t pick_bytes(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
  return __byte_perm(a, b, selector);
}
/// a - b, of two halves.
KVCAST_DEVICE std::uint32_t subtract_halves(std::uint32_t a, std::uint32_t b) {
  std::uint32_t out;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(out) : "r"(a), "r"(b));
  return out;
}

}  // namespace kvcast::kernels::gpu
