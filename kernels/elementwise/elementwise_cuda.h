/// Starts the elementwise kernels on a GPU; pointers are of device memory. Widths are multiples of 8, rows at
/// multiples of 16 bytes.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/common/packed.h"
#include "kernels/elementwise/elementwise.h"

namespace kvcast::kernels {

[[nodiscard]] cudaError_t launch_rms_norm(const RmsNormArgs<std::uint16_t>& args, Element element,
                                          cudaStream_t stream);
[[nodiscard]] cudaError_t launch_silu_mul(const SiluMulArgs<std::uint16_t>& args, Element element,
                                          cudaStream_t stream);
[[nodiscard]] cudaError_t launch_embed(const EmbedArgs<std::uint16_t>& args, cudaStream_t stream);
/// The vocabulary is below 2^31.
[[nodiscard]] cudaError_t launch_sample(const SampleArgs& args, cudaStream_t stream);

}  // namespace kvcast::kernels
