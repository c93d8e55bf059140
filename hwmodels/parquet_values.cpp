#include "hwmodels/parquet_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "hwmodels/parquet_thrift.h"

namespace kvcast {
namespace {

constexpr std::size_t kTextBytesMax = 4096;

[[noreturn]] void fail_short() { throw ParquetFault{"a page holds fewer values than its header states"}; }

std::string_view take(std::string_view& bytes, std::size_t size) {
  if (size > bytes.size()) fail_short();
  const std::string_view taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return taken;
}

std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto next = static_cast<std::uint8_t>(take(bytes, 1).front());
    value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
    if (next < 0x80) return value;
  }
  throw ParquetFault{"a page is damaged (a number does not end)"};
}

std::uint64_t unzigzag(std::uint64_t value) { return (value >> 1) ^ (~(value & 1) + 1); }

/// Little-endian on any machine.
std::uint64_t number_at(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
  return value;
}

/// Value `at` of values of `width` bits packed from the low bits up; `bytes` must hold it.
std::uint64_t packed(std::string_view bytes, std::size_t at, unsigned width) {
  std::uint64_t value = 0;
  for (unsigned bit = 0; bit < width; ++bit) {
    const std::size_t place = at * width + bit;
    const auto byte = static_cast<std::uint8_t>(bytes[place / 8]);
    value |= static_cast<std::uint64_t>((byte >> (place % 8)) & 1) << bit;
  }
  return value;
}

std::size_t width_of(ParquetType type) {
  return type == ParquetType::int32 || type == ParquetType::float32 ? 4 : 8;
}

std::string text_of(std::uint64_t bits, ParquetType type, bool is_unsigned) {
  const auto low = static_cast<std::uint32_t>(bits);
  switch (type) {
    case ParquetType::boolean:
      return bits != 0 ? "true" : "false";
    case ParquetType::int32:
      return is_unsigned ? fmt::format("{}", low) : fmt::format("{}", static_cast<std::int32_t>(low));
    case ParquetType::int64:
      return is_unsigned ? fmt::format("{}", bits) : fmt::format("{}", static_cast<std::int64_t>(bits));
    case ParquetType::float32:
      return fmt::format("{}", std::bit_cast<float>(low));
    default:
      return fmt::format("{}", std::bit_cast<double>(bits));
  }
}

void plain(std::string_view bytes, ParquetType type, bool is_unsigned, std::size_t count, ParquetTexts& out) {
  if (type == ParquetType::boolean && bytes.size() < (count + 7) / 8) fail_short();
  for (std::size_t i = 0; i < count; ++i) {
    if (type == ParquetType::boolean) {
      out.add(text_of(packed(bytes, i, 1), type, is_unsigned));
    } else if (type == ParquetType::byte_array) {
      const auto size = static_cast<std::size_t>(number_at(take(bytes, 4)));
      out.add(std::string(take(bytes, size)));
    } else {
      out.add(text_of(number_at(take(bytes, width_of(type))), type, is_unsigned));
    }
  }
}

/// DELTA_BINARY_PACKED; leaves in `bytes` what follows it. Sums wrap as the format says.
std::vector<std::uint64_t> delta_integers(std::string_view& bytes, std::size_t count_max) {
  const std::uint64_t block = take_varint(bytes);
  const std::uint64_t minis = take_varint(bytes);
  const std::uint64_t count = take_varint(bytes);
  std::uint64_t value = unzigzag(take_varint(bytes));
  if (block == 0 || block > 1 << 20 || minis == 0 || minis > block || block % minis != 0 ||
      block / minis % 8 != 0)
    throw ParquetFault{"a page is damaged (blocks of deltas of no valid size)"};
  if (count > count_max) throw ParquetFault{"a page holds more values than its header states"};
  std::vector<std::uint64_t> values;
  if (count > 0) values.push_back(value);
  const auto per_mini = static_cast<std::size_t>(block / minis);
  while (values.size() < count) {
    const std::uint64_t least = unzigzag(take_varint(bytes));
    const std::string_view widths = take(bytes, static_cast<std::size_t>(minis));
    for (std::size_t mini = 0; mini < minis && values.size() < count; ++mini) {
      const unsigned width = static_cast<std::uint8_t>(widths[mini]);
      if (width > 64) throw ParquetFault{"a page is damaged (deltas of more than 64 bits)"};
      const std::string_view body = take(bytes, per_mini / 8 * width);
      for (std::size_t i = 0; i < per_mini && values.size() < count; ++i)
        values.push_back(value += least + packed(body, i, width));
    }
  }
  return values;
}

std::vector<std::uint64_t> delta_exactly(std::string_view& bytes, std::size_t count) {
  std::vector<std::uint64_t> values = delta_integers(bytes, count);
  if (values.size() != count) fail_short();
  return values;
}

void delta_texts(std::string_view bytes, bool with_prefixes, std::size_t count, ParquetTexts& out) {
  std::vector<std::uint64_t> prefixes;
  if (with_prefixes) prefixes = delta_exactly(bytes, count);
  const std::vector<std::uint64_t> lengths = delta_exactly(bytes, count);
  std::string last;
  for (std::size_t i = 0; i < count; ++i) {
    if (lengths[i] > kTextBytesMax) throw ParquetFault{"a text is longer than 4,096 bytes"};
    std::string text;
    if (with_prefixes) {
      if (prefixes[i] > last.size())
        throw ParquetFault{"a page is damaged (a prefix longer than the text before)"};
      text = last.substr(0, static_cast<std::size_t>(prefixes[i]));
    }
    text += take(bytes, static_cast<std::size_t>(lengths[i]));
    out.add(text);
    last = std::move(text);
  }
}

void split_streams(std::string_view bytes, ParquetType type, bool is_unsigned, std::size_t count,
                   ParquetTexts& out) {
  const std::size_t width = width_of(type);
  if (count > bytes.size() / width) fail_short();
  for (std::size_t i = 0; i < count; ++i) {
    std::array<char, 8> value{};
    for (std::size_t b = 0; b < width; ++b) value[b] = bytes[b * count + i];
    out.add(text_of(number_at({value.data(), width}), type, is_unsigned));
  }
}

}  // namespace

void ParquetTexts::add(std::string text) {
  if (text.size() > kTextBytesMax) throw ParquetFault{"a text is longer than 4,096 bytes"};
  const std::size_t size = sizeof(std::string) + text.size();
  if (size > bytes_left)
    throw ParquetFault{"the row group is too large to be held in memory; write smaller row groups"};
  bytes_left -= size;
  texts.push_back(std::move(text));
}

std::vector<std::uint32_t> decode_hybrid(std::string_view bytes, unsigned width, std::size_t count) {
  if (width > 32) throw ParquetFault{"a page is damaged (values of more than 32 bits)"};
  std::vector<std::uint32_t> values;
  while (values.size() < count) {
    const std::uint64_t head = take_varint(bytes);
    const std::uint64_t groups = head >> 1;
    if ((head & 1) == 0) {
      const auto value = static_cast<std::uint32_t>(number_at(take(bytes, (width + 7) / 8)));
      if (groups == 0) throw ParquetFault{"a page is damaged (an empty run)"};
      values.insert(values.end(),
                    static_cast<std::size_t>(std::min<std::uint64_t>(groups, count - values.size())), value);
      continue;
    }
    if (groups == 0 || groups > bytes.size() + count) fail_short();
    // The last group may be cut off behind the last value.
    const auto packed_count =
        static_cast<std::size_t>(std::min<std::uint64_t>(groups * 8, count - values.size()));
    const std::size_t size = std::min(static_cast<std::size_t>(groups) * width, bytes.size());
    if (size < (packed_count * width + 7) / 8) fail_short();
    const std::string_view body = take(bytes, size);
    for (std::size_t i = 0; i < packed_count; ++i)
      values.push_back(static_cast<std::uint32_t>(packed(body, i, width)));
  }
  return values;
}

void decode_values(std::string_view bytes, std::int64_t encoding, ParquetType type, bool is_unsigned,
                   std::size_t count, ParquetTexts& out) {
  const bool is_text = type == ParquetType::byte_array;
  const bool is_integer = type == ParquetType::int32 || type == ParquetType::int64;
  switch (encoding) {
    case 0:
      return plain(bytes, type, is_unsigned, count, out);
    case 3:
      if (type != ParquetType::boolean) break;
      (void)take(bytes, 4);  // the length of the runs, which are all that is left
      for (const std::uint32_t bit : decode_hybrid(bytes, 1, count)) out.add(text_of(bit, type, is_unsigned));
      return;
    case 5:
      if (!is_integer) break;
      for (const std::uint64_t value : delta_exactly(bytes, count))
        out.add(text_of(value, type, is_unsigned));
      return;
    case 6:
    case 7:
      if (!is_text) break;
      return delta_texts(bytes, encoding == 7, count, out);
    case 9:
      if (is_text || type == ParquetType::boolean) break;
      return split_streams(bytes, type, is_unsigned, count, out);
    default:
      break;
  }
  throw ParquetFault{
      fmt::format("the encoding {} is not read for values of this type (known: PLAIN 0, PLAIN_DICTIONARY 2, "
                  "RLE 3 of booleans, "
                  "DELTA_BINARY_PACKED 5 of integers, DELTA_LENGTH_BYTE_ARRAY 6 and DELTA_BYTE_ARRAY 7 of "
                  "texts, RLE_DICTIONARY 8, "
                  "BYTE_STREAM_SPLIT 9 of numbers)",
                  encoding)};
}

}  // namespace kvcast
