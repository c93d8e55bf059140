#include "reports/text_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"

namespace kvcast {
namespace {

constexpr std::size_t kRemarkColumn = 52;  // one right of the 50 columns that vllm bench serve fills

}  // namespace

std::string TextTable::styled(const char* style, const std::string& text) const {
  return color_ && *style != '\0' ? fmt::format("\033[{}m{}\033[0m", style, text) : text;
}

void TextTable::section(const std::string& title, char fill, const std::string& remark) {
  const std::string bar(title.size() < 50 ? 50 - title.size() : 0, fill);
  text_ += styled(kBold, bar.substr(0, bar.size() / 2) + title + bar.substr(bar.size() / 2));
  with_remark(std::max<std::size_t>(title.size(), 50), remark);
}

void TextTable::line(const std::string& label, const std::string& value, const std::string& remark) {
  const std::string head = fmt::format("{:<40} {}", label, value);
  text_ += head;
  with_remark(head.size(), remark);
}

/// Ends the line that stands at `column`. Every line of the remark is styled by itself, so that colour never
/// reaches the margin.
void TextTable::with_remark(std::size_t column, const std::string& remark) {
  const std::size_t margin = std::max(column + 1, kRemarkColumn);
  std::size_t gap = margin - column;
  const std::string broken = remark.empty() ? "" : wrapped(remark, kColumnsMax - margin, 0);
  for (std::size_t begin = 0; begin < broken.size();) {
    const std::size_t end = std::min(broken.find('\n', begin), broken.size());
    if (begin > 0) text_ += '\n';
    text_ += std::string(gap, ' ') + styled(kDim, broken.substr(begin, end - begin));
    gap = margin;
    begin = end + 1;
  }
  text_ += '\n';
}

void TextTable::rule() { text_ += styled(kBold, std::string(50, '=')) + '\n'; }

void TextTable::paragraph(const std::string& text, const char* style, std::size_t indent) {
  text_ += styled(style, wrapped(text, kColumnsMax, indent)) + '\n';
}

}  // namespace kvcast
