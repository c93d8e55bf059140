#include "reports/markdown_text.h"

namespace kvcast {

std::string markdown_cell(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      result += ' ';
      continue;
    }
    if (c == '|' || c == '<' || c == '*' || c == '_' || c == '`' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace kvcast
