/// From kernels that were timed to the parts of a step: what bounds a kernel is the data sheet's word.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/roofline_timer.h"

namespace kvcast {

/// How long the kernels of one name take in a step.
struct NamedTime {
  std::string name;
  std::int64_t time = 0;  // 2^-20 ns
};

/// Divides a step's time on the device in proportion to its kernels' times, each counted as the part that the
/// data sheet puts the operator of its name in; kernels that it does not know are spread like the data
/// sheet's own step. Bytes are the data sheet's. \param device 2^-20 ns; what the parts' times sum to
[[nodiscard]] StepParts split_device_time(const RooflineTimer& datasheet, const StepShape& shape,
                                          const std::vector<NamedTime>& kernels, std::int64_t device);

}  // namespace kvcast
