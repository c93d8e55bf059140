/// CSV files with a header line: numbers by column name. No quoting of commas: the traces of the field have
/// none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/lines.h"

namespace kvcast {

/// Contract: rows of a CSV file, one at a time, in constant memory.
class CsvReader {
 public:
  /// \param columns names that the header must have, in the order of the indices below
  /// \throws InputError (bad_data) if the file is empty or a column is missing
  CsvReader(const TraceFile& file, const std::vector<std::string>& columns);

  /// Moves to the next row; false at the end.
  /// \throws InputError (bad_data) if it has more or fewer fields than the header
  [[nodiscard]] bool next();
  [[nodiscard]] std::string_view field(std::size_t column) const { return fields_[wanted_[column]]; }
  /// A token count of the current row, 0 to kTokensMax.
  [[nodiscard]] std::int64_t tokens(std::size_t column) const;
  [[noreturn]] void fail(std::size_t column, const std::string& message) const;

 private:
  void split();

  LineReader lines_;
  std::vector<std::string> names_;
  std::vector<std::size_t> wanted_;
  std::size_t header_fields_ = 0;
  std::vector<std::string_view> fields_;
};

/// The names in a CSV header line, for telling formats apart.
[[nodiscard]] std::vector<std::string_view> csv_header(std::string_view head);

}  // namespace kvcast
