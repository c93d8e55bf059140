#include "reports/sweep_report.h"

namespace kvcast {
namespace {

void add_row(std::string& text, const std::vector<std::string>& cells) {
  bool first = true;
  for (const std::string& cell : cells) {
    if (!first) text += ',';
    first = false;
    if (cell.find_first_of(",\"\r\n") == std::string::npos) {
      text += cell;
      continue;
    }
    text += '"';
    for (const char c : cell) text += c == '"' ? std::string("\"\"") : std::string(1, c);
    text += '"';
  }
  text += '\n';
}

}  // namespace

std::string to_csv(const SweepTable& table) {
  std::string text;
  std::vector<std::string> names;
  for (const SweepColumn& column : table.columns) names.push_back(column.name);
  add_row(text, names);
  for (const std::vector<std::string>& row : table.rows) add_row(text, row);
  return text;
}

}  // namespace kvcast
