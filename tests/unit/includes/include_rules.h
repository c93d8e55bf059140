// Who may include whom: ARCHITECTURE.md's table as data, and the check of one file's #include
// lines against it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// One #include line.
struct IncludeLine {
  int line = 0;
  std::string path;     // between the quotes or angle brackets
  bool quoted = false;  // "path" rather than <path>
};

/// The #include lines of a source text, those in comments and raw strings left out.
[[nodiscard]] std::vector<IncludeLine> include_lines(std::string_view text);

/// What is wrong with the includes of `file` (path from the repository's root): "file:line: message" each,
/// none when all is well.
[[nodiscard]] std::vector<std::string> check_includes(std::string_view file, std::string_view text);

}  // namespace kvcast
