/// The files of reports/web, carried inside the binary: the style sheet, the script, and uPlot (MIT).
#pragma once

#include <span>

#include "sim/base/embedded.h"

namespace kvcast {

/// In order of path.
[[nodiscard]] std::span<const EmbeddedFile> web_files();

}  // namespace kvcast
