// The GPU kernels behind the check's interface: arguments are mirrored into device memory, results copied
// back.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>

#include "kernels/attention/launch.h"
#include "kernels/bench/bench.h"
#include "kernels/bench/cuda_device.h"
#include "kernels/cache/cache_cuda.h"
#include "kernels/elementwise/elementwise_cuda.h"
#include "kernels/gemm/gemm_cuda.h"

namespace kvcast::bench {
namespace {

using kernels::Element;

void check(cudaError_t status) {
  if (status != cudaSuccess)
    throw BenchError(std::string("CUDA: ") + cudaGetErrorString(status) +
                     "; kvcast runs its kernels on the CPU with --device cpu");
}

/// Copies of host arrays for one call.
class Mirror {
 public:
  Mirror() = default;
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;
  ~Mirror() {
    for (const Copy& copy : copies_) static_cast<void>(cudaFree(copy.device));
  }

  /// The array in device memory. \param written copied back by down()
  template <class T>
  T* up(T* host, std::int64_t count, bool written = false) {
    if (host == nullptr || count <= 0) return nullptr;
    Copy copy{const_cast<std::remove_const_t<T>*>(host), nullptr, static_cast<std::size_t>(count) * sizeof(T),
              written};
    check(cudaMalloc(&copy.device, copy.bytes));
    copies_.push_back(copy);
    check(cudaMemcpy(copy.device, copy.host, copy.bytes, cudaMemcpyHostToDevice));
    return static_cast<T*>(copy.device);
  }
  template <class T>
  T* space(std::int64_t count) {
    if (count <= 0) return nullptr;
    Copy copy{nullptr, nullptr, static_cast<std::size_t>(count) * sizeof(T), false};
    check(cudaMalloc(&copy.device, copy.bytes));
    copies_.push_back(copy);
    return static_cast<T*>(copy.device);
  }
  void down() const {
    check(cudaDeviceSynchronize());
    for (const Copy& copy : copies_)
      if (copy.written) check(cudaMemcpy(copy.host, copy.device, copy.bytes, cudaMemcpyDeviceToHost));
  }

 private:
  struct Copy {
    void* host;
    void* device;
    std::size_t bytes;
    bool written;
  };
  std::vector<Copy> copies_;
};

class CudaKernels final : public CheckedKernels {
 public:
  CudaKernels() {
    check(cudaSetDevice(0));
    check(cudaStreamCreate(&stream_));
  }
  ~CudaKernels() override { static_cast<void>(cudaStreamDestroy(stream_)); }
  CudaKernels(const CudaKernels&) = delete;
  CudaKernels& operator=(const CudaKernels&) = delete;

  bool attention(const kernels::Problem& problem) override {
    kernels::AttentionArgs args = problem.args();
    const std::int64_t tokens = args.q_start[args.requests];
    int q_len_max = 0;
    for (int r = 0; r < args.requests; ++r)
      q_len_max = std::max(q_len_max, args.q_start[r + 1] - args.q_start[r]);
    kernels::Device device;
    check(kernels::current_device(&device));
    const kernels::Variant* variant = kernels::choose_variant(args, q_len_max, device);
    if (variant == nullptr || !kernels::check_attention(args).empty()) return false;
    int ctas = 0;
    check(kernels::resident_ctas(*variant, &ctas));
    const kernels::Plan plan = problem.plan(variant->rows_per_tile, ctas, 1);
    Mirror mirror;
    const auto count = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    args.q = mirror.up(args.q, count(problem.q_count()));
    args.out = mirror.up(args.out, tokens * args.out_token_stride, true);
    args.lse = mirror.up(args.lse, tokens * args.q_heads, true);
    args.q_start = mirror.up(args.q_start, args.requests + 1);
    args.kv_len = mirror.up(args.kv_len, args.requests);
    args.block_table = mirror.up(args.block_table, count(problem.table_count()));
    args.cache.k = mirror.up(args.cache.k, count(problem.k_bytes()));
    args.cache.v = mirror.up(args.cache.v, count(problem.v_bytes()));
    args.cache.k_scale = mirror.up(args.cache.k_scale, count(problem.k_scale_count()));
    args.cache.v_scale = mirror.up(args.cache.v_scale, count(problem.v_scale_count()));
    args.sink_logits = mirror.up(args.sink_logits, args.q_heads);
    args.alibi_slopes = mirror.up(args.alibi_slopes, args.q_heads);
    kernels::PlanArrays arrays;
    arrays.items = mirror.up(plan.items.data(), count(plan.items.size()));
    arrays.cta_first_item = mirror.up(plan.cta_first_item.data(), count(plan.cta_first_item.size()));
    arrays.merges = mirror.up(plan.merges.data(), count(plan.merges.size()));
    const std::int64_t rows = std::int64_t{plan.partials} * plan.rows_per_tile;
    arrays.partial_out = mirror.space<float>(rows * args.value_size);
    arrays.partial_stat = mirror.space<float>(2 * rows);
    arrays.ctas = plan.ctas();
    arrays.merge_count = static_cast<int>(plan.merges.size());
    check(kernels::launch_attention(*variant, args, arrays, stream_));
    mirror.down();
    return true;
  }

  void append(const kernels::AppendArgs<std::uint16_t>& given, Element element, std::int64_t blocks,
              std::int64_t angles) override {
    kernels::AppendArgs<std::uint16_t> args = given;
    Mirror mirror;
    args.q = mirror.up(given.q, given.tokens * given.q_stride, true);
    args.k = args.q + (given.k - given.q);
    args.v = args.q + (given.v - given.q);
    args.positions = mirror.up(given.positions, given.tokens);
    args.slots = mirror.up(given.slots, given.tokens);
    args.cos_sin = mirror.up(given.cos_sin, angles);
    mirror_cache(given.cache, blocks, true, mirror, args.cache);
    check(kernels::launch_append(args, element, stream_));
    mirror.down();
  }

  void copy_blocks(const kernels::CopyBlocksArgs& given, std::int64_t blocks) override {
    Mirror mirror;
    std::uint8_t* pool = mirror.up(given.targets[0], blocks * given.block_bytes, true);
    std::uint8_t* const ends[] = {pool, pool};
    launch_copy(given, ends, 0, mirror);
    mirror.down();
  }

  void gather_blocks(const kernels::GatherBlocksArgs& args, std::int64_t blocks) override {
    move(args, blocks, false);
  }
  void scatter_blocks(const kernels::GatherBlocksArgs& args, std::int64_t blocks) override {
    move(args, blocks, true);
  }

  /// Out of the GPU into pinned memory, and from there into the target's copy on the GPU.
  void swap_blocks(const kernels::CopyBlocksArgs& given, std::int64_t blocks, bool by_dma) override {
    Mirror mirror;
    const std::int64_t bytes = blocks * given.block_bytes;
    std::uint8_t* source = mirror.up(const_cast<std::uint8_t*>(given.sources[0]), bytes);
    std::uint8_t* target = mirror.up(given.targets[0], bytes, true);
    void* pinned = nullptr;
    check(cudaHostAlloc(&pinned, static_cast<std::size_t>(bytes), cudaHostAllocMapped));
    auto* host = static_cast<std::uint8_t*>(pinned);
    // Out to the places that the blocks have on the GPU, and in to their targets.
    kernels::CopyBlocksArgs out = given;
    out.to = given.from;
    std::uint8_t* const out_ends[] = {source, host};
    std::uint8_t* const in_ends[] = {host, target};
    if (by_dma) {
      dma(out, out_ends);
      dma(given, in_ends);
    } else {
      constexpr int kCtas = 16;
      launch_copy(out, out_ends, kCtas, mirror);
      launch_copy(given, in_ends, kCtas, mirror);
    }
    mirror.down();
    check(cudaFreeHost(pinned));
  }

  void accumulate_scores(const kernels::AccumulateScoresArgs<std::uint16_t>& given, Element element,
                         std::int64_t blocks) override {
    kernels::AccumulateScoresArgs<std::uint16_t> args = given;
    Mirror mirror;
    args.q = mirror.up(given.q, given.seqs * given.heads * given.cache.head_size);
    args.lse = mirror.up(given.lse, given.seqs * given.heads);
    args.tables = mirror.up(given.tables, given.seqs * given.blocks_max);
    args.context = mirror.up(given.context, given.seqs);
    args.scores = mirror.up(given.scores, blocks * given.cache.page * given.cache.kv_heads, true);
    mirror_cache(given.cache, blocks, false, mirror, args.cache);
    check(kernels::launch_accumulate_scores(
        args, element, *std::max_element(given.context, given.context + given.seqs), stream_));
    mirror.down();
  }

  void rms_norm(const kernels::RmsNormArgs<std::uint16_t>& given, Element element) override {
    kernels::RmsNormArgs<std::uint16_t> args = given;
    Mirror mirror;
    args.x = mirror.up(given.x, given.rows * given.width);
    args.weight = mirror.up(given.weight, given.width);
    args.residual = mirror.up(given.residual, given.rows * given.width, true);
    args.y = mirror.up(given.y, given.rows * given.width, true);
    check(kernels::launch_rms_norm(args, element, stream_));
    mirror.down();
  }

  void silu_mul(const kernels::SiluMulArgs<std::uint16_t>& given, Element element) override {
    kernels::SiluMulArgs<std::uint16_t> args = given;
    Mirror mirror;
    args.x = mirror.up(given.x, 2 * given.rows * given.width);
    args.y = mirror.up(given.y, given.rows * given.width, true);
    check(kernels::launch_silu_mul(args, element, stream_));
    mirror.down();
  }

  void sample(const kernels::SampleArgs& given) override {
    kernels::SampleArgs args = given;
    Mirror mirror;
    args.logits = mirror.up(given.logits, given.rows * given.vocabulary);
    args.uniforms = mirror.up(given.uniforms, given.rows);
    args.tokens = mirror.up(given.tokens, given.rows, true);
    check(kernels::launch_sample(args, stream_));
    mirror.down();
  }

  bool gemm(const kernels::GemmArgs<std::uint16_t>& args) override {
    std::string why;
    const std::unique_ptr<kernels::Gemm> product = kernels::make_gemm({args.m, args.n, args.k, false}, &why);
    if (product == nullptr) return false;
    Mirror mirror;
    const std::uint16_t* x = mirror.up(args.x, args.m * args.k);
    const std::uint16_t* w = mirror.up(args.w, args.n * args.k);
    std::uint16_t* y = mirror.up(args.y, args.m * args.n, true);
    check(product->run(x, w, y, stream_));
    mirror.down();
    return true;
  }

 private:
  static void mirror_cache(const kernels::CacheView& given, std::int64_t blocks, bool written, Mirror& mirror,
                           kernels::CacheView& cache) {
    cache.k = mirror.up(given.k, blocks * given.block_stride, written);
    cache.v = mirror.up(given.v, blocks * given.block_stride, written);
    cache.k_scale = mirror.up(given.k_scale, blocks * given.scale_block_stride, written);
    cache.v_scale = mirror.up(given.v_scale, blocks * given.scale_block_stride, written);
  }

  /// \param ends source and target
  void launch_copy(const kernels::CopyBlocksArgs& given, std::uint8_t* const (&ends)[2], int ctas,
                   Mirror& mirror) {
    kernels::CopyBlocksArgs args = given;
    std::uint8_t* const* list = mirror.up(ends, 2);
    args.sources = list;
    args.targets = list + 1;
    args.from = mirror.up(given.from, given.pairs);
    args.to = mirror.up(given.to, given.pairs);
    check(kernels::launch_copy_blocks(args, ctas, stream_));
  }

  void dma(const kernels::CopyBlocksArgs& given, std::uint8_t* const (&ends)[2]) {
    kernels::CopyBlocksArgs args = given;
    args.sources = ends;
    args.targets = ends + 1;
    check(kernels::swap_blocks_by_dma(args, stream_));
  }

  void move(const kernels::GatherBlocksArgs& given, std::int64_t blocks, bool scatter) {
    kernels::GatherBlocksArgs args = given;
    Mirror mirror;
    std::uint8_t* const pools[] = {mirror.up(given.pools[0], blocks * given.block_bytes, scatter)};
    args.pools = mirror.up(pools, 1);
    args.blocks = mirror.up(given.blocks, given.count);
    args.dense = mirror.up(given.dense, given.count * given.block_bytes, !scatter);
    check(scatter ? kernels::launch_scatter_blocks(args, stream_)
                  : kernels::launch_gather_blocks(args, stream_));
    mirror.down();
  }

  cudaStream_t stream_ = nullptr;
};

}  // namespace

std::unique_ptr<CheckedKernels> make_cuda_kernels() { return std::make_unique<CudaKernels>(); }

}  // namespace kvcast::bench
