/// Matrix products on a GPU through cuBLASLt, which is loaded when first used: a machine without it can run
/// all else.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>

namespace kvcast::kernels {

/// y[m][n] = sum over k of x[m][k] * w[n][k], row-major and dense, y in bf16.
struct GemmShape {
  std::int64_t m = 0, n = 0, k = 0;
  bool fp8 = false;  // x and w in e4m3 with scales of 1; else bf16. n, m and k are then multiples of 16
};

/// Contract: run() enqueues one product with the algorithm that the library's heuristic ranks first for the
/// shape.
class Gemm {
 public:
  virtual ~Gemm() = default;
  [[nodiscard]] virtual cudaError_t run(const void* x, const void* w, void* y, cudaStream_t stream) = 0;
};

/// nullptr where the library is not there (`why` says so) or has no algorithm for the shape.
[[nodiscard]] std::unique_ptr<Gemm> make_gemm(const GemmShape& shape, std::string* why);

/// The library's version, as 130100 for 13.1.0; 0: not there.
[[nodiscard]] std::size_t cublaslt_version();

}  // namespace kvcast::kernels
