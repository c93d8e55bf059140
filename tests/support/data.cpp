#include "tests/support/data.h"

#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace kvcast::test {

std::optional<std::filesystem::path> data_folder(const std::string& relative) {
  const char* variable = std::getenv("KVCAST_DATA");
  const std::filesystem::path root =
      variable != nullptr ? variable : std::filesystem::path(KVCAST_SOURCE_DIR) / "../shared/data";
  if (std::filesystem::exists(root / relative)) return root / relative;
  std::printf("skipped: %s is not there (set KVCAST_DATA)\n", (root / relative).c_str());
  return std::nullopt;
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder, const std::string& ending) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename().string().ends_with(ending))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> gzip_lines(const std::filesystem::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot open " + path.string());
  std::vector<std::string> lines;
  std::string rest;
  char buffer[1 << 16];
  for (int n = 0; (n = gzread(file, buffer, sizeof buffer)) > 0;) {
    rest.append(buffer, static_cast<std::size_t>(n));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      lines.push_back(rest.substr(begin, end - begin));
    }
    rest.erase(0, begin);
  }
  gzclose(file);
  if (!rest.empty()) lines.push_back(rest);
  return lines;
}

}  // namespace kvcast::test
