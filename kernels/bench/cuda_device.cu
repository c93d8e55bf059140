#include "kernels/bench/cuda_device.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>

#include "kernels/bench/cuda_jobs.h"
#include "kernels/bench/cuda_memory.h"
#include "kernels/bench/nvml.h"
#include "kernels/bench/record.h"
#include "kernels/gemm/gemm_cuda.h"

namespace kvcast::bench {
namespace {

/// The clocks of every SM: its cycle counter, and the time.
struct Stamp {
  long long cycles;
  long long ns;
};
__global__ void stamp_kernel(Stamp* stamps) {
  if (threadIdx.x != 0) return;
  unsigned sm = 0;
  unsigned long long ns = 0;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
  stamps[sm] = {clock64(), static_cast<long long>(ns)};
}

/// Holds the stream until the host has enqueued everything, so that its own speed is not measured; gives up
/// after two seconds.
__global__ void hold_kernel(volatile const int* go, int value) {
  unsigned long long begin = 0, now = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    __nanosleep(200);
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (*go != value && now - begin < 2'000'000'000ULL);
}

constexpr int kSmsMax = 1024;
constexpr std::int64_t kRepeatsMax = 400;  // executions that a stream takes without blocking the host

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(std::uint64_t seed) {
    check(cudaSetDevice(0), "no GPU");
    check(cudaGetDeviceProperties(&properties_, 0), "properties");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
    check(cudaEventCreate(&begin_), "event");
    check(cudaEventCreate(&end_), "event");
    jobs_ = make_gpu_jobs(seed, properties_, stream_);
    stamps_ = Memory(2 * kSmsMax * sizeof(Stamp), true);
    std::memset(stamps_.as<Stamp>(), 0, 2 * kSmsMax * sizeof(Stamp));
    go_ = Memory(sizeof(int), true);
    *go_.as<int>() = 0;
    check(cudaStreamSynchronize(stream_), "start");
    usual_mhz_ = read_gpu_state(uuid()).sm_mhz_max;
  }
  ~CudaDevice() override {
    static_cast<void>(cudaEventDestroy(begin_));
    static_cast<void>(cudaEventDestroy(end_));
    static_cast<void>(cudaStreamDestroy(stream_));
  }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  std::string describe() const override {
    int driver = 0, runtime = 0;
    static_cast<void>(cudaDriverGetVersion(&driver));
    static_cast<void>(cudaRuntimeGetVersion(&runtime));
    const GpuState state = read_gpu_state(uuid());
    return std::string("{\"name\": \"") + properties_.name + "\", \"uuid\": \"" + uuid() +
           "\", \"sms\": " + std::to_string(properties_.multiProcessorCount) +
           ", \"l2_bytes\": " + std::to_string(properties_.l2CacheSize) +
           ", \"memory_bytes\": " + std::to_string(properties_.totalGlobalMem) +
           ", \"ecc\": " + (properties_.ECCEnabled != 0 ? "true" : "false") + ", \"driver\": \"" +
           state.driver + "\", \"cuda_driver\": " + std::to_string(driver) +
           ", \"cuda_runtime\": " + std::to_string(runtime) +
           ", \"cublaslt\": " + std::to_string(kernels::cublaslt_version()) +
           ", \"power_limit_w\": " + json_number(state.power_limit_w) +
           ", \"sm_mhz_max\": " + std::to_string(state.sm_mhz_max) + "}";
  }

  std::string state() const override {
    const GpuState state = read_gpu_state(uuid());
    if (!state.known) return "";
    return ", \"clocks\": {\"sm_mhz\": " + std::to_string(state.sm_mhz) +
           ", \"memory_mhz\": " + std::to_string(state.memory_mhz) +
           "}, \"temperature_c\": " + std::to_string(state.temperature_c) +
           ", \"power_w\": " + json_number(state.power_w) +
           ", \"throttle_reasons\": " + std::to_string(state.throttle_reasons);
  }

  std::string method() const override { return "cuda_events"; }
  std::vector<Case> suite(Suite suite) const override { return gpu_suite(suite); }
  std::vector<Case> sentinels() const override { return gpu_sentinels(); }

  std::unique_ptr<Job> prepare(const Case& what) override { return jobs_->prepare(what); }

  Sample measure(Job& job, std::int64_t repeats, std::int64_t rotation) override {
    repeats = std::min(repeats, kRepeatsMax);
    const unsigned stampers = static_cast<unsigned>(4 * properties_.multiProcessorCount);
    Stamp* stamps = stamps_.as<Stamp>();
    const int go = *go_.as<int>() + 1;
    hold_kernel<<<1, 1, 0, stream_>>>(go_.as<int>(), go);
    stamp_kernel<<<stampers, 32, 0, stream_>>>(stamps);
    check(cudaEventRecord(begin_, stream_), "event");
    for (std::int64_t i = 0; i < repeats; ++i) job.run(rotation + i);
    check(cudaEventRecord(end_, stream_), "event");
    stamp_kernel<<<stampers, 32, 0, stream_>>>(stamps + kSmsMax);
    *static_cast<volatile int*>(go_.as<int>()) = go;
    check(cudaStreamSynchronize(stream_), "kernel");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_, end_), "event");
    Sample sample;
    sample.ns = static_cast<double>(ms) * 1e6 / static_cast<double>(repeats);
    sample.clock_mhz = clock_between(stamps, stamps + kSmsMax);
    sample.cycles = sample.ns * sample.clock_mhz * 1e-3;
    sample.throttled = usual_mhz_ > 0 && sample.clock_mhz > 0 && sample.clock_mhz < 0.75 * usual_mhz_;
    return sample;
  }

 private:
  [[nodiscard]] std::string uuid() const {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text = "GPU-";
    for (int i = 0; i < 16; ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
      const auto byte = static_cast<unsigned char>(properties_.uuid.bytes[i]);
      text += kHex[byte >> 4];
      text += kHex[byte & 15];
    }
    return text;
  }

  /// Mean clock of the SMs that were stamped both times, MHz.
  [[nodiscard]] double clock_between(const Stamp* first, const Stamp* second) const {
    double cycles = 0, ns = 0;
    for (int sm = 0; sm < std::min(properties_.multiProcessorCount, kSmsMax); ++sm) {
      if (first[sm].ns == 0 || second[sm].ns <= first[sm].ns) continue;
      cycles += static_cast<double>(second[sm].cycles - first[sm].cycles);
      ns += static_cast<double>(second[sm].ns - first[sm].ns);
    }
    return ns > 0 ? cycles / ns * 1e3 : 0;
  }

  cudaDeviceProp properties_ = {};
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  std::unique_ptr<GpuJobs> jobs_;
  Memory stamps_, go_;
  double usual_mhz_ = 0;
};

}  // namespace

std::unique_ptr<Device> make_cuda_device(std::uint64_t seed) { return std::make_unique<CudaDevice>(seed); }

}  // namespace kvcast::bench
