/// The headers of a Parquet file, as far as reading flat tables needs them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/parquet_values.h"

namespace kvcast {

struct ParquetColumn {
  std::string name;
  ParquetType type = ParquetType::int64;
  bool optional = false;
  bool is_unsigned = false;
};

/// One column of one row group.
struct ParquetChunk {
  ParquetType type = ParquetType::int64;
  std::int64_t codec = 0;
  std::int64_t values = 0;
  std::int64_t bytes = 0;  // its pages, compressed
  std::int64_t data_offset = 0;
  std::int64_t dictionary_offset = 0;  // 0: none
};

struct ParquetRowGroup {
  std::int64_t rows = 0;
  std::vector<ParquetChunk> chunks;  // one a column, in their order
};

struct ParquetFooter {
  std::vector<ParquetColumn> columns;
  std::vector<ParquetRowGroup> groups;
};

enum class ParquetPageKind : std::uint8_t { data, index, dictionary, data_v2 };

struct ParquetPage {
  ParquetPageKind kind = ParquetPageKind::data;
  std::int64_t bytes = 0;             // uncompressed
  std::int64_t bytes_compressed = 0;  // what follows the header
  std::int64_t values = 0;            // nulls included
  std::int64_t encoding = 0;
  std::int64_t level_encoding = 3;    // of definition levels, v1
  std::int64_t definition_bytes = 0;  // v2
  std::int64_t repetition_bytes = 0;  // v2
  bool compressed = true;             // v2
  std::size_t header_bytes = 0;
};

/// \throws ParquetFault for damage, and for what is not read, naming the column
[[nodiscard]] ParquetFooter read_parquet_footer(std::string_view metadata);
/// The header at the beginning of `bytes`. \throws ParquetFault
[[nodiscard]] ParquetPage read_parquet_page(std::string_view bytes);

}  // namespace kvcast
