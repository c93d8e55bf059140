/// Kernel timings with the noise of real ones, made up: for tests of what tells a regression from noise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "sim/regress/regression.h"

namespace kvcast::test {

/// How a suite is measured and how much its timings scatter. The defaults are the noise model of
/// docs/regression.md; a test that changes one says why.
struct NoiseModel {
  std::int64_t kernels = 60;
  std::int64_t sentinels = 3;
  std::int64_t samples = 20;
  double sample_scale = 1;  // times the repeatability figures
  double drift = 0.01;      // standard deviation of what all kernels of a run share (its logarithm)
  double kernel_run_share =
      0.25;                  // of the repeatability figures: what all samples of one kernel in one run share
  double outliers = 0.01;    // share of samples that something interrupts: 10 to 100 % slower
  bool keep_samples = true;  // false: only n, median and spread
};

/// The true times of a suite: log-uniform from 3 us to 5 ms, every other kernel compute-bound.
struct TrueSuite {
  std::vector<double> times_ns;  // sentinels last
};
[[nodiscard]] TrueSuite draw_suite(const NoiseModel& model, RandomStream& random);

/// One run of the suite: one block of samples for each kernel.
/// \param slowed this kernel takes `factor` times as long; -1: none
[[nodiscard]] std::vector<KernelTiming> measure(const NoiseModel& model, const TrueSuite& suite,
                                                RandomStream& random, std::int64_t slowed = -1,
                                                double factor = 1);

/// Two builds measured side by side: `blocks` blocks of each, of model.samples samples. Here each block is a
/// measurement as repeatability() knows them: what its samples share is of that size, and two neighbouring
/// blocks have the drift in common, which wanders over the blocks.
struct SideBySide {
  std::vector<KernelTiming> base, candidate;
};
[[nodiscard]] SideBySide measure_side_by_side(const NoiseModel& model, const TrueSuite& suite,
                                              std::int64_t blocks, RandomStream& random,
                                              std::int64_t slowed = -1, double factor = 1);

/// |log ratio| of two measurements of one kernel, in this quantile: the repeatability of a data centre GPU's
/// kernels by their time, with the tails that it has. Source: rows of equal shape in NVIDIA aiconfigurator's
/// tables for H100 and H200 (MLA decode): medians, 90 % and 99 % quantiles; straight between them, and to
/// twice the 99 % quantile at the end.
[[nodiscard]] double repeatability(double time_ns, double fraction);

}  // namespace kvcast::test
