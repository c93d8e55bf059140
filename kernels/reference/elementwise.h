/// The elementwise kernels, the sampler and the matrix product in double precision, by their definitions.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"

namespace kvcast::kernels {

/// [rows][width]; with a residual, the normalised row is x + residual. Nothing is written to the arguments.
[[nodiscard]] std::vector<double> rms_norm_exact(const RmsNormArgs<float>& args);
/// [rows][width]
[[nodiscard]] std::vector<double> silu_mul_exact(const SiluMulArgs<float>& args);
/// [rows]; by sorting, in double
[[nodiscard]] std::vector<std::int32_t> sample_exact(const SampleArgs& args);
/// [m][n]
[[nodiscard]] std::vector<double> gemm_exact(const GemmArgs<float>& args);

}  // namespace kvcast::kernels
