#include "hwmodels/parquet_codec.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <new>

#include "hwmodels/parquet_thrift.h"

namespace kvcast {
namespace {

constexpr std::array<std::string_view, 8> kCodecs = {"UNCOMPRESSED", "SNAPPY", "GZIP", "LZO",
                                                     "BROTLI",       "LZ4",    "ZSTD", "LZ4_RAW"};

[[noreturn]] void fail_bytes(std::string_view codec) {
  throw ParquetFault{
      fmt::format("a page does not decompress as {} to the size that its header states", codec)};
}

/// Input and output of a byte-oriented LZ codec; every step is checked against both ends.
class LzStream {
 public:
  LzStream(std::string_view codec, std::string_view input, std::size_t size)
      : codec_(codec), input_(input), size_(size) {
    output_.reserve(size);
  }

  [[nodiscard]] bool at_end() const { return input_.empty(); }
  [[nodiscard]] std::size_t byte() {
    if (input_.empty()) fail_bytes(codec_);
    const auto value = static_cast<std::size_t>(static_cast<unsigned char>(input_.front()));
    input_.remove_prefix(1);
    return value;
  }
  /// An integer of `count` bytes, low byte first.
  [[nodiscard]] std::size_t number(std::size_t count) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= byte() << (8 * i);
    return value;
  }
  void literal(std::size_t length) {
    if (length > input_.size() || length > size_ - output_.size()) fail_bytes(codec_);
    output_.append(input_.substr(0, length));
    input_.remove_prefix(length);
  }
  /// Copies may overlap what they write: a run.
  void copy(std::size_t offset, std::size_t length) {
    if (offset == 0 || offset > output_.size() || length > size_ - output_.size()) fail_bytes(codec_);
    for (std::size_t i = 0; i < length; ++i) output_.push_back(output_[output_.size() - offset]);
  }
  [[nodiscard]] std::string finish() {
    if (output_.size() != size_) fail_bytes(codec_);
    return std::move(output_);
  }

 private:
  std::string_view codec_;
  std::string_view input_;
  std::size_t size_;
  std::string output_;
};

/// Source: https://github.com/google/snappy/blob/main/format_description.txt
std::string unsnappy(std::string_view bytes, std::size_t size) {
  LzStream stream("SNAPPY", bytes, size);
  std::size_t stated = 0;
  for (unsigned shift = 0;; shift += 7) {
    const std::size_t next = stream.byte();
    if (shift > 28) fail_bytes("SNAPPY");
    stated |= (next & 0x7f) << shift;
    if (next < 0x80) break;
  }
  if (stated != size) fail_bytes("SNAPPY");
  while (!stream.at_end()) {
    const std::size_t tag = stream.byte();
    const std::size_t high = tag >> 2;
    switch (tag & 3) {
      case 0:
        stream.literal(1 + (high < 60 ? high : stream.number(high - 59)));
        break;
      case 1: {
        const std::size_t offset = (tag >> 5 << 8) | stream.byte();
        stream.copy(offset, 4 + (high & 7));
        break;
      }
      case 2:
        stream.copy(stream.number(2), high + 1);
        break;
      default:
        stream.copy(stream.number(4), high + 1);
    }
  }
  return stream.finish();
}

/// Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
std::string unlz4(std::string_view bytes, std::size_t size) {
  LzStream stream("LZ4_RAW", bytes, size);
  const auto length = [&](std::size_t nibble) {
    if (nibble < 15) return nibble;
    for (std::size_t more = 255; more == 255;) nibble += more = stream.byte();
    return nibble;
  };
  while (!stream.at_end()) {
    const std::size_t token = stream.byte();
    stream.literal(length(token >> 4));
    if (stream.at_end()) break;  // the last sequence has no copy
    const std::size_t offset = stream.number(2);
    stream.copy(offset, 4 + length(token & 15));
  }
  return stream.finish();
}

std::string unzstd(std::string_view bytes, std::size_t size) {
  std::string output(size, '\0');
  const std::size_t made = ZSTD_decompress(output.data(), size, bytes.data(), bytes.size());
  if (ZSTD_isError(made) != 0 || made != size) fail_bytes("ZSTD");
  return output;
}

std::string ungzip(std::string_view bytes, std::size_t size) {
  std::string output(size, '\0');
  std::string input(bytes);  // zlib's interface wants bytes that it could change
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) throw std::bad_alloc();
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(size);
  const int result = inflate(&stream, Z_FINISH);
  const bool whole = result == Z_STREAM_END && stream.total_out == size;
  (void)inflateEnd(&stream);
  if (!whole) fail_bytes("GZIP");
  return output;
}

}  // namespace

std::string decompress_page(std::int64_t codec, std::string_view bytes, std::size_t size) {
  switch (codec) {
    case 0:
      if (bytes.size() != size) fail_bytes("UNCOMPRESSED");
      return std::string(bytes);
    case 1:
      return unsnappy(bytes, size);
    case 2:
      return ungzip(bytes, size);
    case 6:
      return unzstd(bytes, size);
    case 7:
      return unlz4(bytes, size);
    default:
      throw ParquetFault{
          fmt::format("the codec {} is not read (known: UNCOMPRESSED, SNAPPY, GZIP, ZSTD, LZ4_RAW)",
                      codec > 0 && codec < static_cast<std::int64_t>(kCodecs.size())
                          ? kCodecs[static_cast<std::size_t>(codec)]
                          : fmt::format("{}", codec))};
  }
}

}  // namespace kvcast
