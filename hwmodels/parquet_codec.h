/// Compression codecs of Parquet pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvcast {

/// \param codec as Parquet's footer numbers it (0 UNCOMPRESSED, 1 SNAPPY, 2 GZIP, 6 ZSTD, 7 LZ4_RAW)
/// \param size of the result; other results are errors, so that no page expands past what was checked
/// \throws ParquetFault naming a codec that is not read, or what is wrong with the bytes
/// Source: https://github.com/apache/parquet-format/blob/master/Compression.md
[[nodiscard]] std::string decompress_page(std::int64_t codec, std::string_view bytes, std::size_t size);

}  // namespace kvcast
