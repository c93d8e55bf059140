/// The GPU that CUDA names first (CUDA_VISIBLE_DEVICES chooses).
#pragma once

#include <memory>

#include "kernels/bench/check.h"
#include "kernels/bench/device.h"

namespace kvcast::bench {

/// \throws BenchError where there is no GPU or no driver for it, saying what to do instead
[[nodiscard]] std::unique_ptr<Device> make_cuda_device(std::uint64_t seed);

/// The kernels of that GPU on host memory: everything is copied there and back.
/// \throws BenchError as above
[[nodiscard]] std::unique_ptr<CheckedKernels> make_cuda_kernels();

/// The grid of a GPU: decode and prefill attention over the head shapes of common models, storage types,
/// batches and lengths; matrix products of their layers; append, copies, swaps, norms, activation, sampling.
[[nodiscard]] std::vector<Case> gpu_suite(Suite suite);
[[nodiscard]] std::vector<Case> gpu_sentinels();
/// The two cases that a case of op "overlap" runs beside each other.
[[nodiscard]] std::vector<Case> gpu_overlap_parts(const Case& what);

}  // namespace kvcast::bench
