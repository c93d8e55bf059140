#include "sim/app/own_calibrations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "hwmodels/calibration_file.h"
#include "sim/base/error.h"
#include "sim/base/file.h"

namespace kvcast {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBytesMax = std::size_t{1} << 30;

/// The folder's calibrations, the last by name first.
std::vector<std::string> files_of(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> paths;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".jsonl") paths.push_back(entry->path().string());
  if (error)
    throw InputError(fmt::format("{}={}: {}; name a folder of calibrations, or unset it",
                                 kCalibrationsVariable, folder, error.message()));
  std::sort(paths.rbegin(), paths.rend());
  return paths;
}

bool made_on(const CalibrationFile& file, const GpuSpec& gpu) {
  return is_bench_calibration(file) && file.header.device == gpu.name;
}

bool borrows_a_name(const GpuSpec& gpu) {
  if (gpu.from_catalogue) return false;
  const std::vector<GpuSpec> known = list_gpus();
  return std::any_of(known.begin(), known.end(), [&gpu](const GpuSpec& one) { return one.name == gpu.name; });
}

}  // namespace

std::vector<OwnKernels> own_calibrations(const GpuSpec& gpu) {
  std::vector<OwnKernels> own;
  if (borrows_a_name(gpu)) return own;
  if (const char* folder = std::getenv(kCalibrationsVariable); folder != nullptr && *folder != '\0') {
    for (const std::string& path : files_of(folder)) {
      const std::string text = read_file(path, kBytesMax, ExitCode::bad_data);
      // The header tells whether the rest is worth reading.
      if (!made_on(parse_calibration(std::string_view(text).substr(0, text.find('\n')), path), gpu)) continue;
      const CalibrationFile file = parse_calibration(text, path);
      own.push_back({parse_bench_fits(file), file.header, path});
    }
  }
  std::vector<std::string> names = list_calibrations();
  std::reverse(names.begin(), names.end());
  for (const std::string& name : names) {
    const CalibrationFile file = load_calibration(name);
    if (made_on(file, gpu)) own.push_back({parse_bench_fits(file), file.header, file.name, true});
  }
  return own;
}

std::vector<std::string> own_calibration_files(const StepTime& time, const std::optional<GpuSpec>& gpu) {
  std::vector<std::string> paths;
  if (!gpu || time.named()) return paths;
  for (const OwnKernels& kernels : own_calibrations(*gpu))
    if (!kernels.embedded) paths.push_back(kernels.path);
  return paths;
}

}  // namespace kvcast
