/// The part of Thrift's compact protocol that Parquet's headers need.
/// Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvcast {

/// What is wrong with a part of a Parquet file, before the reader that knows the place has added it.
struct ParquetFault {
  std::string what;
};

enum class ThriftType : std::uint8_t {
  stop = 0,
  yes = 1,  // a boolean is in its type
  no = 2,
  byte = 3,
  int16 = 4,
  int32 = 5,
  int64 = 6,
  real = 7,
  binary = 8,
  list = 9,
  set = 10,
  map = 11,
  structure = 12,
};

struct ThriftField {
  std::int32_t id = 0;
  ThriftType type = ThriftType::stop;
};

/// Contract: a cursor over bytes that nobody trusts. Every read throws ParquetFault rather than pass the end;
/// nothing is allocated by a size that the bytes state. A struct is read as
///   for (ThriftField f, last; (f = reader.field(last)).type != ThriftType::stop; last = f) ...
class ThriftReader {
 public:
  explicit ThriftReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] ThriftField field(const ThriftField& last);
  /// Elements of a list whose type must be `element`. The count is never above the bytes that are left.
  [[nodiscard]] std::size_t list(const ThriftField& field, ThriftType element);
  [[nodiscard]] std::int64_t integer(const ThriftField& field);
  [[nodiscard]] std::string_view text(const ThriftField& field);
  [[nodiscard]] std::string_view element_text() { return binary(); }
  void expect_struct(const ThriftField& field) const;
  /// Passes over a value of any type.
  void skip(const ThriftField& field) { skip(field.type, 0, true); }

  [[nodiscard]] std::size_t position() const { return at_; }

 private:
  [[nodiscard]] std::uint8_t byte();
  [[nodiscard]] std::uint64_t varint();
  [[nodiscard]] std::int64_t zigzag();
  [[nodiscard]] std::string_view binary();
  void skip(ThriftType type, int depth, bool in_field);
  void skip_container(ThriftType type, int depth);

  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace kvcast
