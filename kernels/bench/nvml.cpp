#include "kernels/bench/nvml.h"

#include <dlfcn.h>

namespace kvcast::bench {
namespace {

// NVML's C interface, as far as it is used (https://docs.nvidia.com/deploy/nvml-api); a result of 0 is
// success.
using Device = void*;
using Init = int (*)();
using ByUuid = int (*)(const char*, Device*);
using Value = int (*)(Device, unsigned*);
using ValueOf = int (*)(Device, int, unsigned*);
using Reasons = int (*)(Device, unsigned long long*);
using Text = int (*)(char*, unsigned);

constexpr int kSmClock = 1, kMemoryClock = 2, kGpuTemperature = 0;

class Library {
 public:
  Library() : handle_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (const auto init = find<Init>("nvmlInit_v2")) ready_ = init() == 0;
  }

  template <class Function>
  [[nodiscard]] Function find(const char* name) const {
    return handle_ == nullptr ? nullptr : reinterpret_cast<Function>(dlsym(handle_, name));
  }
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  void* handle_;
  bool ready_ = false;
};

unsigned value(const Library& nvml, const char* name, Device device) {
  unsigned result = 0;
  const auto read = nvml.find<Value>(name);
  return read != nullptr && read(device, &result) == 0 ? result : 0;
}

unsigned value_of(const Library& nvml, const char* name, Device device, int what) {
  unsigned result = 0;
  const auto read = nvml.find<ValueOf>(name);
  return read != nullptr && read(device, what, &result) == 0 ? result : 0;
}

}  // namespace

GpuState read_gpu_state(const std::string& uuid) {
  static const Library nvml;
  GpuState state;
  if (!nvml.ready()) return state;
  Device device = nullptr;
  const auto by_uuid = nvml.find<ByUuid>("nvmlDeviceGetHandleByUUID");
  if (by_uuid == nullptr || by_uuid(uuid.c_str(), &device) != 0) return state;
  state.known = true;
  state.temperature_c = value_of(nvml, "nvmlDeviceGetTemperature", device, kGpuTemperature);
  state.sm_mhz = value_of(nvml, "nvmlDeviceGetClockInfo", device, kSmClock);
  state.memory_mhz = value_of(nvml, "nvmlDeviceGetClockInfo", device, kMemoryClock);
  state.sm_mhz_max = value_of(nvml, "nvmlDeviceGetMaxClockInfo", device, kSmClock);
  state.power_w = value(nvml, "nvmlDeviceGetPowerUsage", device) * 1e-3;
  state.power_limit_w = value(nvml, "nvmlDeviceGetEnforcedPowerLimit", device) * 1e-3;
  if (const auto reasons = nvml.find<Reasons>("nvmlDeviceGetCurrentClocksThrottleReasons"))
    static_cast<void>(reasons(device, &state.throttle_reasons));
  char driver[96] = "";
  const auto version = nvml.find<Text>("nvmlSystemGetDriverVersion");
  if (version != nullptr && version(driver, sizeof driver) == 0) state.driver = driver;
  return state;
}

}  // namespace kvcast::bench
