#include "sim/app/what_fits.h"

#include <algorithm>
#include <vector>

#include "reports/format.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTensorParallelMax = 64;

/// Settings that the engine refuses outright do not fit either.
bool fits(const ModelSpec& model, const GpuSpec& gpu, const MemoryOptions& options) {
  try {
    return memory_report(model, gpu, options).status == MemoryStatus::ok;
  } catch (const InputError&) {
    return false;
  }
}

std::string join(const std::vector<std::string>& parts, const char* separator) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : separator) + part;
  return text;
}

std::string other_gpus(const ModelSpec& model, const GpuSpec& gpu, MemoryOptions options) {
  std::vector<std::string> names;
  for (const GpuSpec& other : list_gpus()) {
    if (other.name == gpu.name || other.memory_gib <= gpu.memory_gib) continue;
    if (fits(model, other, options)) names.push_back(other.name);
  }
  return join(names, " or ");
}

}  // namespace

std::string what_would_fit(const ModelSpec& model, const GpuSpec& gpu, const MemoryOptions& options, const MemoryReport& refused) {
  std::vector<std::string> ways;
  if (refused.fits_max_model_len > 0) ways.push_back("max_model_len " + std::to_string(refused.fits_max_model_len));
  for (std::int64_t tp = options.tensor_parallel_size * 2; tp <= kTensorParallelMax; tp *= 2) {
    MemoryOptions more = options;
    more.tensor_parallel_size = tp;
    if (!fits(model, gpu, more)) continue;
    ways.push_back("tensor_parallel_size " + std::to_string(tp));
    break;
  }
  MemoryOptions fp8 = options;
  fp8.kv_cache_dtype = KvDtype::fp8_e4m3;
  if (options.kv_cache_dtype != KvDtype::fp8_e4m3 && fits(model, gpu, fp8)) ways.push_back("kv_cache_dtype fp8");
  const std::string gpus = other_gpus(model, gpu, options);
  if (!gpus.empty()) ways.push_back("gpu " + gpus);
  if (ways.empty()) return "no single change of max_model_len, tensor_parallel_size, kv_cache_dtype or GPU makes it fit";
  return "any one of these would fit: " + join(ways, "; ");
}

}  // namespace kvcast
