/// Cases as kernels on a GPU, with their operands in place.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include "kernels/bench/device.h"

namespace kvcast::bench {

class GpuJobs {
 public:
  virtual ~GpuJobs() = default;
  /// nullptr where there is no kernel for the case, or not the memory. The job before must be gone.
  [[nodiscard]] virtual std::unique_ptr<Job> prepare(const Case& what) = 0;
};

/// Takes up to 24 GiB of the current device and fills them with random numbers.
/// \throws BenchError where there is no memory
[[nodiscard]] std::unique_ptr<GpuJobs> make_gpu_jobs(std::uint64_t seed, const cudaDeviceProp& properties,
                                                     cudaStream_t stream);

}  // namespace kvcast::bench
