#include <cublasLt.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include "kernels/gemm/gemm_cuda.h"

namespace kvcast::kernels {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what NVIDIA recommends for Hopper

/// The functions that are used, found by name.
struct Library {
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtGetVersion) version = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = nullptr;
  decltype(&cublasLtMatmulDescCreate) describe = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  cublasLtHandle_t handle = nullptr;
  void* workspace = nullptr;
  bool ready = false;
};

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

Library load() {
  Library lt;
  void* library = nullptr;
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so"})
    if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return lt;
  lt.ready = find(library, "cublasLtCreate", lt.create) && find(library, "cublasLtGetVersion", lt.version) &&
             find(library, "cublasLtMatmul", lt.matmul) &&
             find(library, "cublasLtMatmulAlgoGetHeuristic", lt.heuristic) &&
             find(library, "cublasLtMatmulDescCreate", lt.describe) &&
             find(library, "cublasLtMatmulDescSetAttribute", lt.set) &&
             find(library, "cublasLtMatrixLayoutCreate", lt.layout) &&
             find(library, "cublasLtMatmulPreferenceCreate", lt.preference) &&
             find(library, "cublasLtMatmulPreferenceSetAttribute", lt.set_preference);
  lt.ready = lt.ready && lt.create(&lt.handle) == CUBLAS_STATUS_SUCCESS &&
             cudaMalloc(&lt.workspace, kWorkspaceBytes) == cudaSuccess;
  return lt;
}

Library& library() {
  static Library lt = load();
  return lt;
}

class LtGemm final : public Gemm {
 public:
  cudaError_t run(const void* x, const void* w, void* y, cudaStream_t stream) override {
    const Library& lt = library();
    const float one = 1, zero = 0;
    const cublasStatus_t status =
        lt.matmul(lt.handle, product_, &one, w, w_layout_, x, x_layout_, &zero, y, y_layout_, y, y_layout_,
                  &found_.algo, lt.workspace, kWorkspaceBytes, stream);
    return status == CUBLAS_STATUS_SUCCESS ? cudaSuccess : cudaErrorUnknown;
  }

  /// Column-major, the product is y^T = w * x^T: w is k by n and transposed, x is k by m.
  bool prepare(const GemmShape& shape) {
    const Library& lt = library();
    const cudaDataType_t in = shape.fp8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF;
    const auto m = static_cast<std::uint64_t>(shape.m), n = static_cast<std::uint64_t>(shape.n),
               k = static_cast<std::uint64_t>(shape.k);
    const cublasOperation_t transposed = CUBLAS_OP_T;
    cublasLtMatmulPreference_t preference = nullptr;
    int count = 0;
    return lt.describe(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
           lt.set(product_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed) ==
               CUBLAS_STATUS_SUCCESS &&
           lt.layout(&w_layout_, in, k, n, shape.k) == CUBLAS_STATUS_SUCCESS &&
           lt.layout(&x_layout_, in, k, m, shape.k) == CUBLAS_STATUS_SUCCESS &&
           lt.layout(&y_layout_, CUDA_R_16BF, n, m, shape.n) == CUBLAS_STATUS_SUCCESS &&
           lt.preference(&preference) == CUBLAS_STATUS_SUCCESS &&
           lt.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspaceBytes,
                             sizeof kWorkspaceBytes) == CUBLAS_STATUS_SUCCESS &&
           lt.heuristic(lt.handle, product_, w_layout_, x_layout_, y_layout_, y_layout_, preference, 1,
                        &found_, &count) == CUBLAS_STATUS_SUCCESS &&
           count > 0;
  }

 private:
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t w_layout_ = nullptr, x_layout_ = nullptr, y_layout_ = nullptr;
  cublasLtMatmulHeuristicResult_t found_ = {};
};

}  // namespace

std::unique_ptr<Gemm> make_gemm(const GemmShape& shape, std::string* why) {
  if (!library().ready) {
    *why = "libcublasLt.so.13 cannot be loaded (set LD_LIBRARY_PATH to the folder that holds it)";
    return nullptr;
  }
  auto gemm = std::make_unique<LtGemm>();
  if (gemm->prepare(shape)) return gemm;
  *why = "cuBLASLt has no algorithm for this shape";
  return nullptr;
}

std::size_t cublaslt_version() { return library().ready ? library().version() : 0; }

}  // namespace kvcast::kernels
