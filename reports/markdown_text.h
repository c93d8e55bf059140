/// Text for GitHub-flavoured Markdown.
#pragma once

#include <string>

namespace kvcast {

/// A table cell: no bar may end it early, no line break may end the row, no tag or emphasis may start in it.
[[nodiscard]] std::string markdown_cell(const std::string& text);

}  // namespace kvcast
