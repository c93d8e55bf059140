#include "reports/csv_text.h"
#include "reports/sweep_report.h"

namespace kvcast {

std::string to_csv(const SweepTable& table) {
  std::string text;
  std::vector<std::string> names;
  for (const SweepColumn& column : table.columns) names.push_back(column.name);
  add_csv_row(text, names);
  for (const std::vector<std::string>& row : table.rows) add_csv_row(text, row);
  return text;
}

}  // namespace kvcast
