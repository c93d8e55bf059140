/// The CPU side of device.h: what device_cuda.h says in PTX, on the emulated CTA.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/common/element.h"
#include "kernels/common/words.h"
#include "kernels/emulation/cta.h"
#include "kernels/emulation/warp_operations.h"

namespace kvcast::kernels::gpu {

inline int thread_index() { return emulation::thread_index(); }
inline int block_index() { return emulation::block_index(); }
inline int block_count() { return emulation::block_count(); }
inline SharedAddress shared_base() { return 1024; }
inline void sync_cta() { emulation::sync_cta(); }
inline void sync_warp() { emulation::sync_warp(); }

template <class T>
T shuffle(T value, int lane) {
  static_assert(sizeof(T) <= 8);
  emulation::ShuffleOperand operand = {0, lane};
  std::memcpy(&operand.value, &value, sizeof value);
  emulation::warp_collective(&emulation::shuffle_lanes, &operand);
  std::memcpy(&value, &operand.value, sizeof value);
  return value;
}
template <class T>
T shuffle_xor(T value, int mask) {
  return shuffle(value, (thread_index() % kWarp) ^ mask);
}
inline bool any_in_warp(bool value) {
  emulation::warp_collective(&emulation::any_lane, &value);
  return value;
}

template <class T>
T load_global(const T* address) {
  return *address;
}
template <class T>
void store_global(T* address, T value) {
  *address = value;
}

template <int n>
Words<n> load_shared(SharedAddress address) {
  Words<n> out;
  std::memcpy(out.word, emulation::shared_bytes(address, 4 * n, emulation::Access::read), sizeof out.word);
  return out;
}
template <int n>
void store_shared(SharedAddress address, Words<n> value) {
  std::memcpy(emulation::shared_bytes(address, 4 * n, emulation::Access::write), value.word,
              sizeof value.word);
}

inline Words<4> load_matrices(SharedAddress row) {
  emulation::MatricesOperand operand = {emulation::shared_bytes(row, 16, emulation::Access::read), {}};
  emulation::warp_collective(&emulation::load_matrices, &operand);
  return operand.out;
}
inline Words<4> load_matrices_transposed(SharedAddress row) {
  emulation::MatricesOperand operand = {emulation::shared_bytes(row, 16, emulation::Access::read), {}};
  emulation::warp_collective(&emulation::load_matrices_transposed, &operand);
  return operand.out;
}

inline void mma_half(float (&c)[4], const Words<4>& a, std::uint32_t b0, std::uint32_t b1) {
  emulation::MmaOperand operand = {c, &a, {b0, b1}};
  emulation::warp_collective(&emulation::mma_half, &operand);
}
inline void mma_bfloat(float (&c)[4], const Words<4>& a, std::uint32_t b0, std::uint32_t b1) {
  emulation::MmaOperand operand = {c, &a, {b0, b1}};
  emulation::warp_collective(&emulation::mma_bfloat, &operand);
}

inline void copy_async_16(SharedAddress to, const void* from, bool valid) {
  emulation::copy_async(to, from, 16, valid);
}
inline void copy_async_4(SharedAddress to, const void* from, bool valid) {
  emulation::copy_async(to, from, 4, valid);
}
inline void commit_copies() { emulation::commit_copies(); }
template <int pending>
void wait_copies() {
  emulation::wait_copies(pending);
}

inline float exp2_fast(float x) { return std::exp2(x); }
inline float log2_fast(float x) { return std::log2(x); }
inline float reciprocal_fast(float x) { return 1.0F / x; }

inline std::uint32_t pack_half(float low, float high) {
  return float_to_half(low) | (static_cast<std::uint32_t>(float_to_half(high)) << 16);
}
inline std::uint32_t pack_bfloat(float low, float high) {
  return float_to_bfloat(low) | (static_cast<std::uint32_t>(float_to_bfloat(high)) << 16);
}
inline float unpack_half(std::uint16_t bits) { return half_to_float(bits); }

/// PTX prmt.b32 in its default mode, for selectors without sign replication.
inline std::uint32_t pick_bytes(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
  const std::uint64_t both = a | (static_cast<std::uint64_t>(b) << 32);
  std::uint32_t out = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint32_t pick = (selector >> (4 * i)) & 7U;
    out |= static_cast<std::uint32_t>((both >> (8 * pick)) & 0xffU) << (8 * i);
  }
  return out;
}
inline std::uint32_t subtract_halves(std::uint32_t a, std::uint32_t b) {
  const auto half = [](std::uint32_t word, int i) {
    return half_to_float(static_cast<std::uint16_t>(word >> (16 * i)));
  };
  return pack_half(half(a, 0) - half(b, 0), half(a, 1) - half(b, 1));
}

}  // namespace kvcast::kernels::gpu
