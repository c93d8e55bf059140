/// A place for a test's files.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "sim/base/error.h"

namespace kvcast::test {

/// An empty folder of its own, gone with what is in it at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const std::string unique(6, 'X');  // what mkdtemp replaces
    std::string name = (std::filesystem::temp_directory_path() / ("kvcast-test-" + unique)).string();
    KVCAST_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
  /// Entries in it.
  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace kvcast::test
