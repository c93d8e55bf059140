#include "hwmodels/step_split.h"

#include <algorithm>

#include "sim/base/shares.h"

namespace kvcast {

StepParts split_device_time(const RooflineTimer& datasheet, const StepShape& shape,
                            const std::vector<NamedTime>& kernels, std::int64_t device) {
  const StepParts known = datasheet.parts(shape);
  StepParts on_device = known;
  on_device.time_of(StepPart::host) = 0;
  const std::vector<OpCost> operators = datasheet.breakdown(shape);
  std::array<std::int64_t, kStepParts> weights{};
  std::int64_t unknown = 0;
  for (const NamedTime& kernel : kernels) {
    const auto at = std::find_if(operators.begin(), operators.end(),
                                 [&](const OpCost& op) { return op.name == kernel.name; });
    if (at == operators.end()) {
      unknown += kernel.time;
    } else {
      weights[static_cast<std::size_t>(at->part)] += kernel.time;
    }
  }
  if (unknown > 0) {
    std::array<std::int64_t, kStepParts> spread{};
    divide(unknown, on_device.time.data(), spread.data(), kStepParts);
    for (std::size_t i = 0; i < kStepParts; ++i) weights[i] += spread[i];
  }
  StepParts parts;
  parts.bytes = known.bytes;
  divide(device, weights.data(), parts.time.data(), kStepParts);
  return parts;
}

}  // namespace kvcast
