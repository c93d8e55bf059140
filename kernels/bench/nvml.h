/// What the driver's management library tells of a GPU; loaded when first used, absent on some machines.
#pragma once

#include <cstdint>
#include <string>

namespace kvcast::bench {

struct GpuState {
  bool known = false;
  unsigned temperature_c = 0;
  unsigned sm_mhz = 0, memory_mhz = 0, sm_mhz_max = 0;
  double power_w = 0, power_limit_w = 0;
  unsigned long long throttle_reasons = 0;  // NVML's bit mask
  std::string driver;
};

/// \param uuid "GPU-..."
[[nodiscard]] GpuState read_gpu_state(const std::string& uuid);

}  // namespace kvcast::bench
