#include "workloads/tar.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::size_t kRecord = 512;
constexpr std::size_t kNameBytes = 100;
constexpr std::size_t kSizeAt = 124;
constexpr std::size_t kSizeBytes = 12;
constexpr std::size_t kChecksumAt = 148;
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kTypeAt = 156;
constexpr std::size_t kMagicAt = 257;

[[noreturn]] void damaged(const std::string& name, const std::string& why) {
  throw InputError(name + ": the tar archive is damaged: " + why, ExitCode::bad_data);
}

std::string_view text_field(std::string_view header, std::size_t at, std::size_t size) {
  const std::string_view field = header.substr(at, size);
  return field.substr(0, field.find('\0'));
}

std::optional<std::uint64_t> octal_field(std::string_view header, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  bool digits = false;
  for (const char c : header.substr(at, size)) {
    if (c == ' ' && !digits) continue;
    if (c == ' ' || c == '\0') break;
    if (c < '0' || c > '7') return std::nullopt;
    value = 8 * value + static_cast<std::uint64_t>(c - '0');
    digits = true;
  }
  if (!digits) return std::nullopt;
  return value;
}

/// The sum of the header's bytes with the checksum's own taken as spaces.
bool checksum_matches(std::string_view header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kRecord; ++i) {
    const bool own = i >= kChecksumAt && i < kChecksumAt + kChecksumBytes;
    sum += own ? std::uint64_t{' '} : static_cast<unsigned char>(header[i]);
  }
  return octal_field(header, kChecksumAt, kChecksumBytes) == sum;
}

std::size_t read_fully(ByteSource& bytes, char* to, std::size_t size) {
  std::size_t filled = 0;
  while (filled < size) {
    const std::size_t count = bytes.read(to + filled, size - filled);
    if (count == 0) break;
    filled += count;
  }
  return filled;
}

/// The content and the padding after it. Grows with what is really there, so that a false size costs nothing.
std::string read_content(ByteSource& bytes, std::uint64_t size, const std::string& archive) {
  std::string content;
  std::array<char, kRecord> record{};
  for (std::uint64_t left = size; left > 0;) {
    if (read_fully(bytes, record.data(), kRecord) != kRecord) damaged(archive, "it ends inside a file");
    const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(left, kRecord));
    content.append(record.data(), used);
    left -= used;
  }
  return content;
}

}  // namespace

bool is_tar(std::string_view head) {
  return head.size() >= kRecord && head.substr(kMagicAt, 5) == "ustar" && checksum_matches(head);
}

std::string_view first_tar_name(std::string_view head) { return text_field(head, 0, kNameBytes); }

void read_tar(const TraceFile& archive,
              const std::function<void(const std::string& name, std::string content)>& visit) {
  const std::unique_ptr<ByteSource> bytes = archive.open();
  std::array<char, kRecord> record{};
  while (read_fully(*bytes, record.data(), kRecord) == kRecord) {
    const std::string_view header(record.data(), kRecord);
    if (header.find_first_not_of('\0') == std::string_view::npos) return;  // the end mark
    if (!checksum_matches(header)) damaged(archive.name, "a header's checksum is wrong");
    const auto size = octal_field(header, kSizeAt, kSizeBytes);
    if (!size) damaged(archive.name, "a header without a size");
    if (*size > kTarFileBytesMax) damaged(archive.name, "a file of more than 256 MiB");
    const std::string name(text_field(header, 0, kNameBytes));
    const char type = header[kTypeAt];
    std::string content = read_content(*bytes, *size, archive.name);
    if (type == '0' || type == '\0') visit(name, std::move(content));
  }
}

}  // namespace kvcast
