/// Step times from datasheets: each operator takes max(bytes / bandwidth, FLOP / rate); a step is the sum.
/// Uncalibrated by nature.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hwmodels/gpu_spec.h"
#include "hwmodels/kv_dtype.h"
#include "hwmodels/model_spec.h"
#include "hwmodels/spread_options.h"
#include "sim/step_timer.h"

namespace kvcast {

struct TimerOptions {
  std::int64_t tensor_parallel_size = 1;
  KvDtype kv_cache_dtype = KvDtype::model;
  bool enable_kv_cache = true;  // false: nothing is appended or read, every step recomputes its whole context
  double host_overhead_us = 0;  // per step, from the engine profile
  double sort_ns_per_logit = 0;  // of top-k and top-p sampling that sorts each sampled row; 0: it does not
  SpreadOptions spread;
};

/// What bounds an operator of a step.
enum class OpBound : std::uint8_t { memory, compute, link, host };
[[nodiscard]] std::string_view to_string(OpBound bound);

/// One kind of operator of one step, summed over the layers that have it; one GPU.
struct OpCost {
  std::string name;  // "qkv_proj", "decode_attention", ...
  std::int64_t bytes = 0;
  std::int64_t flop = 0;
  FineDuration time{};
  OpBound bound = OpBound::memory;
  StepPart part = StepPart::unsplit;  // of the costliest operator under this name
  double intensity = 0;               // FLOP per byte
  double ridge = 0;                   // FLOP per byte at which this operator's rate and the bandwidth meet
};

/// Contract: a StepTimer that can say where a step's time goes. breakdown() sums to step() exactly.
class RooflineTimer : public StepTimer {
 public:
  [[nodiscard]] virtual std::vector<OpCost> breakdown(const StepShape& shape) const = 0;
  /// "datasheet roofline of <GPU>, uncalibrated": printed in every output.
  [[nodiscard]] virtual std::string description() const = 0;
};

/// \throws InputError where the model does not divide over the ranks, or its weights cannot be counted
[[nodiscard]] std::unique_ptr<RooflineTimer> make_roofline_timer(const ModelSpec& model, const GpuSpec& gpu,
                                                                 const TimerOptions& options);

/// Only the bytes and FLOP of a step, as the roofline counts them; its times are 0.
[[nodiscard]] std::unique_ptr<StepTimer> make_work_counter(const ModelSpec& model, const GpuSpec& gpu,
                                                           const TimerOptions& options);

}  // namespace kvcast
