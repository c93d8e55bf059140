#include "sim/base/file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace kvcast {

std::string read_file(const std::string& path, std::size_t bytes_max, ExitCode code) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (file == nullptr) throw InputError(path + ": cannot be opened: " + std::strerror(errno), code);
  std::string text;
  char buffer[65536];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, got);
    if (text.size() > bytes_max) {
      throw InputError(path + ": is larger than the " + std::to_string(bytes_max) + " bytes allowed here",
                       code);
    }
  }
  if (std::ferror(file.get()) != 0)
    throw InputError(path + ": cannot be read: " + std::strerror(errno), code);
  return text;
}

}  // namespace kvcast
