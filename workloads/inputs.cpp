#include "workloads/inputs.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "sim/base/error.h"
#include "sim/base/hash.h"

namespace kvcast {
namespace fs = std::filesystem;

std::string InputFiles::find(const std::string& path) const {
  std::error_code ignored;
  if (!base_dir_.empty() && fs::path(path).is_relative()) {
    const fs::path beside = fs::path(base_dir_) / path;
    if (fs::exists(beside, ignored)) return beside.string();
  }
  if (fs::exists(path, ignored)) return path;
  const bool two_places = !base_dir_.empty() && fs::path(path).is_relative();
  throw InputError(
      path + ": no such file" +
          (two_places ? " beside the scenario (in " + base_dir_ + ") or in the working directory" : ""),
      ExitCode::bad_data);
}

TraceFile InputFiles::open(const std::string& path) {
  const std::string found = find(path);
  files_.push_back({path, file_hash(found)});
  return file_on_disk(found);
}

std::vector<TraceFile> InputFiles::open_all(const std::string& path) {
  const std::string found = find(path);
  if (!fs::is_directory(found)) return {open(path)};
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(found)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  if (names.empty()) throw InputError(found + ": a folder without files", ExitCode::bad_data);
  std::vector<TraceFile> files;
  files.reserve(names.size());
  for (const std::string& name : names) files.push_back(open((fs::path(path) / name).string()));
  return files;
}

void InputFiles::note(const std::string& name, const std::string& text) {
  files_.push_back({name, content_hash(text)});
}

}  // namespace kvcast
