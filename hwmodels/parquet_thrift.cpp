#include "hwmodels/parquet_thrift.h"

#include <fmt/format.h>

namespace kvcast {
namespace {

constexpr int kDepthMax = 16;

[[noreturn]] void fail_header() { throw ParquetFault{"a header is damaged (no valid Thrift structure)"}; }

ThriftType type_of(std::uint8_t code) {
  if (code > static_cast<std::uint8_t>(ThriftType::structure)) fail_header();
  return static_cast<ThriftType>(code);
}

}  // namespace

std::uint8_t ThriftReader::byte() {
  if (at_ >= bytes_.size()) throw ParquetFault{"a header ends too early"};
  return static_cast<std::uint8_t>(bytes_[at_++]);
}

std::uint64_t ThriftReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t next = byte();
    value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
    if (next < 0x80) return value;
  }
  fail_header();
}

std::int64_t ThriftReader::zigzag() {
  const std::uint64_t value = varint();
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

std::string_view ThriftReader::binary() {
  const std::uint64_t size = varint();
  if (size > bytes_.size() - at_) throw ParquetFault{"a header ends too early"};
  const std::string_view text = bytes_.substr(at_, static_cast<std::size_t>(size));
  at_ += text.size();
  return text;
}

ThriftField ThriftReader::field(const ThriftField& last) {
  const std::uint8_t head = byte();
  ThriftField field;
  field.type = type_of(head & 0x0f);
  if (field.type == ThriftType::stop) return field;
  const int step = head >> 4;
  const std::int64_t id = step > 0 ? last.id + step : zigzag();
  if (id < 0 || id > 0x7fff) fail_header();
  field.id = static_cast<std::int32_t>(id);
  return field;
}

std::size_t ThriftReader::list(const ThriftField& field, ThriftType element) {
  if (field.type != ThriftType::list) fail_header();
  const std::uint8_t head = byte();
  const std::uint64_t count = head >> 4 == 15 ? varint() : head >> 4;
  if (count > 0 && type_of(head & 0x0f) != element) fail_header();
  if (count > bytes_.size() - at_)
    throw ParquetFault{"a header ends too early"};  // an element takes a byte or more
  return static_cast<std::size_t>(count);
}

std::int64_t ThriftReader::integer(const ThriftField& field) {
  switch (field.type) {
    case ThriftType::yes:
      return 1;
    case ThriftType::no:
      return 0;
    case ThriftType::byte:
      return static_cast<std::int8_t>(byte());
    case ThriftType::int16:
    case ThriftType::int32:
    case ThriftType::int64:
      return zigzag();
    default:
      fail_header();
  }
}

std::string_view ThriftReader::text(const ThriftField& field) {
  if (field.type != ThriftType::binary) fail_header();
  return binary();
}

void ThriftReader::expect_struct(const ThriftField& field) const {
  if (field.type != ThriftType::structure) fail_header();
}

void ThriftReader::skip_container(ThriftType type, int depth) {
  if (type == ThriftType::map) {
    const std::uint64_t count = varint();
    if (count == 0) return;
    const std::uint8_t types = byte();
    if (count > bytes_.size() - at_) throw ParquetFault{"a header ends too early"};
    for (std::uint64_t i = 0; i < count; ++i) {
      skip(type_of(types >> 4), depth, false);
      skip(type_of(types & 0x0f), depth, false);
    }
    return;
  }
  const std::uint8_t head = byte();
  const std::uint64_t count = head >> 4 == 15 ? varint() : head >> 4;
  if (count > bytes_.size() - at_) throw ParquetFault{"a header ends too early"};
  for (std::uint64_t i = 0; i < count; ++i) skip(type_of(head & 0x0f), depth, false);
}

void ThriftReader::skip(ThriftType type, int depth, bool in_field) {
  if (depth > kDepthMax) fail_header();
  switch (type) {
    case ThriftType::yes:
    case ThriftType::no:
      if (!in_field) (void)byte();  // in lists and maps a boolean has a byte of its own
      return;
    case ThriftType::byte:
      (void)byte();
      return;
    case ThriftType::int16:
    case ThriftType::int32:
    case ThriftType::int64:
      (void)varint();
      return;
    case ThriftType::real:
      for (int i = 0; i < 8; ++i) (void)byte();
      return;
    case ThriftType::binary:
      (void)binary();
      return;
    case ThriftType::list:
    case ThriftType::set:
    case ThriftType::map:
      skip_container(type, depth + 1);
      return;
    case ThriftType::structure:
      for (ThriftField next, last; (next = field(last)).type != ThriftType::stop; last = next)
        skip(next.type, depth + 1, true);
      return;
    case ThriftType::stop:
      break;
  }
  fail_header();
}

}  // namespace kvcast
