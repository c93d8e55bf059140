#include "hwmodels/parquet.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "hwmodels/parquet_codec.h"
#include "hwmodels/parquet_footer.h"
#include "hwmodels/parquet_thrift.h"
#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

constexpr std::string_view kMagic = "PAR1";
constexpr std::uint32_t kNull = std::numeric_limits<std::uint32_t>::max();

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
  return value;
}

/// The Thrift structure between the pages and the file's end. \throws ParquetFault
std::string_view footer_bytes(std::string_view file) {
  if (file.size() < 12 || !file.starts_with(kMagic)) {
    throw ParquetFault{file.starts_with("PARE") ? "encrypted files are not read"
                                                : "no Parquet file (it does not begin with PAR1)"};
  }
  if (file.ends_with("PARE")) throw ParquetFault{"encrypted files are not read"};
  if (!file.ends_with(kMagic)) throw ParquetFault{"the file is cut off (it does not end with PAR1)"};
  const std::uint64_t size = little_endian(file.substr(file.size() - 8, 4));
  if (size > file.size() - 12) throw ParquetFault{"the file is damaged (its footer does not fit into it)"};
  return file.substr(file.size() - 8 - static_cast<std::size_t>(size), static_cast<std::size_t>(size));
}

/// One column of a row group, decoded: rows point into the texts, dictionaries are kept once.
struct Column {
  ParquetTexts values;
  std::vector<std::uint32_t> rows;

  [[nodiscard]] std::string_view cell(std::size_t row) const {
    return rows[row] == kNull ? std::string_view() : std::string_view(values.texts[rows[row]]);
  }
};

/// Decodes one chunk, page by page.
class ChunkReader {
 public:
  ChunkReader(std::string_view file, const ParquetColumn& column, const ParquetChunk& chunk,
              const ParquetLimits& limits)
      : column_(column), chunk_(chunk), limits_(limits) {
    const bool has_dictionary = chunk.dictionary_offset > 0 && chunk.dictionary_offset < chunk.data_offset;
    const std::int64_t begin = has_dictionary ? chunk.dictionary_offset : chunk.data_offset;
    const auto size = static_cast<std::int64_t>(file.size());
    if (begin < 4 || begin > size || chunk.bytes < 0 || chunk.bytes > size - begin)
      throw ParquetFault{"the pages are not inside the file"};
    pages_ = file.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(chunk.bytes));
    if (chunk.type != column.type) throw ParquetFault{"the type is not that of the schema"};
  }

  /// \param text_bytes that all values may take
  [[nodiscard]] Column read(std::size_t rows, std::size_t text_bytes) {
    result_.values.bytes_left = text_bytes;
    while (result_.rows.size() < rows) {
      if (pages_.empty()) throw ParquetFault{"there are fewer rows than the footer states"};
      const ParquetPage page = read_parquet_page(pages_);
      pages_.remove_prefix(page.header_bytes);
      if (page.bytes_compressed > static_cast<std::int64_t>(pages_.size()))
        throw ParquetFault{"a page is cut off"};
      if (page.bytes > static_cast<std::int64_t>(limits_.page_bytes_max))
        throw ParquetFault{
            fmt::format("a page of {} bytes is not read (at most {})", page.bytes, limits_.page_bytes_max)};
      const std::string_view body = pages_.substr(0, static_cast<std::size_t>(page.bytes_compressed));
      pages_.remove_prefix(body.size());
      take_page(page, body, rows - result_.rows.size());
    }
    return std::move(result_);
  }

 private:
  void take_page(const ParquetPage& page, std::string_view body, std::size_t rows_left) {
    switch (page.kind) {
      case ParquetPageKind::index:
        return;
      case ParquetPageKind::dictionary:
        if (has_dictionary_ || !result_.rows.empty()) throw ParquetFault{"a second dictionary"};
        if (page.encoding != 0 && page.encoding != 2)
          throw ParquetFault{
              fmt::format("a dictionary in the encoding {} is not read (known: PLAIN)", page.encoding)};
        if (page.values > static_cast<std::int64_t>(limits_.cells_max))
          throw ParquetFault{"a dictionary that is too large"};
        decode_values(decompress_page(chunk_.codec, body, static_cast<std::size_t>(page.bytes)), 0,
                      column_.type, column_.is_unsigned, static_cast<std::size_t>(page.values),
                      result_.values);
        has_dictionary_ = true;
        dictionary_size_ = result_.values.texts.size();
        return;
      case ParquetPageKind::data:
      case ParquetPageKind::data_v2:
        if (page.values > static_cast<std::int64_t>(rows_left))
          throw ParquetFault{"there are more rows than the footer states"};
        if (page.kind == ParquetPageKind::data) return take_data(page, body);
        return take_data_v2(page, body);
    }
  }

  void take_data(const ParquetPage& page, std::string_view body) {
    const std::string bytes = decompress_page(chunk_.codec, body, static_cast<std::size_t>(page.bytes));
    std::string_view rest = bytes;
    std::string_view levels;
    if (column_.optional) {
      if (page.level_encoding != 3)
        throw ParquetFault{"definition levels in an encoding other than RLE are not read"};
      if (rest.size() < 4 || little_endian(rest.substr(0, 4)) > rest.size() - 4)
        throw ParquetFault{"a page is cut off"};
      levels = rest.substr(4, static_cast<std::size_t>(little_endian(rest.substr(0, 4))));
      rest.remove_prefix(4 + levels.size());
    }
    take_values(page, levels, rest);
  }

  void take_data_v2(const ParquetPage& page, std::string_view body) {
    if (page.repetition_bytes != 0) throw ParquetFault{"repetition levels in a flat column"};
    if (page.definition_bytes > static_cast<std::int64_t>(body.size()) || page.definition_bytes > page.bytes)
      throw ParquetFault{"a page is cut off"};
    const auto level_bytes = static_cast<std::size_t>(page.definition_bytes);
    const std::string bytes = decompress_page(page.compressed ? chunk_.codec : 0, body.substr(level_bytes),
                                              static_cast<std::size_t>(page.bytes) - level_bytes);
    take_values(page, body.substr(0, level_bytes), bytes);
  }

  void take_values(const ParquetPage& page, std::string_view levels, std::string_view bytes) {
    const auto rows = static_cast<std::size_t>(page.values);
    std::vector<std::uint32_t> defined(rows, 1);
    if (column_.optional) defined = decode_hybrid(levels, 1, rows);
    const auto present = static_cast<std::size_t>(std::count(defined.begin(), defined.end(), 1U));
    std::vector<std::uint32_t> at;
    if (page.encoding == 2 || page.encoding == 8) {
      if (!has_dictionary_) throw ParquetFault{"a page refers to a dictionary that is not there"};
      if (present > 0) {
        if (bytes.empty()) throw ParquetFault{"a page is cut off"};
        at = decode_hybrid(bytes.substr(1), static_cast<std::uint8_t>(bytes.front()), present);
      }
      for (const std::uint32_t index : at) {
        if (index >= dictionary_size_) throw ParquetFault{"a value refers past the end of the dictionary"};
      }
    } else {
      auto next = static_cast<std::uint32_t>(result_.values.texts.size());
      decode_values(bytes, page.encoding, column_.type, column_.is_unsigned, present, result_.values);
      at.resize(present);
      for (std::uint32_t& index : at) index = next++;
    }
    std::size_t taken = 0;
    for (const std::uint32_t is_there : defined) result_.rows.push_back(is_there == 1 ? at[taken++] : kNull);
  }

  const ParquetColumn& column_;
  const ParquetChunk& chunk_;
  const ParquetLimits& limits_;
  std::string_view pages_;
  Column result_;
  bool has_dictionary_ = false;
  std::size_t dictionary_size_ = 0;
};

}  // namespace

struct ParquetTable::File {
  std::string name;
  std::string bytes;
  ParquetLimits limits;
  ParquetFooter footer;
  std::vector<std::string> columns;

  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("{}: {}", name, what), ExitCode::bad_data);
  }

  [[nodiscard]] std::vector<Column> read_group(std::size_t number) const {
    const ParquetRowGroup& group = footer.groups[number];
    if (group.chunks.size() != columns.size())
      fail(fmt::format("row group {}: it does not have every column", number + 1));
    if (group.rows < 0 || group.rows > static_cast<std::int64_t>(limits.cells_max / columns.size())) {
      fail(fmt::format(
          "row group {}: {} rows of {} columns are not read (at most {} cells); write smaller row groups",
          number + 1, group.rows, columns.size(), limits.cells_max));
    }
    std::vector<Column> result;
    std::size_t text_bytes = limits.text_bytes_max;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      try {
        ChunkReader reader(bytes, footer.columns[i], group.chunks[i], limits);
        result.push_back(reader.read(static_cast<std::size_t>(group.rows), text_bytes));
        text_bytes = result.back().values.bytes_left;
      } catch (const ParquetFault& fault) {
        fail(fmt::format("row group {}, column {}: {}", number + 1, quoted(columns[i]), fault.what));
      }
    }
    return result;
  }
};

ParquetTable::ParquetTable(std::string name, std::string bytes, ParquetLimits limits) {
  auto file = std::make_unique<File>();
  file->name = std::move(name);
  file->bytes = std::move(bytes);
  file->limits = limits;
  try {
    file->footer = read_parquet_footer(footer_bytes(file->bytes));
  } catch (const ParquetFault& fault) {
    file->fail(fault.what);
  }
  for (const ParquetColumn& column : file->footer.columns) file->columns.push_back(column.name);
  file_ = std::move(file);
}

ParquetTable::~ParquetTable() = default;

const std::vector<std::string>& ParquetTable::columns() const { return file_->columns; }

void ParquetTable::each(const RowTaker& row) const {
  std::int64_t number = 0;
  std::vector<std::string_view> cells(file_->columns.size());
  for (std::size_t i = 0; i < file_->footer.groups.size(); ++i) {
    const std::vector<Column> columns = file_->read_group(i);
    const std::size_t rows = columns.front().rows.size();
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns.size(); ++c) cells[c] = columns[c].cell(r);
      if (!row(cells, ++number)) return;
    }
  }
}

}  // namespace kvcast
