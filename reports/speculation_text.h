/// What reports say of speculative decoding.
#pragma once

#include <string>
#include <vector>

#include "sim/metrics/forecast.h"

namespace kvcast {

struct SpeculationLine {
  std::string name;
  std::string value;
  std::string remark;
};
/// Empty without speculation.
[[nodiscard]] std::vector<SpeculationLine> speculation_lines(const Forecast& forecast);

}  // namespace kvcast
