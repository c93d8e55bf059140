#include "hwmodels/parquet_footer.h"

#include <fmt/format.h>

#include <array>

#include "hwmodels/parquet_thrift.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

constexpr std::size_t kColumnsMax = 4096;

/// Calls take(reader, field) for every field of a struct; what it does not take (false) is passed over.
template <class Take>
void each_field(ThriftReader& reader, const Take& take) {
  for (ThriftField field, last; (field = reader.field(last)).type != ThriftType::stop; last = field) {
    if (!take(field)) reader.skip(field);
  }
}

/// A column or a group of columns of the schema.
struct SchemaElement {
  std::string name;
  std::int64_t type = -1;
  std::int64_t repetition = 0;  // 0 required, 1 optional, 2 repeated
  std::int64_t children = 0;
  std::int64_t converted = -1;
  std::int64_t logical = 0;  // the field of the LogicalType that is set
  bool logical_signed = true;
};

void read_logical(ThriftReader& reader, SchemaElement& element) {
  each_field(reader, [&](const ThriftField& field) {
    element.logical = field.id;
    constexpr std::int32_t kInteger = 10;
    if (field.id != kInteger) return false;
    reader.expect_struct(field);
    each_field(reader, [&](const ThriftField& part) {
      if (part.id != 2) return false;
      element.logical_signed = reader.integer(part) != 0;
      return true;
    });
    return true;
  });
}

SchemaElement read_element(ThriftReader& reader) {
  SchemaElement element;
  each_field(reader, [&](const ThriftField& field) {
    switch (field.id) {
      case 1:
        element.type = reader.integer(field);
        return true;
      case 3:
        element.repetition = reader.integer(field);
        return true;
      case 4:
        element.name = std::string(reader.text(field));
        return true;
      case 5:
        element.children = reader.integer(field);
        return true;
      case 6:
        element.converted = reader.integer(field);
        return true;
      case 10:
        reader.expect_struct(field);
        read_logical(reader, element);
        return true;
      default:
        return false;
    }
  });
  return element;
}

/// What a column means beyond its physical type, where that is not read; empty otherwise.
std::string_view unread_meaning(const SchemaElement& element) {
  constexpr std::array<std::string_view, 22> kConverted = {
      "", "MAP", "MAP", "LIST", "", "DECIMAL", "DATE", "TIME", "TIME", "TIMESTAMP", "TIMESTAMP",
      "", "",    "",    "",     "", "",        "",     "",     "",     "BSON",      "INTERVAL"};
  constexpr std::array<std::string_view, 16> kLogical = {
      "",          "",         "MAP", "LIST", "", "DECIMAL", "DATE", "TIME",
      "TIMESTAMP", "INTERVAL", "",    "",     "", "BSON",    "UUID", "FLOAT16"};
  std::string_view meaning;
  if (element.converted >= 0 && element.converted < static_cast<std::int64_t>(kConverted.size()))
    meaning = kConverted[static_cast<std::size_t>(element.converted)];
  if (element.logical >= static_cast<std::int64_t>(kLogical.size()))
    return "a logical type that is not known";
  return element.logical > 0 ? kLogical[static_cast<std::size_t>(element.logical)] : meaning;
}

ParquetColumn column_of(const SchemaElement& element) {
  constexpr const char* kRead =
      "read are flat columns of BOOLEAN, INT32, INT64, FLOAT, DOUBLE and texts; cast or leave out this one";
  const auto refuse = [&](std::string_view what) {
    throw ParquetFault{fmt::format("column {}: {} is not read ({})", quoted(element.name), what, kRead)};
  };
  if (element.children != 0 || element.type < 0) refuse("a nested column (a struct, list or map)");
  if (element.repetition == 2) refuse("a repeated column");
  if (const std::string_view meaning = unread_meaning(element); !meaning.empty()) refuse(meaning);
  if (element.type == 3) refuse("INT96 (an old form of time stamps)");
  if (element.type > 6) refuse("FIXED_LEN_BYTE_ARRAY");
  ParquetColumn column;
  column.name = element.name;
  column.type = static_cast<ParquetType>(element.type);
  column.optional = element.repetition == 1;
  column.is_unsigned = (element.converted >= 11 && element.converted <= 14) || !element.logical_signed;
  return column;
}

std::vector<ParquetColumn> read_schema(ThriftReader& reader, const ThriftField& field) {
  const std::size_t count = reader.list(field, ThriftType::structure);
  if (count == 0) throw ParquetFault{"the schema is empty"};
  if (count > kColumnsMax) throw ParquetFault{fmt::format("more than {} columns are not read", kColumnsMax)};
  const SchemaElement root = read_element(reader);
  std::vector<ParquetColumn> columns;
  for (std::size_t i = 1; i < count; ++i) columns.push_back(column_of(read_element(reader)));
  if (root.children != static_cast<std::int64_t>(columns.size())) throw ParquetFault{"the schema is damaged"};
  return columns;
}

ParquetChunk read_chunk_metadata(ThriftReader& reader) {
  ParquetChunk chunk;
  std::int64_t type = -1;
  each_field(reader, [&](const ThriftField& field) {
    switch (field.id) {
      case 1:
        type = reader.integer(field);
        return true;
      case 4:
        chunk.codec = reader.integer(field);
        return true;
      case 5:
        chunk.values = reader.integer(field);
        return true;
      case 7:
        chunk.bytes = reader.integer(field);
        return true;
      case 9:
        chunk.data_offset = reader.integer(field);
        return true;
      case 11:
        chunk.dictionary_offset = reader.integer(field);
        return true;
      default:
        return false;
    }
  });
  if (type < 0 || type > 7) throw ParquetFault{"a column chunk has no valid type"};
  chunk.type = static_cast<ParquetType>(type);
  return chunk;
}

ParquetChunk read_chunk(ThriftReader& reader) {
  ParquetChunk chunk;
  bool found = false;
  each_field(reader, [&](const ThriftField& field) {
    if (field.id == 1) throw ParquetFault{"columns in other files are not read"};
    if (field.id == 8 || field.id == 9) throw ParquetFault{"encrypted columns are not read"};
    if (field.id != 3) return false;
    reader.expect_struct(field);
    chunk = read_chunk_metadata(reader);
    found = true;
    return true;
  });
  if (!found) throw ParquetFault{"a column chunk has no metadata"};
  return chunk;
}

ParquetRowGroup read_group(ThriftReader& reader) {
  ParquetRowGroup group;
  each_field(reader, [&](const ThriftField& field) {
    if (field.id == 1) {
      const std::size_t count = reader.list(field, ThriftType::structure);
      for (std::size_t i = 0; i < count; ++i) group.chunks.push_back(read_chunk(reader));
      return true;
    }
    if (field.id != 3) return false;
    group.rows = reader.integer(field);
    return true;
  });
  return group;
}

void read_data_header(ThriftReader& reader, ParquetPage& page) {
  each_field(reader, [&](const ThriftField& field) {
    if (field.id == 1) {
      page.values = reader.integer(field);
    } else if (field.id == 2) {
      page.encoding = reader.integer(field);
    } else if (field.id == 3 && page.kind == ParquetPageKind::data) {
      page.level_encoding = reader.integer(field);
    } else {
      return false;
    }
    return true;
  });
}

void read_data_header_v2(ThriftReader& reader, ParquetPage& page) {
  each_field(reader, [&](const ThriftField& field) {
    switch (field.id) {
      case 1:
        page.values = reader.integer(field);
        return true;
      case 4:
        page.encoding = reader.integer(field);
        return true;
      case 5:
        page.definition_bytes = reader.integer(field);
        return true;
      case 6:
        page.repetition_bytes = reader.integer(field);
        return true;
      case 7:
        page.compressed = reader.integer(field) != 0;
        return true;
      default:
        return false;
    }
  });
}

}  // namespace

ParquetFooter read_parquet_footer(std::string_view metadata) {
  ThriftReader reader(metadata);
  ParquetFooter footer;
  each_field(reader, [&](const ThriftField& field) {
    if (field.id == 2) {
      footer.columns = read_schema(reader, field);
      return true;
    }
    if (field.id == 8) throw ParquetFault{"encrypted files are not read"};
    if (field.id != 4) return false;
    const std::size_t count = reader.list(field, ThriftType::structure);
    for (std::size_t i = 0; i < count; ++i) footer.groups.push_back(read_group(reader));
    return true;
  });
  if (footer.columns.empty()) throw ParquetFault{"the table has no columns"};
  return footer;
}

ParquetPage read_parquet_page(std::string_view bytes) {
  ThriftReader reader(bytes);
  ParquetPage page;
  std::int64_t kind = -1;
  each_field(reader, [&](const ThriftField& field) {
    switch (field.id) {
      case 1:
        kind = reader.integer(field);
        if (kind < 0 || kind > 3) throw ParquetFault{"a page is of no known kind"};
        page.kind = static_cast<ParquetPageKind>(kind);
        return true;
      case 2:
        page.bytes = reader.integer(field);
        return true;
      case 3:
        page.bytes_compressed = reader.integer(field);
        return true;
      case 5:
      case 7:
        reader.expect_struct(field);
        read_data_header(reader, page);
        return true;
      case 8:
        reader.expect_struct(field);
        read_data_header_v2(reader, page);
        return true;
      default:
        return false;
    }
  });
  if (kind < 0 || page.bytes < 0 || page.bytes_compressed < 0 || page.values < 0 ||
      page.definition_bytes < 0 || page.repetition_bytes < 0)
    throw ParquetFault{"the header of a page is damaged"};
  page.header_bytes = reader.position();
  return page;
}

}  // namespace kvcast
