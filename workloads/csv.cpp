#include "workloads/csv.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/text.h"
#include "workloads/numbers.h"

namespace kvcast {
namespace {

/// Without the spaces around it and one pair of double quotes.
std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return text.substr(0, 0);
  text = text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

void split_fields(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  while (true) {
    const std::size_t comma = line.find(',');
    fields.push_back(trimmed(line.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
}

}  // namespace

CsvReader::CsvReader(const TraceFile& file, const std::vector<std::string>& columns)
    : lines_(file), names_(columns) {
  if (!lines_.next()) bad_trace(file.name, 1, 1, "empty: a header line is needed");
  split_fields(lines_.text(), fields_);
  header_fields_ = fields_.size();
  const std::vector<std::string> header(fields_.begin(), fields_.end());
  for (const std::string& name : columns) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) lines_.fail("no column " + quoted(name) + known_names(name, header));
    wanted_.push_back(static_cast<std::size_t>(found - header.begin()));
  }
}

bool CsvReader::next() {
  if (!lines_.next()) return false;
  split_fields(lines_.text(), fields_);
  if (fields_.size() != header_fields_) {
    lines_.fail("this row has " + std::to_string(fields_.size()) + " fields, the header has " +
                std::to_string(header_fields_));
  }
  return true;
}

std::int64_t CsvReader::tokens(std::size_t column) const {
  const auto parsed = parse_count(field(column));
  if (!parsed || *parsed > kTokensMax) {
    fail(column, quoted(field(column)) + " is given, a whole number from 0 to " + std::to_string(kTokensMax) +
                     " is needed");
  }
  return *parsed;
}

void CsvReader::fail(std::size_t column, const std::string& message) const {
  lines_.fail(field(column).data(), names_[column] + ": " + message);
}

std::vector<std::string_view> csv_header(std::string_view head) {
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);
  head = head.substr(0, head.find('\n'));
  if (head.ends_with('\r')) head.remove_suffix(1);
  std::vector<std::string_view> fields;
  split_fields(head, fields);
  return fields;
}

}  // namespace kvcast
