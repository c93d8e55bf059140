/// Test data outside the repository: $KVCAST_DATA, else ../shared/data beside the project's root.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kvcast::test {

/// A folder or file of the data, or nothing (said on stdout) when the data is not there.
[[nodiscard]] std::optional<std::filesystem::path> data_folder(const std::string& relative);

/// Regular files directly in `folder` whose name ends so, in order of name.
[[nodiscard]] std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                                          const std::string& ending);

/// Lines of a gzip or plain text file.
[[nodiscard]] std::vector<std::string> gzip_lines(const std::filesystem::path& path);

}  // namespace kvcast::test
