#include <cuda_runtime.h>

#include <vector>

#include "kernels/cache/cache_cuda.h"
#include "kernels/cache/swap.h"

namespace kvcast::kernels {

cudaError_t swap_blocks_by_dma(const CopyBlocksArgs& args, cudaStream_t stream) {
  std::vector<const void*> sources;
  std::vector<void*> targets;
  std::vector<std::size_t> sizes;
  for (const BlockRun& run : merge_runs(args)) {
    for (std::int64_t pool = 0; pool < args.pools; ++pool) {
      sources.push_back(args.sources[pool] + run.from * args.block_bytes);
      targets.push_back(args.targets[pool] + run.to * args.block_bytes);
      sizes.push_back(static_cast<std::size_t>(run.count * args.block_bytes));
    }
  }
  if (sizes.empty()) return cudaSuccess;
#if CUDART_VERSION >= 13000
  cudaMemcpyAttributes attributes = {};
  attributes.srcAccessOrder = cudaMemcpySrcAccessOrderAny;
  std::size_t first = 0;
  return cudaMemcpyBatchAsync(targets.data(), sources.data(), sizes.data(), sizes.size(), &attributes, &first,
                              1, stream);
#else
  // Older runtimes have no batch, or one of another form.
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const cudaError_t status = cudaMemcpyAsync(targets[i], sources[i], sizes[i], cudaMemcpyDefault, stream);
    if (status != cudaSuccess) return status;
  }
  return cudaSuccess;
#endif
}

}  // namespace kvcast::kernels
