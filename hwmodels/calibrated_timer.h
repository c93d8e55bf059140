/// Step times from a calibration of kernels: the operators of the roofline, each timed as the kernel that it
/// runs as. Built once into integer tables, so that a step costs a few look-ups.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hwmodels/gpu_spec.h"
#include "hwmodels/kernel_model.h"
#include "hwmodels/model_spec.h"
#include "hwmodels/roofline_timer.h"
#include "sim/step_timer.h"

namespace kvcast {

struct CalibratedOptions {
  TimerOptions timer;  // its host_overhead_us is added to each step
  /// Batch sizes of captured CUDA graphs, ascending: a step of no more tokens than the largest is padded to
  /// the next. Empty: eager.
  std::vector<std::int64_t> capture_sizes;
  bool pads_prompts = true;  // steps with prompt chunks too; else decode steps alone
  /// A step takes at least so long: the host's own work for it, where that runs beside the GPU's.
  double host_hidden_us = 0;
  std::int64_t tokens_max = 8192;  // of one step; more are extrapolated
};

/// How long one kind of operator takes in a step, and one standard error of it.
struct OperatorTime {
  std::string name;
  double us = 0;
  double error = 0;  // relative
};

/// Contract: a StepTimer; more sequences over an equal sum of contexts may be faster, as they fill the GPU
/// better, else step() never falls when a count rises.
class CalibratedTimer : public StepTimer {
 public:
  /// The operators of a step, before padding and the host; what relative_error() sums up. Errors of one kind
  /// of kernel are taken to be equal in all layers, those of different kinds independent.
  [[nodiscard]] virtual std::vector<OperatorTime> operators(const StepShape& shape) const = 0;
  /// What the calibration does not cover of this model, one sentence each.
  [[nodiscard]] virtual const std::vector<std::string>& notes() const = 0;
};

/// \throws InputError where the model does not divide over the ranks, or its weights cannot be counted
[[nodiscard]] std::unique_ptr<CalibratedTimer> make_calibrated_timer(
    std::shared_ptr<const KernelModel> kernels, const ModelSpec& model, const GpuSpec& gpu,
    const CalibratedOptions& options);

}  // namespace kvcast
