/// What the device itself can do: launching, moving bytes within its memory and over PCIe.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "kernels/bench/device.h"

namespace kvcast::bench {

/// \param what of op "launch", "memory" or "pcie" \param pool memory that may be read and written, \param
/// pool_bytes of it \param second another stream, for copies in both directions at once \returns nullptr
/// where the memory is too small
[[nodiscard]] std::unique_ptr<Job> make_cuda_micro_job(const Case& what, std::uint8_t* pool,
                                                       std::int64_t pool_bytes, cudaStream_t stream,
                                                       cudaStream_t second);

}  // namespace kvcast::bench
