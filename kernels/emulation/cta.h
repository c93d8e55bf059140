/// Runs the kernels' own source on the CPU: every CUDA thread of a CTA is a fiber, one CTA after the other.
///
/// What it checks beyond results: that collectives are entered by whole warps, that barriers are reached by
/// every thread, that shared memory is accessed inside its bounds and aligned, that asynchronous copies are
/// waited for (their bytes arrive only at the wait), and that accesses to shared memory by different threads
/// are ordered by barriers (vector clocks; warp collectives other than sync_warp order nothing). The order in
/// which threads run is free, so a kernel may not depend on it. What it cannot show: timing, register use,
/// the hardware's own rounding inside an mma, and whether this file reads the PTX manual correctly.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "kernels/emulation/warp_operations.h"

namespace kvcast::kernels::emulation {

struct Launch {
  int ctas = 1;
  int threads = 128;
  std::size_t shared_bytes = 0;
  bool check_races = true;
  std::uint64_t order_seed = 0;  // 0: threads take turns in order of their index; else in a random order
};

/// Runs `body` once for every thread of every CTA.
/// \throws std::runtime_error naming CTA and thread at the first broken rule
void run_grid(const Launch& launch, const std::function<void()>& body);

// What device.h is made of.

int thread_index();
int block_index();
int block_count();

/// Bounds, alignment and races of an access to shared memory; the bytes' place.
enum class Access : std::uint8_t { read, write };
std::uint8_t* shared_bytes(std::uint32_t address, std::uint32_t count, Access access);

/// Every lane of the warp must call this with the same operation, which then runs once over the lanes'
/// operands.
using WarpOperation = void (*)(void* const* operands);
void warp_collective(WarpOperation operation, void* operand);

void sync_warp();
void sync_cta();

/// A copy that happens when its group is waited for; until then the target holds NaNs and may not be touched.
void copy_async(std::uint32_t to, const void* from, std::uint32_t count, bool valid);
void commit_copies();
void wait_copies(int pending);

/// A tensor of 16-bit elements in global memory, its first dimension dense, and the size of its boxes, whose
/// rows have 128 bytes and are swizzled.
struct BoxMap {
  const std::uint8_t* base = nullptr;
  std::array<std::int64_t, 4> stride = {};  // bytes
  std::array<int, 4> box = {};              // elements
};

/// Barriers in shared memory (mbarrier). A phase is complete when all have arrived and all bytes are there.
/// Boxes arrive as late as they may: when somebody looks at their barrier, or when nobody else can go on.
void barrier_init(std::uint32_t barrier, int arrivals);
void barrier_arrive(std::uint32_t barrier, int bytes);
void barrier_wait(std::uint32_t barrier, int parity);
void copy_box(std::uint32_t to, const BoxMap& map, std::array<int, 4> at, std::uint32_t barrier);

/// A named barrier of some of the CTA's threads.
void sync_some(int id, int threads);

/// Makes the thread's plain writes so far visible to products.
void fence_proxy();

/// Products happen, and read shared memory, at the wait: until then results are not there and operands must
/// stay.
void wgmma_issue(const WgmmaOperand& operand);
void wgmma_commit();
void wgmma_wait();

/// Ends the run with an error.
[[noreturn]] void fail(const char* what);

}  // namespace kvcast::kernels::emulation
