/// The CPU side of hopper.h.
#pragma once

#include <cstdint>

#include "kernels/common/words.h"
#include "kernels/emulation/cta.h"
#include "kernels/emulation/warp_operations.h"

namespace kvcast::kernels::gpu {

using TensorMap = emulation::BoxMap;

inline void barrier_init(SharedAddress barrier, int arrivals) { emulation::barrier_init(barrier, arrivals); }
inline void barrier_init_fence() {}
inline void barrier_arrive(SharedAddress barrier) { emulation::barrier_arrive(barrier, 0); }
inline void barrier_arrive_expect(SharedAddress barrier, int bytes) {
  emulation::barrier_arrive(barrier, bytes);
}
inline void barrier_wait(SharedAddress barrier, int parity) { emulation::barrier_wait(barrier, parity); }
inline void copy_box(SharedAddress to, const TensorMap& map, int c0, int c1, int c2, int c3,
                     SharedAddress barrier) {
  emulation::copy_box(to, map, {c0, c1, c2, c3}, barrier);
}
inline void fence_async_proxy() { emulation::fence_proxy(); }
inline void sync_some(int id, int threads) { emulation::sync_some(id, threads); }
template <int count>
void raise_registers() {}
template <int count>
void lower_registers() {}

inline void wgmma_fence() {}
inline void wgmma_commit() { emulation::wgmma_commit(); }
inline void wgmma_wait() { emulation::wgmma_wait(); }

template <bool bfloat, bool transposed, std::size_t n>
void wgmma(float (&c)[n][4], const Words<4>& a, std::uint64_t descriptor, bool add) {
  emulation::wgmma_issue({&c[0][0], static_cast<int>(n), a, descriptor, add, bfloat, transposed});
}

}  // namespace kvcast::kernels::gpu
