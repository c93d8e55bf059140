/// Paths in scenarios: where they lead, and the list of what was read.
#pragma once

#include <string>
#include <vector>

#include "workloads/bytes.h"
#include "workloads/workload.h"

namespace kvcast {

/// Contract: finds files relative to the scenario's folder, then to the working directory, and notes each
/// with its hash.
class InputFiles {
 public:
  explicit InputFiles(std::string base_dir) : base_dir_(std::move(base_dir)) {}

  /// Where a path leads; a folder too.
  /// \throws InputError (bad_data) that names the places looked at
  [[nodiscard]] std::string find(const std::string& path) const;

  /// One file, noted.
  [[nodiscard]] TraceFile open(const std::string& path);
  /// A file, or the files of a folder in order of name; noted.
  [[nodiscard]] std::vector<TraceFile> open_all(const std::string& path);
  /// Text that is not a file on disk (an embedded profile), noted.
  void note(const std::string& name, const std::string& text);

  [[nodiscard]] const std::vector<InputFile>& files() const { return files_; }

 private:
  std::string base_dir_;
  std::vector<InputFile> files_;
};

}  // namespace kvcast
