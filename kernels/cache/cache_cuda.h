/// Starts the cache kernels on a GPU. Pointers are of device memory unless said otherwise, and stay valid
/// until the stream has got that far.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cache/cache.h"
#include "kernels/common/packed.h"

namespace kvcast::kernels {

/// head_size is 64, 128 or 256; strides of k, v and q are multiples of head_size's alignment (16 bytes).
/// \returns cudaErrorInvalidValue for another head_size or rotary_dim
[[nodiscard]] cudaError_t launch_append(const AppendArgs<std::uint16_t>& args, Element element,
                                        cudaStream_t stream);
/// \param tokens start[seqs]
[[nodiscard]] cudaError_t launch_slots(const SlotArgs& args, std::int64_t tokens, cudaStream_t stream);
/// Copy-on-write, and swaps through mapped host memory ("zero copy"). \param ctas 0: as many as fill the GPU;
/// a swap needs no more than 32, and leaves the other SMs to the decode that it runs beside
[[nodiscard]] cudaError_t launch_copy_blocks(const CopyBlocksArgs& args, int ctas, cudaStream_t stream);
[[nodiscard]] cudaError_t launch_gather_blocks(const GatherBlocksArgs& args, cudaStream_t stream);
[[nodiscard]] cudaError_t launch_scatter_blocks(const GatherBlocksArgs& args, cudaStream_t stream);
/// \param context_max the longest of args.context
[[nodiscard]] cudaError_t launch_accumulate_scores(const AccumulateScoresArgs<std::uint16_t>& args,
                                                   Element element, std::int64_t context_max,
                                                   cudaStream_t stream);

/// Swaps by the copy engines: neighbouring blocks are merged, then all copies are handed over in one call.
/// The arrays of args are in host memory, the pools on either side. \param stream not the legacy default
/// stream
[[nodiscard]] cudaError_t swap_blocks_by_dma(const CopyBlocksArgs& args, cudaStream_t stream);

}  // namespace kvcast::kernels
