/// Communication beside computation: micro-batches or tiles whose transfers hide behind others' kernels.
#pragma once

#include <memory>

#include "sim/step_timer.h"

namespace kvcast {

/// A step of computation a and communication b, of which the share s may run beside a:
///   (1 - s) b + max(a, s b).
/// s = 0 adds them up, s = 1 takes the longer (two micro-batches that swap places, as with DeepEP; tiles of a
/// product that are reduced as they come, as in Flux or asynchronous tensor parallelism).
/// \param share 0 to 1
[[nodiscard]] std::unique_ptr<StepTimer> overlapped_timer(std::unique_ptr<StepTimer> computing,
                                                          std::unique_ptr<StepTimer> communicating,
                                                          double share);

}  // namespace kvcast
