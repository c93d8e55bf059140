#include "hwmodels/gpu_spec.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/base/embedded.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::string_view kFolder = "configs/gpus/";
constexpr std::string_view kSuffix = ".yaml";
constexpr RealRange kMemoryGib{0.1, 4096};
constexpr RealRange kBandwidth{1, 1e6};
constexpr RealRange kTflops{0.01, 1e6};

// From the narrowest floating-point units to the widest: a dtype without units of its own runs on the next,
// as weight-only kernels do (fp8 weights in bf16 on an A100). int8 stands first, so that nothing falls back
// on integer units.
constexpr std::string_view kDtypes[] = {"int8", "fp4", "fp8", "bf16", "fp16", "tf32", "fp32"};

std::vector<std::string> dtype_names() { return {std::begin(kDtypes), std::end(kDtypes)}; }

void read_tflops(Config& config, GpuSpec& gpu) {
  Config rates = config.child("tflops");
  for (const std::string& dtype : rates.names()) {
    if (std::find(std::begin(kDtypes), std::end(kDtypes), dtype) == std::end(kDtypes)) {
      rates.fail(dtype, "unknown dtype" + known_names(dtype, dtype_names()));
    }
    gpu.tflops[dtype] = rates.get_real(dtype, kTflops);
  }
}

/// Reads a mapping over what `gpu` already holds; keys without a value there are required.
void read_mapping(Config& config, GpuSpec& gpu, bool complete) {
  const auto real = [&](std::string_view key, RealRange range, double& value, bool required) {
    value = required && !complete ? config.get_real(key, range) : config.get_real(key, range, value);
  };
  real("memory_gib", kMemoryGib, gpu.memory_gib, true);
  real("bandwidth_gb_per_s", kBandwidth, gpu.bandwidth_gb_per_s, true);
  if (!complete && !config.is_mapping("tflops"))
    config.fail("tflops", "required: the dense rates by dtype, {bf16: ...}");
  if (config.has("tflops")) read_tflops(config, gpu);
  if (gpu.tflops.count("bf16") == 0 && gpu.tflops.count("fp16") == 0)
    config.fail("tflops", "needs bf16 or fp16");
  gpu.title = config.get_string("title", gpu.title);
  gpu.vendor = config.get_string("vendor", gpu.vendor);
  gpu.driver_name = config.get_string("driver_name", gpu.driver_name);
  gpu.sm_count = config.get_int("sm_count", {0, 100'000}, gpu.sm_count);
  real("compute_capability", {0, 100}, gpu.compute_capability, false);
  gpu.link = config.get_string("link", gpu.link);
  real("link_gb_per_s", {0, 1e6}, gpu.link_gb_per_s, false);
  real("link_latency_us", {0, 1e6}, gpu.link_latency_us, false);
  real("pcie_gb_per_s", {0, 1e6}, gpu.pcie_gb_per_s, false);
  real("price_per_hour", {0, 1e6}, gpu.price_per_hour, false);
  gpu.price_source = config.get_string("price_source", gpu.price_source);
  if (config.has("sources")) gpu.sources = config.get_strings("sources");
}

GpuSpec read_entry(const EmbeddedFile& file) {
  Config config = Config::from_text(file.text, std::string(file.path));
  GpuSpec gpu;
  gpu.name =
      std::string(file.path.substr(kFolder.size(), file.path.size() - kFolder.size() - kSuffix.size()));
  read_mapping(config, gpu, false);
  config.finish();
  return gpu;
}

std::optional<GpuSpec> find_entry(std::string_view name) {
  const std::string path = std::string(kFolder) + std::string(name) + std::string(kSuffix);
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path == path) return read_entry(file);
  }
  return std::nullopt;
}

std::vector<std::string> gpu_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path.substr(0, kFolder.size()) != kFolder) continue;
    names.emplace_back(file.path.substr(kFolder.size(), file.path.size() - kFolder.size() - kSuffix.size()));
  }
  return names;
}

}  // namespace

std::int64_t GpuSpec::memory_bytes() const {
  return static_cast<std::int64_t>(std::llround(memory_gib * 0x1p30));
}

double GpuSpec::flop_per_s(std::string_view dtype) const {
  const auto* at = std::find(std::begin(kDtypes), std::end(kDtypes), dtype);
  KVCAST_CHECK(at != std::end(kDtypes));
  if (dtype == "int8" && tflops.count("int8") == 0)
    at = std::find(std::begin(kDtypes), std::end(kDtypes), "bf16");
  for (; at != std::end(kDtypes); ++at) {
    const auto rate = tflops.find(std::string(*at));
    if (rate != tflops.end()) return rate->second * 1e12;
  }
  check_failed("a GPU has a bf16, fp16 or wider rate", __FILE__, __LINE__);
}

GpuSpec find_gpu(std::string_view name, const std::string& where) {
  if (std::optional<GpuSpec> gpu = find_entry(name)) return *gpu;
  throw InputError(where + ": unknown GPU \"" + std::string(name) + "\"" + known_names(name, gpu_names()));
}

GpuSpec read_gpu(Config& config, std::string_view key, std::string_view fallback) {
  if (!config.is_mapping(key)) return find_gpu(config.get_string(key, fallback), config.where(key));
  Config mapping = config.child(key);
  const std::string name = mapping.get_string("name");
  GpuSpec gpu;
  bool complete = false;
  if (mapping.has("base")) {
    gpu = find_gpu(mapping.get_string("base"), mapping.where("base"));
    complete = true;
  } else if (std::optional<GpuSpec> known = find_entry(name)) {
    gpu = *known;
    complete = true;
  }
  gpu.name = name;
  gpu.from_catalogue = false;
  if (gpu.title.empty() || mapping.has("base")) gpu.title = name;
  read_mapping(mapping, gpu, complete);
  return gpu;
}

std::optional<GpuSpec> gpu_of_device(std::string_view device) {
  for (GpuSpec& gpu : list_gpus()) {
    if (gpu.name == device || gpu.title == device || (!device.empty() && gpu.driver_name == device))
      return std::move(gpu);
  }
  return std::nullopt;
}

std::vector<GpuSpec> list_gpus() {
  std::vector<GpuSpec> gpus;
  for (const std::string& name : gpu_names()) gpus.push_back(*find_entry(name));
  return gpus;
}

}  // namespace kvcast
