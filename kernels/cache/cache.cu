#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/cache/append_kernel.h"
#include "kernels/cache/blocks_kernel.h"
#include "kernels/cache/cache_cuda.h"
#include "kernels/cache/scores_kernel.h"

namespace kvcast::kernels {
namespace {

template <KvType type, int kChannels>
__global__ void __launch_bounds__(kAppendThreads)
    append_kernel(const __grid_constant__ AppendArgs<std::uint16_t> args, Element element) {
  append_heads<type, kChannels>(args, element);
}

__global__ void __launch_bounds__(256) slots_kernel(const __grid_constant__ SlotArgs args) {
  find_slots(args, 256);
}

__global__ void __launch_bounds__(kBlocksThreads)
    copy_blocks_kernel(const __grid_constant__ CopyBlocksArgs args) {
  copy_pairs(args);
}

template <bool kScatter>
__global__ void __launch_bounds__(kBlocksThreads)
    move_dense_kernel(const __grid_constant__ GatherBlocksArgs args) {
  move_dense<kScatter>(args);
}

template <KvType type>
__global__ void __launch_bounds__(kScoresThreads)
    scores_kernel(const __grid_constant__ AccumulateScoresArgs<std::uint16_t> args, Element element,
                  std::int64_t context_max) {
  add_scores<type>(args, element, context_max);
}

/// CTAs for a number of units of work, no more than fill the GPU.
cudaError_t grid_for(std::int64_t units, unsigned* ctas) {
  constexpr std::int64_t kOnEachSm = 8;
  int device = 0, sms = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
  *ctas = static_cast<unsigned>(std::clamp<std::int64_t>(units, 1, kOnEachSm * std::max(sms, 1)));
  return status;
}

template <KvType type>
cudaError_t append_as(const AppendArgs<std::uint16_t>& args, Element element, unsigned ctas,
                      cudaStream_t stream) {
  switch (args.cache.head_size) {
    case 64:
      append_kernel<type, 2><<<ctas, kAppendThreads, 0, stream>>>(args, element);
      break;
    case 128:
      append_kernel<type, 4><<<ctas, kAppendThreads, 0, stream>>>(args, element);
      break;
    case 256:
      append_kernel<type, 8><<<ctas, kAppendThreads, 0, stream>>>(args, element);
      break;
    default:
      return cudaErrorInvalidValue;
  }
  return cudaGetLastError();
}

template <KvType type>
cudaError_t scores_as(const AccumulateScoresArgs<std::uint16_t>& args, Element element, std::int64_t context_max,
                      unsigned ctas, cudaStream_t stream) {
  scores_kernel<type><<<ctas, kScoresThreads, 0, stream>>>(args, element, context_max);
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_append(const AppendArgs<std::uint16_t>& args, Element element, cudaStream_t stream) {
  if (args.rotation != Rotation::none &&
      (args.rotary_dim % 16 != 0 || args.rotary_dim > args.cache.head_size))
    return cudaErrorInvalidValue;
  if (args.tokens == 0) return cudaSuccess;
  unsigned ctas = 0;
  const std::int64_t heads = (args.q == nullptr ? 0 : args.heads) + args.cache.kv_heads;
  constexpr std::int64_t kWarps = kAppendThreads / gpu::kWarp;
  const cudaError_t status = grid_for((args.tokens * heads + kWarps - 1) / kWarps, &ctas);
  if (status != cudaSuccess) return status;
  switch (args.cache.type) {
    case KvType::bf16:
      return append_as<KvType::bf16>(args, element, ctas, stream);
    case KvType::fp16:
      return append_as<KvType::fp16>(args, element, ctas, stream);
    case KvType::fp8_e4m3:
      return append_as<KvType::fp8_e4m3>(args, element, ctas, stream);
    case KvType::fp8_e5m2:
      return append_as<KvType::fp8_e5m2>(args, element, ctas, stream);
    case KvType::int8:
      return append_as<KvType::int8>(args, element, ctas, stream);
    case KvType::int4:
      return append_as<KvType::int4>(args, element, ctas, stream);
    case KvType::nf4:
      return append_as<KvType::nf4>(args, element, ctas, stream);
  }
  return cudaErrorInvalidValue;
}

cudaError_t launch_slots(const SlotArgs& args, std::int64_t tokens, cudaStream_t stream) {
  if (tokens == 0) return cudaSuccess;
  unsigned ctas = 0;
  const cudaError_t status = grid_for((tokens + 255) / 256, &ctas);
  if (status != cudaSuccess) return status;
  slots_kernel<<<ctas, 256, 0, stream>>>(args);
  return cudaGetLastError();
}

cudaError_t launch_copy_blocks(const CopyBlocksArgs& args, int ctas, cudaStream_t stream) {
  if (args.pairs == 0 || args.pools == 0) return cudaSuccess;
  unsigned filling = 0;
  const std::int64_t chunks = (args.block_bytes / 16 + kChunkWords - 1) / kChunkWords;
  const cudaError_t status = grid_for(args.pairs * args.pools * chunks, &filling);
  if (status != cudaSuccess) return status;
  const unsigned chosen = ctas == 0 ? filling : std::min(filling, static_cast<unsigned>(ctas));
  copy_blocks_kernel<<<chosen, kBlocksThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

template <bool kScatter>
static cudaError_t launch_move(const GatherBlocksArgs& args, cudaStream_t stream) {
  if (args.count == 0 || args.pool_count == 0) return cudaSuccess;
  unsigned ctas = 0;
  const std::int64_t chunks = (args.block_bytes / 16 + kChunkWords - 1) / kChunkWords;
  const cudaError_t status = grid_for(args.count * args.pool_count * chunks, &ctas);
  if (status != cudaSuccess) return status;
  move_dense_kernel<kScatter><<<ctas, kBlocksThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

cudaError_t launch_gather_blocks(const GatherBlocksArgs& args, cudaStream_t stream) {
  return launch_move<false>(args, stream);
}

cudaError_t launch_scatter_blocks(const GatherBlocksArgs& args, cudaStream_t stream) {
  return launch_move<true>(args, stream);
}

cudaError_t launch_accumulate_scores(const AccumulateScoresArgs<std::uint16_t>& args, Element element,
                                     std::int64_t context_max, cudaStream_t stream) {
  if (args.seqs == 0 || context_max == 0) return cudaSuccess;
  unsigned ctas = 0;
  constexpr std::int64_t kWarps = kScoresThreads / gpu::kWarp;
  const cudaError_t status =
      grid_for((args.seqs * args.cache.kv_heads * context_max + kWarps - 1) / kWarps, &ctas);
  if (status != cudaSuccess) return status;
  switch (args.cache.type) {
    case KvType::bf16:
      return scores_as<KvType::bf16>(args, element, context_max, ctas, stream);
    case KvType::fp16:
      return scores_as<KvType::fp16>(args, element, context_max, ctas, stream);
    case KvType::fp8_e4m3:
      return scores_as<KvType::fp8_e4m3>(args, element, context_max, ctas, stream);
    case KvType::fp8_e5m2:
      return scores_as<KvType::fp8_e5m2>(args, element, context_max, ctas, stream);
    case KvType::int8:
      return scores_as<KvType::int8>(args, element, context_max, ctas, stream);
    case KvType::int4:
      return scores_as<KvType::int4>(args, element, context_max, ctas, stream);
    case KvType::nf4:
      return scores_as<KvType::nf4>(args, element, context_max, ctas, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace kvcast::kernels
