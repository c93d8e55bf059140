#include "kernels/bench/bench.h"
#include "kernels/bench/check.h"
#include "kernels/cpu/threads.h"
#ifdef KVCAST_WITH_CUDA
#include "kernels/bench/cuda_device.h"
#endif

namespace kvcast::bench {
namespace {

void check_name(const std::string& name) {
  if (name != "cuda" && name != "cpu")
    throw BenchError("--device " + name + ": unknown device (known: cpu, cuda)");
#ifndef KVCAST_WITH_CUDA
  if (name == "cuda")
    throw BenchError(
        "--device cuda: this kvcast was built without CUDA; build it with the preset cuda where nvcc is, or "
        "use "
        "--device cpu");
#endif
}

}  // namespace

std::unique_ptr<Device> make_device(const std::string& name, int threads, std::uint64_t seed) {
  check_name(name);
#ifdef KVCAST_WITH_CUDA
  if (name == "cuda") return make_cuda_device(seed);
#endif
  return make_cpu_device(threads, seed);
}

int run_check(const std::string& device, int threads, std::uint64_t seed,
              const std::function<void(const std::string&)>& report) {
  check_name(device);
#ifdef KVCAST_WITH_CUDA
  if (device == "cuda") return check_kernels(*make_cuda_kernels(), seed, report);
#endif
  cpu::Threads pool(threads);
  return check_kernels(*make_cpu_kernels(pool), seed, report);
}

}  // namespace kvcast::bench
