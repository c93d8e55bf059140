/// The GPU side of hopper.h: inline PTX. Source: PTX ISA 9.0.
#pragma once

#include <cuda.h>

#include "kernels/common/device.h"

namespace kvcast::kernels::gpu {

/// How a tensor lies in global memory and which boxes of it are copied; made on the host
/// (cuTensorMapEncodeTiled).
using TensorMap = CUtensorMap;

KVCAST_DEVICE void barrier_init(SharedAddress barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
/// Makes initialised barriers visible to copies.
KVCAST_DEVICE void barrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}
KVCAST_DEVICE void barrier_arrive(SharedAddress barrier) {
  asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared::cta.b64 state, [%0];\n}" ::"r"(barrier)
               : "memory");
}
/// Arrives, and makes the phase wait for so many bytes of copies too.
KVCAST_DEVICE void barrier_arrive_expect(SharedAddress barrier, int bytes) {
  asm volatile(
      "{\n.reg .b64 state;\nmbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1;\n}" ::"r"(barrier),
      "r"(bytes)
      : "memory");
}
/// Until the phase of this parity is complete.
KVCAST_DEVICE void barrier_wait(SharedAddress barrier, int parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra finished;\nbra again;\nfinished:\n}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

/// Copies one box of a tensor of 16-bit elements with four dimensions; the barrier's phase counts its bytes.
KVCAST_DEVICE void copy_box(SharedAddress to, const TensorMap& map, int c0, int c1, int c2, int c3,
                            SharedAddress barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, "
      "%5, %6}], [%2];" ::"r"(to),
      "l"(reinterpret_cast<std::uint64_t>(&map)), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}

/// Orders ordinary accesses to shared memory before those of copies and wgmma.
KVCAST_DEVICE void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// A barrier of some of the CTA's warps.
KVCAST_DEVICE void sync_some(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

template <int count>
KVCAST_DEVICE void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
KVCAST_DEVICE void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}

KVCAST_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
KVCAST_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Until all of this group of warps' products are done.
KVCAST_DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

#define KVCAST_ACCUMULATOR(c, j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])

/// c (64 rows by n columns; add: c +) = a * B, 16 deep: A fragments as of mma.m16n8k16, warp w having rows 16
/// w and on; B in shared memory. The registers may be touched after wgmma_wait() only.
template <bool bfloat, bool transposed>
KVCAST_DEVICE void wgmma(float (&c)[8][4], const Words<4>& a, std::uint64_t descriptor, bool add) {
  if constexpr (bfloat) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, p, 1, 1, %38;\n}\n"
        : KVCAST_ACCUMULATOR(c, 0), KVCAST_ACCUMULATOR(c, 1), KVCAST_ACCUMULATOR(c, 2),
          KVCAST_ACCUMULATOR(c, 3), KVCAST_ACCUMULATOR(c, 4), KVCAST_ACCUMULATOR(c, 5),
          KVCAST_ACCUMULATOR(c, 6), KVCAST_ACCUMULATOR(c, 7)
        : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "l"(descriptor), "r"(add ? 1 : 0),
          "n"(transposed ? 1 : 0));
  } else {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, p, 1, 1, %38;\n}\n"
        : KVCAST_ACCUMULATOR(c, 0), KVCAST_ACCUMULATOR(c, 1), KVCAST_ACCUMULATOR(c, 2),
          KVCAST_ACCUMULATOR(c, 3), KVCAST_ACCUMULATOR(c, 4), KVCAST_ACCUMULATOR(c, 5),
          KVCAST_ACCUMULATOR(c, 6), KVCAST_ACCUMULATOR(c, 7)
        : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "l"(descriptor), "r"(add ? 1 : 0),
          "n"(transposed ? 1 : 0));
  }
}
template <bool bfloat, bool transposed>
KVCAST_DEVICE void wgmma(float (&c)[16][4], const Words<4>& a, std::uint64_t descriptor, bool add) {
  if constexpr (bfloat) {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "{%64, %65, %66, %67}, %68, p, 1, 1, %70;\n}\n"
        : KVCAST_ACCUMULATOR(c, 0), KVCAST_ACCUMULATOR(c, 1), KVCAST_ACCUMULATOR(c, 2),
          KVCAST_ACCUMULATOR(c, 3), KVCAST_ACCUMULATOR(c, 4), KVCAST_ACCUMULATOR(c, 5),
          KVCAST_ACCUMULATOR(c, 6), KVCAST_ACCUMULATOR(c, 7), KVCAST_ACCUMULATOR(c, 8),
          KVCAST_ACCUMULATOR(c, 9), KVCAST_ACCUMULATOR(c, 10), KVCAST_ACCUMULATOR(c, 11),
          KVCAST_ACCUMULATOR(c, 12), KVCAST_ACCUMULATOR(c, 13), KVCAST_ACCUMULATOR(c, 14),
          KVCAST_ACCUMULATOR(c, 15)
        : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "l"(descriptor), "r"(add ? 1 : 0),
          "n"(transposed ? 1 : 0));
  } else {
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "{%64, %65, %66, %67}, %68, p, 1, 1, %70;\n}\n"
        : KVCAST_ACCUMULATOR(c, 0), KVCAST_ACCUMULATOR(c, 1), KVCAST_ACCUMULATOR(c, 2),
          KVCAST_ACCUMULATOR(c, 3), KVCAST_ACCUMULATOR(c, 4), KVCAST_ACCUMULATOR(c, 5),
          KVCAST_ACCUMULATOR(c, 6), KVCAST_ACCUMULATOR(c, 7), KVCAST_ACCUMULATOR(c, 8),
          KVCAST_ACCUMULATOR(c, 9), KVCAST_ACCUMULATOR(c, 10), KVCAST_ACCUMULATOR(c, 11),
          KVCAST_ACCUMULATOR(c, 12), KVCAST_ACCUMULATOR(c, 13), KVCAST_ACCUMULATOR(c, 14),
          KVCAST_ACCUMULATOR(c, 15)
        : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "l"(descriptor), "r"(add ? 1 : 0),
          "n"(transposed ? 1 : 0));
  }
}

#undef KVCAST_ACCUMULATOR

}  // namespace kvcast::kernels::gpu
