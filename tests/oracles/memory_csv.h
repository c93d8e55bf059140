/// CSV tables of the test data: header names, quoted fields.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/data.h"

namespace kvcast::test {

using CsvRow = std::map<std::string, std::string>;

/// Fields of one line; a field in double quotes may hold commas and doubled quotes.
inline std::vector<std::string> csv_fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += '"';
        ++i;
      } else {
        quoted = !quoted;
      }
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

/// Rows of a plain or gzip CSV whose first line names the columns.
inline std::vector<CsvRow> csv_rows(const std::filesystem::path& path) {
  const std::vector<std::string> lines = gzip_lines(path);
  std::vector<CsvRow> rows;
  const std::vector<std::string> names = csv_fields(lines.at(0));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> fields = csv_fields(lines[i]);
    CsvRow row;
    for (std::size_t k = 0; k < names.size() && k < fields.size(); ++k) row[names[k]] = fields[k];
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace kvcast::test
