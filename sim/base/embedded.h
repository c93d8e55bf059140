/// The files below configs/, carried inside the binary so that it runs with no data installed beside it.
#pragma once

#include <span>
#include <string_view>

namespace kvcast {

struct EmbeddedFile {
  std::string_view path;  // "configs/gpus/h100-sxm.yaml"
  std::string_view text;
};

/// In order of path.
[[nodiscard]] std::span<const EmbeddedFile> embedded_files();

}  // namespace kvcast
