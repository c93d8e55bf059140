/// Registers as instructions take them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/portable.h"

namespace kvcast::kernels::gpu {

inline constexpr int kWarp = 32;

/// A byte address in the CTA's shared memory.
using SharedAddress = std::uint32_t;

/// A count as the extent of an array.
KVCAST_HOST_DEVICE constexpr std::size_t extent(int n) { return static_cast<std::size_t>(n); }

/// 32-bit registers that one instruction reads or writes together.
template <int n>
struct Words {
  std::uint32_t word[extent(n)];
};

}  // namespace kvcast::kernels::gpu
