/// Encodings of Parquet pages.
/// Source: https://github.com/apache/parquet-format/blob/master/Encodings.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// As the footer numbers them; int96 and fixed_len_byte_array are not read.
enum class ParquetType : std::uint8_t {
  boolean = 0,
  int32 = 1,
  int64 = 2,
  int96 = 3,
  float32 = 4,
  float64 = 5,
  byte_array = 6,
  fixed_len_byte_array = 7,
};

/// Values of a column as a CSV file would spell them: numbers by the shortest text that reads back to the
/// same value.
struct ParquetTexts {
  std::vector<std::string> texts;
  std::size_t bytes_left = 0;  // what the texts may still take in memory

  /// \throws ParquetFault where the texts exceed their share of memory
  void add(std::string text);
};

/// Runs of equal values and bit-packed groups, low bits first, as levels and dictionary indices are stored.
/// \param width bits of a value, at most 32
/// \throws ParquetFault where fewer than `count` values are there
[[nodiscard]] std::vector<std::uint32_t> decode_hybrid(std::string_view bytes, unsigned width,
                                                       std::size_t count);

/// Decodes the `count` values of a page (nulls are not among them) with any encoding but those of
/// dictionaries. \param is_unsigned integers are read without a sign \throws ParquetFault naming an encoding
/// that is not read, or what is wrong with the bytes
void decode_values(std::string_view bytes, std::int64_t encoding, ParquetType type, bool is_unsigned,
                   std::size_t count, ParquetTexts& out);

}  // namespace kvcast
