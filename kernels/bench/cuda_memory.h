/// Memory that frees itself, for the benchmark's CUDA half.
#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <utility>
#include <vector>

#include "kernels/bench/bench.h"

namespace kvcast::bench {

/// \throws BenchError with CUDA's own words
inline void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    throw BenchError(std::string("CUDA: ") + what + ": " + cudaGetErrorString(status) +
                     "; kvcast runs its kernels on the CPU with --device cpu");
}

/// Memory of the device, or pinned memory of the host.
class Memory {
 public:
  Memory() = default;
  explicit Memory(std::size_t bytes, bool on_host = false) : on_host_(on_host) {
    if (bytes == 0) return;
    check(on_host ? cudaHostAlloc(&data_, bytes, cudaHostAllocMapped) : cudaMalloc(&data_, bytes), "memory");
  }
  Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), on_host_(other.on_host_) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(on_host_, other.on_host_);
    return *this;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (data_ != nullptr) static_cast<void>(on_host_ ? cudaFreeHost(data_) : cudaFree(data_));
  }
  template <class T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  bool on_host_ = false;
};

/// The values in device memory.
template <class T>
Memory on_device(const std::vector<T>& values) {
  Memory memory(values.size() * sizeof(T));
  check(cudaMemcpy(memory.as<T>(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "copy");
  return memory;
}

}  // namespace kvcast::bench
