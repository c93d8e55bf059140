#include "sim/plan/sweep_log.h"

#include <fmt/format.h>

#include <optional>

#include "sim/base/error.h"
#include "sim/base/hash.h"

namespace kvcast {
namespace {

constexpr std::size_t kHashDigits = 16;

/// The payload of a line (without its line break) whose checksum is right.
std::optional<std::string_view> payload_of(std::string_view line) {
  if (line.size() <= kHashDigits || line[kHashDigits] != ' ') return std::nullopt;
  const std::string_view payload = line.substr(kHashDigits + 1);
  if (content_hash(payload) != line.substr(0, kHashDigits)) return std::nullopt;
  return payload;
}

/// The next line of `bytes`, which it is taken off. \returns nullopt where no line break is left
std::optional<std::string_view> take_line(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string log_line(std::string_view payload) {
  KVCAST_CHECK(payload.find('\n') == std::string_view::npos);
  std::string line = content_hash(payload);
  line += ' ';
  line += payload;
  line += '\n';
  return line;
}

ScannedLog scan_log(std::string_view bytes, const std::string& name) {
  ScannedLog log;
  std::string_view rest = bytes;
  while (const auto line = take_line(rest)) {
    const auto payload = payload_of(*line);
    if (!payload) break;
    log.payloads.push_back(*payload);
    log.good_bytes = bytes.size() - rest.size();
  }
  std::string_view tail = bytes.substr(log.good_bytes);
  while (const auto line = take_line(tail)) {
    if (!payload_of(*line)) continue;
    throw InputError(
        fmt::format("{}:{}: is damaged: the checksum is wrong, and whole results follow. Remove this file to "
                    "have its points run again",
                    name, log.payloads.size() + 1),
        ExitCode::bad_data);
  }
  return log;
}

}  // namespace kvcast
