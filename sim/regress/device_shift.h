/// Did the device change between two runs? What sentinels and the bulk of the kernels say together.
#pragma once

#include <vector>

#include "sim/regress/regression.h"

namespace kvcast {

/// log(new / base) and its standard error.
struct ShiftSeen {
  double estimate = 0;
  double error = 0;
};

struct ShiftEvidence {
  std::vector<ShiftSeen> sentinels;
  std::vector<ShiftSeen> kernels;
};

/// Logarithms; what to do with them is shown.use.
struct DeviceShiftFound {
  DeviceShift shown;
  double removed = 0;  // taken out of every change
  double error = 0;    // its standard error
  double sentinels = 0;
};

/// On one device: where the sentinels and the typical kernel moved alike, the device moved, and the typical
/// kernel says by how much (it is the median of many; of a few kernels, the sentinels say it). Where they did
/// not, either many kernels changed or a sentinel did; nothing is removed. Without sentinels a small shift
/// that at least 20 kernels share is removed: kernels do not all change by the same few percent. On two
/// devices: the sentinels are the unit.
[[nodiscard]] DeviceShiftFound find_device_shift(const ShiftEvidence& evidence, bool same_device);

}  // namespace kvcast
