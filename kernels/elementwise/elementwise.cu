#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/elementwise/elementwise_cuda.h"
#include "kernels/elementwise/rows_kernel.h"
#include "kernels/elementwise/sample_kernel.h"

namespace kvcast::kernels {
namespace {

__global__ void __launch_bounds__(kRowsThreads)
    rms_norm_kernel(const __grid_constant__ RmsNormArgs<std::uint16_t> args, Element element) {
  normalise_rows(args, element);
}

__global__ void __launch_bounds__(kRowsThreads)
    silu_mul_kernel(const __grid_constant__ SiluMulArgs<std::uint16_t> args, Element element) {
  activate(args, element);
}

__global__ void __launch_bounds__(kRowsThreads)
    embed_kernel(const __grid_constant__ EmbedArgs<std::uint16_t> args) {
  embed_rows(args);
}

__global__ void __launch_bounds__(kSampleThreads) sample_kernel(const __grid_constant__ SampleArgs args) {
  sample_rows(args);
}

constexpr std::int64_t kCtasMax = 65535;
constexpr unsigned kSharedAlignment = 1024;  // of gpu::shared_base()

unsigned ctas_for(std::int64_t units) { return static_cast<unsigned>(std::min(units, kCtasMax)); }

unsigned ctas_of_vectors(std::int64_t rows, std::int64_t width) {
  return ctas_for((rows * (width / 8) + kRowsThreads - 1) / kRowsThreads);
}

}  // namespace

cudaError_t launch_rms_norm(const RmsNormArgs<std::uint16_t>& args, Element element, cudaStream_t stream) {
  if (args.width % 8 != 0) return cudaErrorInvalidValue;
  if (args.rows == 0) return cudaSuccess;
  rms_norm_kernel<<<ctas_for(args.rows), kRowsThreads, kSharedAlignment + kRowsSharedBytes, stream>>>(
      args, element);
  return cudaGetLastError();
}

cudaError_t launch_silu_mul(const SiluMulArgs<std::uint16_t>& args, Element element, cudaStream_t stream) {
  if (args.width % 8 != 0) return cudaErrorInvalidValue;
  if (args.rows == 0) return cudaSuccess;
  silu_mul_kernel<<<ctas_of_vectors(args.rows, args.width), kRowsThreads, 0, stream>>>(args, element);
  return cudaGetLastError();
}

cudaError_t launch_embed(const EmbedArgs<std::uint16_t>& args, cudaStream_t stream) {
  if (args.width % 8 != 0) return cudaErrorInvalidValue;
  if (args.rows == 0) return cudaSuccess;
  embed_kernel<<<ctas_of_vectors(args.rows, args.width), kRowsThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

cudaError_t launch_sample(const SampleArgs& args, cudaStream_t stream) {
  if (args.rows == 0) return cudaSuccess;
  sample_kernel<<<ctas_for(args.rows), kSampleThreads, kSharedAlignment + kSampleSharedBytes, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace kvcast::kernels
