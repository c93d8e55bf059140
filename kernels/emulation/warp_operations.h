/// What a warp's collectives compute, lane by lane, as the PTX manual describes them.
#pragma once

#include <cstdint>

#include "kernels/common/words.h"

namespace kvcast::kernels::emulation {

struct ShuffleOperand {
  std::uint64_t value;
  int lane;  // whose value comes back
};
void shuffle_lanes(void* const* operands);

/// Operands: bool.
void any_lane(void* const* operands);

struct MatricesOperand {
  const std::uint8_t* row;
  gpu::Words<4> out;
};
void load_matrices(void* const* operands);
void load_matrices_transposed(void* const* operands);

struct MmaOperand {
  float* c;
  const gpu::Words<4>* a;
  std::uint32_t b[2];
};
void mma_half(void* const* operands);
void mma_bfloat(void* const* operands);

/// One wgmma of a thread: c (n blocks of 8 columns) = or += A B with B in shared memory.
struct WgmmaOperand {
  float* c;
  int blocks;
  gpu::Words<4> a;
  std::uint64_t descriptor;
  bool add;
  bool bfloat;
  bool transposed;
};

/// Where element (k, column) of B begins in shared memory, after the 128-byte swizzle.
std::uint32_t wgmma_address(std::uint64_t descriptor, bool transposed, unsigned k, unsigned column);

/// The product of 128 threads' operands. `element` gives B's 16 bits at an address.
using SharedElement = std::uint16_t (*)(std::uint32_t address);
void multiply_group(const WgmmaOperand* const* operands, SharedElement element);

}  // namespace kvcast::kernels::emulation
