/// Are the kernels of a device right? Each against definitions in double precision, and twice with equal
/// bits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kernels/cache/cache.h"
#include "kernels/common/packed.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/reference/problem.h"

namespace kvcast::cpu {
class Threads;
}

namespace kvcast::bench {

/// Contract: each call does one kernel's work on host memory, as its arguments' header says, and returns when
/// it is done. All activations are 16-bit.
class CheckedKernels {
 public:
  virtual ~CheckedKernels() = default;
  /// false: the device has no kernel for the problem
  [[nodiscard]] virtual bool attention(const kernels::Problem& problem) = 0;
  /// \param blocks of the cache. \param angles floats of cos_sin
  virtual void append(const kernels::AppendArgs<std::uint16_t>& args, kernels::Element element,
                      std::int64_t blocks, std::int64_t angles) = 0;
  /// \param blocks of each pool
  virtual void copy_blocks(const kernels::CopyBlocksArgs& args, std::int64_t blocks) = 0;
  virtual void gather_blocks(const kernels::GatherBlocksArgs& args, std::int64_t blocks) = 0;
  virtual void scatter_blocks(const kernels::GatherBlocksArgs& args, std::int64_t blocks) = 0;
  /// From a pool to one of the host and back into another: by the copy engines, and by a kernel.
  virtual void swap_blocks(const kernels::CopyBlocksArgs& args, std::int64_t blocks, bool by_dma) = 0;
  virtual void accumulate_scores(const kernels::AccumulateScoresArgs<std::uint16_t>& args,
                                 kernels::Element element, std::int64_t blocks) = 0;
  virtual void rms_norm(const kernels::RmsNormArgs<std::uint16_t>& args, kernels::Element element) = 0;
  virtual void silu_mul(const kernels::SiluMulArgs<std::uint16_t>& args, kernels::Element element) = 0;
  virtual void sample(const kernels::SampleArgs& args) = 0;
  /// bfloat16. false: no library for it
  [[nodiscard]] virtual bool gemm(const kernels::GemmArgs<std::uint16_t>& args) = 0;
};

[[nodiscard]] std::unique_ptr<CheckedKernels> make_cpu_kernels(cpu::Threads& threads);

/// \param report gets a line for each group of checks
/// \returns the number of failed checks
[[nodiscard]] int check_kernels(CheckedKernels& kernels, std::uint64_t seed,
                                const std::function<void(const std::string&)>& report);

}  // namespace kvcast::bench
