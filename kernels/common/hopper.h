/// What sm_90a adds to device.h: barriers in shared memory, copies of whole boxes (TMA), products by groups
/// of four warps (wgmma). Under nvcc inline PTX, else the emulation.
#pragma once

#include "kernels/common/device.h"

#ifdef __CUDACC__
#include "kernels/common/hopper_cuda.h"
#else
#include "kernels/emulation/hopper.h"
#endif

namespace kvcast::kernels::gpu {

inline constexpr int kWarpGroup = 128;

/// A matrix descriptor of wgmma for operands in 128-byte swizzled shared memory. Strides in bytes.
/// Rows of 64 elements along the contraction (K-major): `group` from 8 rows to the next 8, `panel` unused.
/// Rows of 64 elements across it (MN-major): `group` from 8 rows to the next 8, `panel` from 64 columns to
/// the next 64. Source: PTX ISA 9.0, "Matrix descriptor"; CUTLASS 3, cute/arch/mma_sm90_desc.hpp (the
/// canonical layouts).
KVCAST_HOST_DEVICE constexpr std::uint64_t matrix_descriptor(SharedAddress start, int panel, int group) {
  const auto field = [](std::uint32_t bytes) { return static_cast<std::uint64_t>((bytes & 0x3ffffU) >> 4); };
  return field(start) | (field(static_cast<std::uint32_t>(panel)) << 16) |
         (field(static_cast<std::uint32_t>(group)) << 32) | (std::uint64_t{1} << 62);
}

}  // namespace kvcast::kernels::gpu
