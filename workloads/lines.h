/// Lines of a trace, one buffer for all of them, and the errors that point into them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/bytes.h"

namespace kvcast {

/// \throws InputError "name:line:column: message" (bad_data)
[[noreturn]] void bad_trace(const std::string& name, std::int64_t line, std::int64_t column,
                            const std::string& message);

/// Contract: the lines of a file, in order, without their ends (LF or CR LF) and without a UTF-8 byte order
/// mark. Memory: the longest line, which may have kLineBytesMax.
class LineReader {
 public:
  /// That many bytes after the text of a line may be read (not interpreted): what vectorised parsers ask for.
  static constexpr std::size_t kPadding = 64;
  static constexpr std::size_t kLineBytesMax = std::size_t{256} << 20;

  explicit LineReader(const TraceFile& file);

  /// Moves to the next line that is not blank; false at the end.
  [[nodiscard]] bool next();
  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::int64_t number() const { return number_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// \param at a byte of the current text: the message gives its column
  [[noreturn]] void fail(const char* at, const std::string& message) const;
  [[noreturn]] void fail(const std::string& message) const { fail(text_.data(), message); }

 private:
  bool next_raw();
  bool refill();

  std::string name_;
  std::unique_ptr<ByteSource> bytes_;
  std::vector<char> buffer_;  // unread bytes lie in [begin_, end_); kPadding more are always there
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::string_view text_;
  std::int64_t number_ = 0;
};

}  // namespace kvcast
