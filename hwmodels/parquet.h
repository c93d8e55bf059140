/// Flat tables in Apache Parquet files, read without a library: what pandas, polars, DuckDB and Arrow write
/// of tables of kernel timings. Source: https://github.com/apache/parquet-format (README.md,
/// src/main/thrift/parquet.thrift)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// What a file may ask for, whatever its headers state.
struct ParquetLimits {
  std::size_t page_bytes_max = std::size_t{128} << 20;  // of one page, uncompressed
  std::size_t cells_max = std::size_t{1} << 25;         // of one row group
  std::size_t text_bytes_max = std::size_t{512} << 20;  // of one row group's values
};

/// Contract: opening reads the footer and refuses what is not read (nested columns, types, encryption) before
/// any row; each() hands out the rows in order, one row group in memory at a time. A cell is the text that a
/// CSV file of the table would hold; a null is empty.
///
/// Read: columns of BOOLEAN, INT32, INT64, FLOAT, DOUBLE and BYTE_ARRAY (texts), required or optional; data
/// pages v1 and v2 with dictionaries, codecs and encodings as parquet_codec.h and parquet_values.h say.
/// \throws InputError (exit code 4) "name: row group 2, column x: what, and what is read"
class ParquetTable {
 public:
  ParquetTable(std::string name, std::string bytes, ParquetLimits limits = {});
  ~ParquetTable();
  ParquetTable(const ParquetTable&) = delete;
  ParquetTable& operator=(const ParquetTable&) = delete;

  [[nodiscard]] const std::vector<std::string>& columns() const;

  /// \param row is given a row's cells, valid during the call, and its number, the first is 1; false ends it
  using RowTaker = std::function<bool(const std::vector<std::string_view>& cells, std::int64_t number)>;
  void each(const RowTaker& row) const;

 private:
  struct File;
  std::unique_ptr<const File> file_;
};

}  // namespace kvcast
