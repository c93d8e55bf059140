#include "kernels/bench/cuda_jobs.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "kernels/attention/launch.h"
#include "kernels/bench/cuda_device.h"
#include "kernels/bench/cuda_memory.h"
#include "kernels/bench/cuda_micro.h"
#include "kernels/bench/random.h"
#include "kernels/cache/cache_cuda.h"
#include "kernels/elementwise/elementwise_cuda.h"
#include "kernels/gemm/gemm_cuda.h"

namespace kvcast::bench {
namespace {

using kernels::KvType;

/// Random bfloat16 numbers of [-2, 2): never all zeros, which are faster to compute with than other numbers.
__global__ void fill_kernel(std::uint32_t* words, std::int64_t count, std::uint32_t seed) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    std::uint32_t x = static_cast<std::uint32_t>(i) * 2654435761U + seed;
    x = (x ^ (x >> 16)) * 0x85ebca6bU;
    x = (x ^ (x >> 13)) * 0xc2b2ae35U;
    x ^= x >> 16;
    // Sign and mantissa are random; the exponents are those of 0.25 to 2.
    words[i] = (x & 0x80ff80ffU) | 0x3e803e80U | ((x >> 3) & 0x01000100U);
  }
}

__global__ void scales_kernel(float* values, std::int64_t count) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride)
    values[i] = 0.01F + 0.001F * static_cast<float>(i % 7);
}

constexpr std::int64_t kRotationsMax = 16;

/// One execution as a function of the rotation.
class FunctionJob final : public Job {
 public:
  explicit FunctionJob(std::function<cudaError_t(std::int64_t)> run) : run_(std::move(run)) {}
  void run(std::int64_t rotation) override { check(run_(rotation), "kernel"); }

 private:
  std::function<cudaError_t(std::int64_t)> run_;
};

KvType kv_type_of(const std::string& name) {
  for (const KvType type : kernels::kKvTypes)
    if (name == kernels::kv_type_name(type)) return type;
  throw BenchError("unknown storage type " + name);
}

class PoolJobs final : public GpuJobs {
 public:
  PoolJobs(std::uint64_t seed, const cudaDeviceProp& properties, cudaStream_t stream)
      : seed_(seed), properties_(properties), stream_(stream) {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "memory");
    check(cudaStreamCreateWithFlags(&second_, cudaStreamNonBlocking), "stream");
    check(cudaEventCreateWithFlags(&fork_, cudaEventDisableTiming), "event");
    check(cudaEventCreateWithFlags(&join_, cudaEventDisableTiming), "event");
    pool_bytes_ =
        static_cast<std::int64_t>(std::min<std::size_t>(std::size_t{24} << 30, free / 10 * 6)) / 512 * 512;
    pool_ = Memory(static_cast<std::size_t>(pool_bytes_));
    fill_kernel<<<4096, 256, 0, stream_>>>(pool_.as<std::uint32_t>(), pool_bytes_ / 4,
                                           static_cast<std::uint32_t>(seed));
    scales_ = Memory(kScales * sizeof(float));
    scales_kernel<<<1024, 256, 0, stream_>>>(scales_.as<float>(), kScales);
    check(cudaStreamSynchronize(stream_), "start");
  }

  ~PoolJobs() override {
    static_cast<void>(cudaEventDestroy(fork_));
    static_cast<void>(cudaEventDestroy(join_));
    static_cast<void>(cudaStreamDestroy(second_));
  }
  PoolJobs(const PoolJobs&) = delete;
  PoolJobs& operator=(const PoolJobs&) = delete;

  std::unique_ptr<Job> prepare(const Case& what) override {
    held_.clear();
    if (what.op == "launch" || what.op == "memory" || what.op == "pcie")
      return make_cuda_micro_job(what, pool(0), pool_bytes_, stream_, second_);
    if (what.op == "overlap") return overlap(gpu_overlap_parts(what), what.get("part"));
    if (what.op == "swap_duplex") {
      Case out = what, in = what;
      out.op = "swap_out";
      in.op = "swap_in";
      return overlap({out, in}, 0);
    }
    return kernel(what);
  }

 private:
  static constexpr std::int64_t kScales = std::int64_t{1} << 26;

  /// Two jobs on two streams. \param part 0: both at once; 1, 2: one alone, in the same way
  std::unique_ptr<Job> overlap(const std::vector<Case>& parts, std::int64_t part) {
    std::shared_ptr<Job> first = kernel(parts[0]), second = kernel(parts[1]);
    if (first == nullptr || second == nullptr) return nullptr;
    return job([=, this](std::int64_t rotation) {
      check(cudaEventRecord(fork_, stream_), "event");
      check(cudaStreamWaitEvent(second_, fork_), "event");
      if (part != 2) first->run(rotation);
      std::swap(stream_, second_);  // jobs run on stream_
      if (part != 1) second->run(rotation);
      check(cudaEventRecord(join_, stream_), "event");
      std::swap(stream_, second_);
      return cudaStreamWaitEvent(stream_, join_);
    });
  }

  std::unique_ptr<Job> kernel(const Case& what) {
    if (what.op == "gemm") return gemm(what);
    if (what.op == "decode_attention" || what.op == "mla_decode") return decode(what);
    if (what.op == "prefill_attention" || what.op == "mla_prefill") return prefill(what);
    if (what.op == "append") return append(what);
    if (what.op == "sample") return sample(what);
    if (what.op == "swap_out" || what.op == "swap_in") return swap(what);
    if (what.op.find("blocks") != std::string::npos) return blocks(what);
    return rows(what);
  }

  [[nodiscard]] std::unique_ptr<Job> job(std::function<cudaError_t(std::int64_t)> run) const {
    return std::make_unique<FunctionJob>(std::move(run));
  }

  /// Memory that lives as long as the job.
  template <class T>
  T* hold(const std::vector<T>& values) {
    held_.push_back(on_device(values));
    return held_.back().as<T>();
  }
  void* hold_bytes(std::int64_t bytes, bool on_host = false) {
    held_.emplace_back(static_cast<std::size_t>(bytes), on_host);
    return held_.back().as<void>();
  }

  [[nodiscard]] std::uint8_t* pool(std::int64_t offset) const { return pool_.as<std::uint8_t>() + offset; }
  /// Where a part of the pool begins in the rotation.
  [[nodiscard]] std::uint8_t* part(std::int64_t rotation, std::int64_t bytes) const {
    const std::int64_t step = (bytes + 511) / 512 * 512;
    return pool(rotation % std::max<std::int64_t>(1, pool_bytes_ / step) * step);
  }

  std::unique_ptr<Job> gemm(const Case& what) {
    const bool fp8 = what.dtype == "fp8_e4m3";
    const std::int64_t m = what.get("m"), n = what.get("n"), k = what.get("k"), size = fp8 ? 1 : 2;
    if ((n * k + m * k) * size > pool_bytes_ || 2 * m * n > (std::int64_t{8} << 30)) return nullptr;
    std::string why;
    std::shared_ptr<kernels::Gemm> product = kernels::make_gemm({m, n, k, fp8}, &why);
    if (product == nullptr) return nullptr;
    void* y = hold_bytes(2 * m * n);
    void* x = hold_bytes(m * k * size);
    check(cudaMemcpyAsync(x, pool(0), static_cast<std::size_t>(m * k * size), cudaMemcpyDeviceToDevice,
                          stream_),
          "copy");
    return job([=, this](std::int64_t rotation) {
      return product->run(x, part(rotation, n * k * size), y, stream_);
    });
  }

  std::unique_ptr<Job> decode(const Case& what) {
    const std::int64_t batch = what.get("batch"), sum = what.get("context_sum");
    std::vector<std::int32_t> lengths(static_cast<std::size_t>(batch),
                                      static_cast<std::int32_t>(sum / batch));
    if (what.get("ragged") != 0) {
      const std::int32_t kept = lengths[0] / 2 + 1;
      for (std::size_t i = 1; i < lengths.size(); ++i) {
        lengths[0] += lengths[i] - kept;
        lengths[i] = kept;
      }
    }
    return attention(what,
                     std::vector<std::int32_t>(lengths.size(), static_cast<std::int32_t>(what.get("q_len"))),
                     lengths);
  }

  std::unique_ptr<Job> prefill(const Case& what) {
    const auto batch = static_cast<std::size_t>(what.get("batch"));
    const auto q_len = static_cast<std::int32_t>(what.get("q_len"));
    return attention(what, std::vector<std::int32_t>(batch, q_len),
                     std::vector<std::int32_t>(batch, q_len + static_cast<std::int32_t>(what.get("past"))));
  }

  /// The first half of the pool holds keys, the second values.
  [[nodiscard]] kernels::PagedKv paged(const Case& what, KvType type) const {
    const std::int64_t row = kernels::kv_row_bytes(type, static_cast<int>(what.get("head_size")));
    kernels::PagedKv cache;
    cache.type = type;
    cache.page_size = static_cast<int>(what.get("page"));
    cache.k = pool(0);
    cache.v = pool(pool_bytes_ / 1024 * 512);
    cache.token_stride = row * what.get("kv_heads");
    cache.head_stride = row;
    cache.page_stride = cache.token_stride * cache.page_size;
    cache.k_scale = scales_.as<float>();
    cache.v_scale = scales_.as<float>();
    cache.scale_head_stride = 1;
    cache.scale_token_stride = what.get("kv_heads");
    cache.scale_page_stride = cache.scale_token_stride * cache.page_size;
    return cache;
  }

  std::unique_ptr<Job> attention(const Case& what, const std::vector<std::int32_t>& q_len,
                                 const std::vector<std::int32_t>& lengths) {
    const KvType type = kv_type_of(what.dtype);
    kernels::AttentionArgs args;
    args.requests = static_cast<int>(lengths.size());
    args.q_heads = static_cast<int>(what.get("heads"));
    args.kv_heads = static_cast<int>(what.get("kv_heads"));
    args.head_size = args.value_size = static_cast<int>(what.get("head_size"));
    args.q_type = type == KvType::fp16 ? kernels::QueryType::fp16 : kernels::QueryType::bf16;
    args.cache = paged(what, type);
    if (what.op.rfind("mla_", 0) == 0) {  // the values are the first 512 channels of the keys
      args.value_size = 512;
      args.cache.v = nullptr;
    }
    args.scale = 1 / std::sqrt(static_cast<float>(args.head_size));
    args.window = static_cast<int>(what.get("window"));
    std::vector<std::int32_t> q_start = {0};
    std::int64_t pages_max = 0, pages_used = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      q_start.push_back(q_start.back() + q_len[i]);
      const std::int64_t pages = (lengths[i] + args.cache.page_size - 1) / args.cache.page_size;
      pages_max = std::max(pages_max, pages);
      pages_used += pages;
    }
    const std::int64_t pages_scaled =
        kernels::kv_has_scale(type) ? kScales / args.cache.scale_page_stride : INT64_MAX;
    const std::int64_t pages_there =
        std::min({pool_bytes_ / 1024 * 512 / args.cache.page_stride, pages_scaled, std::int64_t{1} << 20});
    if (pages_used > pages_there) return nullptr;
    const std::int64_t tokens = q_start.back();
    args.q_head_stride = args.head_size;
    args.out_head_stride = args.value_size;
    args.q_token_stride = std::int64_t{args.q_heads} * args.head_size;
    args.out_token_stride = std::int64_t{args.q_heads} * args.value_size;
    void* q = hold_bytes(2 * tokens * args.q_token_stride);
    check(cudaMemcpyAsync(q, pool(0), static_cast<std::size_t>(2 * tokens * args.q_token_stride),
                          cudaMemcpyDeviceToDevice, stream_),
          "copy");
    args.q = static_cast<const std::uint16_t*>(q);
    args.out = static_cast<std::uint16_t*>(hold_bytes(2 * tokens * args.out_token_stride));
    args.q_start = hold(q_start);
    args.kv_len = hold(lengths);
    args.block_table_stride = pages_max;
    const std::int64_t wanted =
        5 * properties_.l2CacheSize / std::max<std::int64_t>(1, 2 * pages_used * args.cache.page_stride) + 1;
    const std::int64_t rotations = std::clamp<std::int64_t>(
        pages_there / std::max<std::int64_t>(pages_used, 1), 1, std::max(wanted, kRotationsMax));
    const std::int32_t* tables =
        hold(make_tables(lengths, pages_max, pages_there, rotations, args.cache.page_size));
    args.block_table = tables;
    if (!kernels::check_attention(args).empty()) return nullptr;
    return planned(args, q_len, lengths, tables, pages_max * args.requests, rotations);
  }

  /// Block tables of all rotations, one after the other; pages in random order, each in one rotation only.
  [[nodiscard]] std::vector<std::int32_t> make_tables(const std::vector<std::int32_t>& lengths,
                                                      std::int64_t pages_max, std::int64_t pages_there,
                                                      std::int64_t rotations, int page) const {
    Random random(seed_);
    const std::vector<std::int32_t> order = shuffled(pages_there, random);
    std::vector<std::int32_t> tables;
    std::size_t next = 0;
    for (std::int64_t rotation = 0; rotation < rotations; ++rotation) {
      for (const std::int32_t length : lengths) {
        const std::int64_t pages = (length + page - 1) / page;
        for (std::int64_t i = 0; i < pages_max; ++i)
          tables.push_back(i < pages ? order[next++ % order.size()] : 0);
      }
    }
    return tables;
  }

  std::unique_ptr<Job> planned(const kernels::AttentionArgs& args, const std::vector<std::int32_t>& q_len,
                               const std::vector<std::int32_t>& lengths, const std::int32_t* tables,
                               std::int64_t table_size, std::int64_t rotations) {
    kernels::Device device;
    check(kernels::current_device(&device), "device");
    const kernels::Variant* variant =
        kernels::choose_variant(args, *std::max_element(q_len.begin(), q_len.end()), device);
    if (variant == nullptr) return nullptr;
    int ctas = 0;
    check(kernels::resident_ctas(*variant, &ctas), "occupancy");
    const kernels::Plan plan = kernels::plan_attention({.q_len = q_len,
                                                        .kv_len = lengths,
                                                        .group = args.q_heads / args.kv_heads,
                                                        .kv_heads = args.kv_heads,
                                                        .rows_per_tile = variant->rows_per_tile,
                                                        .window = args.window,
                                                        .sink_tokens = args.sink_tokens,
                                                        .ctas = ctas});
    kernels::PlanArrays arrays;
    arrays.items = hold(plan.items);
    arrays.cta_first_item = hold(plan.cta_first_item);
    arrays.merges = hold(plan.merges);
    const std::int64_t partial_rows = std::int64_t{plan.partials} * plan.rows_per_tile;
    arrays.partial_out = static_cast<float*>(hold_bytes(4 * partial_rows * args.value_size));
    arrays.partial_stat = static_cast<float*>(hold_bytes(8 * partial_rows));
    arrays.ctas = plan.ctas();
    arrays.merge_count = static_cast<int>(plan.merges.size());
    return job([=, this](std::int64_t rotation) {
      kernels::AttentionArgs now = args;
      now.block_table = tables + rotation % rotations * table_size;
      return kernels::launch_attention(*variant, now, arrays, stream_);
    });
  }

  std::unique_ptr<Job> append(const Case& what) {
    const KvType type = kv_type_of(what.dtype);
    const std::int64_t tokens = what.get("tokens"), heads = what.get("heads"),
                       kv_heads = what.get("kv_heads"), size = what.get("head_size"),
                       width = (heads + 2 * kv_heads) * size;
    kernels::AppendArgs<std::uint16_t> args;
    auto* qkv = static_cast<std::uint16_t*>(hold_bytes(2 * tokens * width));
    check(cudaMemcpyAsync(qkv, pool(0), static_cast<std::size_t>(2 * tokens * width),
                          cudaMemcpyDeviceToDevice, stream_),
          "copy");
    args.q = qkv;
    args.k = qkv + heads * size;
    args.v = qkv + (heads + kv_heads) * size;
    args.q_stride = args.k_stride = args.v_stride = width;
    args.rotation = kernels::Rotation::halves;
    args.rotary_dim = static_cast<std::int32_t>(size);
    args.heads = static_cast<std::int32_t>(heads);
    args.tokens = tokens;
    args.cache.type = type;
    args.cache.page = static_cast<std::int32_t>(what.get("page"));
    args.cache.kv_heads = static_cast<std::int32_t>(kv_heads);
    args.cache.head_size = static_cast<std::int32_t>(size);
    kernels::set_dense_strides(args.cache, true);
    const std::int64_t slots_there = std::min(std::int64_t{1} << 20, kScales / kv_heads);
    const std::int64_t cache_bytes = slots_there / args.cache.page * args.cache.block_stride;
    args.cache.k = static_cast<std::uint8_t*>(hold_bytes(cache_bytes));
    args.cache.v = static_cast<std::uint8_t*>(hold_bytes(cache_bytes));
    args.cache.k_scale = static_cast<float*>(hold_bytes(4 * slots_there * kv_heads));
    args.cache.v_scale = static_cast<float*>(hold_bytes(4 * slots_there * kv_heads));
    Random random(seed_);
    const std::vector<std::int32_t> order = shuffled(slots_there, random);
    std::vector<std::int64_t> slots, positions;
    for (std::int64_t i = 0; i < tokens * kRotationsMax; ++i) {
      slots.push_back(order[static_cast<std::size_t>(i) % order.size()]);
      positions.push_back(i % 8192);
    }
    args.cos_sin = scales_.as<float>();
    const std::int64_t* slot_list = hold(slots);
    args.positions = hold(positions);
    return job([=, this](std::int64_t rotation) {
      kernels::AppendArgs<std::uint16_t> now = args;
      now.slots = slot_list + rotation % kRotationsMax * tokens;
      return kernels::launch_append(now, kernels::Element::bf16, stream_);
    });
  }

  std::unique_ptr<Job> rows(const Case& what) {
    const std::int64_t count = what.get("rows"), width = what.get("width");
    const bool norm = what.op == "rms_norm", silu = what.op == "silu_mul";
    const std::int64_t in_bytes = 2 * count * width * (silu ? 2 : 1);
    auto* y = static_cast<std::uint16_t*>(hold_bytes(2 * count * width));
    auto* residual = static_cast<std::uint16_t*>(hold_bytes(2 * count * width));
    check(cudaMemsetAsync(residual, 0, static_cast<std::size_t>(2 * count * width), stream_), "memory");
    const std::int64_t vocabulary = pool_bytes_ / (2 * width);
    Random random(seed_);
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < count; ++i)
      ids.push_back(
          static_cast<std::int32_t>(random.integer(0, std::min<std::int64_t>(vocabulary, 1 << 30) - 1)));
    const std::int32_t* id_list = hold(ids);
    return job([=, this](std::int64_t rotation) {
      const auto* x = reinterpret_cast<const std::uint16_t*>(part(rotation, in_bytes));
      const auto* weight = reinterpret_cast<const std::uint16_t*>(pool(0));
      if (norm)
        return kernels::launch_rms_norm(
            {.x = x, .weight = weight, .residual = residual, .y = y, .rows = count, .width = width},
            kernels::Element::bf16, stream_);
      if (silu)
        return kernels::launch_silu_mul({.x = x, .y = y, .rows = count, .width = width},
                                        kernels::Element::bf16, stream_);
      return kernels::launch_embed({.table = weight, .ids = id_list, .y = y, .rows = count, .width = width},
                                   stream_);
    });
  }

  std::unique_ptr<Job> sample(const Case& what) {
    const std::int64_t count = what.get("rows"), vocabulary = what.get("vocabulary");
    Random random(seed_);
    std::vector<float> logits = random_floats(count * vocabulary, random), uniforms;
    for (float& logit : logits) logit *= 8;
    for (std::int64_t i = 0; i < count; ++i) uniforms.push_back(static_cast<float>(random.uniform()));
    const kernels::SampleArgs args{.logits = hold(logits),
                                   .uniforms = hold(uniforms),
                                   .tokens = static_cast<std::int32_t*>(hold_bytes(4 * count)),
                                   .rows = count,
                                   .vocabulary = vocabulary,
                                   .temperature = what.variant == "greedy" ? 0.0F : 0.7F,
                                   .top_k = what.variant == "top_k" ? 50 : 0,
                                   .top_p = what.variant == "top_p" ? 0.9F : 1.0F};
    return job([=, this](std::int64_t) { return kernels::launch_sample(args, stream_); });
  }

  std::unique_ptr<Job> blocks(const Case& what) {
    const std::int64_t count = what.get("blocks"), bytes = what.get("block_bytes");
    const std::int64_t there = std::min<std::int64_t>(pool_bytes_ / bytes, 1 << 17);
    if (2 * count > there) return nullptr;
    Random random(seed_);
    const std::vector<std::int32_t> order = shuffled(there, random);
    const std::int32_t* list = hold(order);
    std::uint8_t* const* pools = hold(std::vector<std::uint8_t*>{pool(0)});
    auto* dense = what.op == "copy_blocks" ? nullptr : static_cast<std::uint8_t*>(hold_bytes(count * bytes));
    const std::int64_t rotations = std::clamp<std::int64_t>(there / (2 * count), 1, kRotationsMax);
    const std::string op = what.op;
    return job([=, this](std::int64_t rotation) {
      const std::int32_t* from = list + rotation % rotations * 2 * count;
      if (op == "copy_blocks")
        return kernels::launch_copy_blocks({.sources = pools,
                                            .targets = pools,
                                            .from = from,
                                            .to = from + count,
                                            .pools = 1,
                                            .pairs = count,
                                            .block_bytes = bytes},
                                           0, stream_);
      const kernels::GatherBlocksArgs args{.pools = pools,
                                           .blocks = from,
                                           .dense = dense,
                                           .pool_count = 1,
                                           .count = count,
                                           .block_bytes = bytes};
      return op == "gather_blocks" ? kernels::launch_gather_blocks(args, stream_)
                                   : kernels::launch_scatter_blocks(args, stream_);
    });
  }

  /// Between the pool and as many blocks of pinned host memory.
  std::unique_ptr<Job> swap(const Case& what) {
    const std::int64_t count = what.get("blocks"), bytes = what.get("block_bytes");
    const std::int64_t there = std::min<std::int64_t>(pool_bytes_ / bytes, 1 << 17);
    if (count > there) return nullptr;
    auto* host = static_cast<std::uint8_t*>(hold_bytes(count * bytes, true));
    std::memset(host, 1, static_cast<std::size_t>(count * bytes));
    Random random(seed_);
    auto paged = std::make_shared<std::vector<std::int32_t>>(shuffled(there, random));
    paged->resize(static_cast<std::size_t>(count));
    auto dense = std::make_shared<std::vector<std::int32_t>>(paged->size());
    for (std::size_t i = 0; i < dense->size(); ++i) (*dense)[i] = static_cast<std::int32_t>(i);
    const bool out = what.op == "swap_out";
    auto ends = std::make_shared<std::vector<std::uint8_t*>>(
        std::vector<std::uint8_t*>{out ? pool(0) : host, out ? host : pool(0)});
    kernels::CopyBlocksArgs args{.pools = 1, .pairs = count, .block_bytes = bytes};
    if (what.variant == "dma") {
      args.sources = ends->data();
      args.targets = ends->data() + 1;
      args.from = out ? paged->data() : dense->data();
      args.to = out ? dense->data() : paged->data();
      // The lists stay alive with the job.
      return job([=, this](std::int64_t) {
        static_cast<void>(paged.get());
        static_cast<void>(dense.get());
        static_cast<void>(ends.get());
        return kernels::swap_blocks_by_dma(args, stream_);
      });
    }
    constexpr int kCtas = 32;
    std::uint8_t** device_ends = hold(*ends);
    args.sources = device_ends;
    args.targets = device_ends + 1;
    args.from = hold(out ? *paged : *dense);
    args.to = hold(out ? *dense : *paged);
    return job([=, this](std::int64_t) { return kernels::launch_copy_blocks(args, kCtas, stream_); });
  }

  std::uint64_t seed_;
  cudaDeviceProp properties_;
  cudaStream_t stream_, second_ = nullptr;
  cudaEvent_t fork_ = nullptr, join_ = nullptr;
  std::int64_t pool_bytes_ = 0;
  Memory pool_, scales_;
  std::vector<Memory> held_;
};

}  // namespace

std::unique_ptr<GpuJobs> make_gpu_jobs(std::uint64_t seed, const cudaDeviceProp& properties,
                                       cudaStream_t stream) {
  return std::make_unique<PoolJobs>(seed, properties, stream);
}

}  // namespace kvcast::bench
