#include "kernels/bench/cuda_micro.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>

#include "kernels/bench/cuda_memory.h"

namespace kvcast::bench {
namespace {

constexpr unsigned kCtas = 1056, kThreads = 512;  // eight CTAs on each of 132 SMs

__global__ void empty_kernel() {}

__global__ void read_kernel(const uint4* from, std::int64_t count, unsigned* kept) {
  unsigned sum = 0;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
#pragma unroll 8
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const uint4 value = from[i];
    sum += value.x ^ value.y ^ value.z ^ value.w;
  }
  if (sum == 0x9e3779b9U) *kept = sum;  // hardly ever, but the compiler cannot know
}

__global__ void write_kernel(uint4* to, std::int64_t count, unsigned value) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const unsigned at = value + static_cast<unsigned>(i) * 2654435761U;  // as random as other data
    to[i] = make_uint4(at, at ^ 0x85ebca6bU, at * 0xc2b2ae35U, ~at);
  }
}

__global__ void copy_kernel(const uint4* from, uint4* to, std::int64_t count) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
#pragma unroll 4
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride)
    to[i] = from[i];
}

/// Empty kernels in a row, launched one by one or as one graph.
class LaunchJob final : public Job {
 public:
  LaunchJob(const Case& what, cudaStream_t stream) : count_(what.get("kernels")), stream_(stream) {
    if (what.variant != "graph") return;
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "capture");
    launch();
    check(cudaStreamEndCapture(stream_, &graph), "capture");
    check(cudaGraphInstantiate(&graph_, graph, 0), "graph");
    check(cudaGraphDestroy(graph), "graph");
  }
  ~LaunchJob() override {
    if (graph_ != nullptr) static_cast<void>(cudaGraphExecDestroy(graph_));
  }
  LaunchJob(const LaunchJob&) = delete;
  LaunchJob& operator=(const LaunchJob&) = delete;
  void run(std::int64_t /*rotation*/) override {
    if (graph_ != nullptr) {
      check(cudaGraphLaunch(graph_, stream_), "graph");
    } else {
      launch();
    }
  }

 private:
  void launch() const {
    for (std::int64_t i = 0; i < count_; ++i) empty_kernel<<<1, 32, 0, stream_>>>();
    check(cudaGetLastError(), "kernel");
  }
  std::int64_t count_;
  cudaStream_t stream_;
  cudaGraphExec_t graph_ = nullptr;
};

/// "read", "write" and "copy" move along the pool, so that nothing is in the L2 cache; "l2_read" stays where
/// it is.
class MemoryJob final : public Job {
 public:
  MemoryJob(const Case& what, std::uint8_t* pool, std::int64_t pool_bytes, cudaStream_t stream)
      : variant_(what.variant),
        bytes_(what.get("bytes")),
        pool_(pool),
        stream_(stream),
        kept_(sizeof(unsigned)) {
    const std::int64_t span = variant_ == "copy" ? 2 * bytes_ : bytes_;
    places_ = variant_ == "l2_read" ? 1 : pool_bytes / span;
    span_ = span;
  }
  void run(std::int64_t rotation) override {
    std::uint8_t* place = pool_ + rotation % places_ * span_;
    auto* at = reinterpret_cast<uint4*>(place);
    if (variant_ == "copy") {
      copy_kernel<<<kCtas, kThreads, 0, stream_>>>(at, reinterpret_cast<uint4*>(place + bytes_), bytes_ / 16);
    } else if (variant_ == "write") {
      write_kernel<<<kCtas, kThreads, 0, stream_>>>(at, bytes_ / 16, static_cast<unsigned>(rotation));
    } else {
      read_kernel<<<kCtas, kThreads, 0, stream_>>>(at, bytes_ / 16, kept_.as<unsigned>());
    }
    check(cudaGetLastError(), "kernel");
  }

 private:
  std::string variant_;
  std::int64_t bytes_, span_ = 0, places_ = 1;
  std::uint8_t* pool_;
  cudaStream_t stream_;
  Memory kept_;
};

/// Copies between the pool and pinned memory of the host, one way or both ways at once.
class PcieJob final : public Job {
 public:
  PcieJob(const Case& what, std::uint8_t* pool, std::int64_t pool_bytes, cudaStream_t stream,
          cudaStream_t second)
      : up_(what.variant != "d2h"),
        down_(what.variant != "h2d"),
        bytes_(static_cast<std::size_t>(what.get("bytes"))),
        places_(pool_bytes / (2 * what.get("bytes"))),
        pool_(pool),
        stream_(stream),
        second_(second),
        host_(2 * bytes_, true) {
    std::memset(host_.as<std::uint8_t>(), 1, 2 * bytes_);
    check(cudaEventCreateWithFlags(&fork_, cudaEventDisableTiming), "event");
    check(cudaEventCreateWithFlags(&join_, cudaEventDisableTiming), "event");
  }
  ~PcieJob() override {
    static_cast<void>(cudaEventDestroy(fork_));
    static_cast<void>(cudaEventDestroy(join_));
  }
  PcieJob(const PcieJob&) = delete;
  PcieJob& operator=(const PcieJob&) = delete;
  void run(std::int64_t rotation) override {
    std::uint8_t* place = pool_ + static_cast<std::size_t>(rotation % places_) * 2 * bytes_;
    auto* host = host_.as<std::uint8_t>();
    const bool both = up_ && down_;
    if (both) {
      check(cudaEventRecord(fork_, stream_), "event");
      check(cudaStreamWaitEvent(second_, fork_), "event");
    }
    if (up_) check(cudaMemcpyAsync(place, host, bytes_, cudaMemcpyHostToDevice, stream_), "copy");
    if (down_)
      check(cudaMemcpyAsync(host + bytes_, place + bytes_, bytes_, cudaMemcpyDeviceToHost,
                            both ? second_ : stream_),
            "copy");
    if (both) {
      check(cudaEventRecord(join_, second_), "event");
      check(cudaStreamWaitEvent(stream_, join_), "event");
    }
  }

 private:
  bool up_, down_;
  std::size_t bytes_;
  std::int64_t places_;
  std::uint8_t* pool_;
  cudaStream_t stream_, second_;
  cudaEvent_t fork_ = nullptr, join_ = nullptr;
  Memory host_;
};

}  // namespace

std::unique_ptr<Job> make_cuda_micro_job(const Case& what, std::uint8_t* pool, std::int64_t pool_bytes,
                                         cudaStream_t stream, cudaStream_t second) {
  if (2 * what.get("bytes") > pool_bytes) return nullptr;
  if (what.op == "launch") return std::make_unique<LaunchJob>(what, stream);
  if (what.op == "memory") return std::make_unique<MemoryJob>(what, pool, pool_bytes, stream);
  return std::make_unique<PcieJob>(what, pool, pool_bytes, stream, second);
}

}  // namespace kvcast::bench
