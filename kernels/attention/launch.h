/// Starts the attention kernels on a GPU.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/attention/variants.h"

namespace kvcast::kernels {

/// What choose_variant() wants to know of the current device.
[[nodiscard]] cudaError_t current_device(Device* device);

/// CTAs that the current device runs at the same time: what a plan should be made for.
[[nodiscard]] cudaError_t resident_ctas(const Variant& variant, int* ctas);

/// The variant's kernel and, where the plan divides row tiles, the merge kernel, on a stream. All pointers
/// are of device memory, and stay valid until the stream has got that far; check_attention(args) must be "".
[[nodiscard]] cudaError_t launch_attention(const Variant& variant, const AttentionArgs& args,
                                           const PlanArrays& plan, cudaStream_t stream);

}  // namespace kvcast::kernels
