#include "workloads/lines.h"

#include <algorithm>
#include <cstring>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t") == std::string_view::npos; }

}  // namespace

void bad_trace(const std::string& name, std::int64_t line, std::int64_t column, const std::string& message) {
  throw InputError(name + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message,
                   ExitCode::bad_data);
}

LineReader::LineReader(const TraceFile& file)
    : name_(file.name), bytes_(file.open()), buffer_(kBufferBytes + kPadding) {}

void LineReader::fail(const char* at, const std::string& message) const {
  bad_trace(name_, number_, std::clamp<std::int64_t>(at - text_.data(), 0, std::ssize(text_)) + 1, message);
}

bool LineReader::next() {
  while (next_raw()) {
    if (!is_blank(text_)) return true;
  }
  return false;
}

bool LineReader::next_raw() {
  std::size_t searched = begin_;
  const char* newline = nullptr;
  while (true) {
    newline = static_cast<const char*>(std::memchr(buffer_.data() + searched, '\n', end_ - searched));
    if (newline != nullptr) break;
    const std::size_t unread = end_ - begin_;
    if (!refill()) break;
    searched = begin_ + unread;  // refill() may have moved the bytes
  }
  if (newline == nullptr && begin_ == end_) return false;
  const char* start = buffer_.data() + begin_;
  const char* stop = newline != nullptr ? newline : buffer_.data() + end_;
  begin_ = static_cast<std::size_t>(stop - buffer_.data()) + (newline != nullptr ? 1 : 0);
  text_ = {start, static_cast<std::size_t>(stop - start)};
  if (text_.ends_with('\r')) text_.remove_suffix(1);
  if (++number_ == 1 && text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  return true;
}

/// Moves the unread bytes to the front, makes room when they fill the buffer, reads once; false at the end.
bool LineReader::refill() {
  if (at_end_) return false;
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (end_ + kPadding == buffer_.size()) {
    if (end_ >= kLineBytesMax) {
      bad_trace(name_, number_ + 1, 1,
                "this line is longer than " + std::to_string(kLineBytesMax >> 20) + " MiB");
    }
    buffer_.resize(2 * end_ + kPadding);
  }
  const std::size_t count = bytes_->read(buffer_.data() + end_, buffer_.size() - kPadding - end_);
  end_ += count;
  at_end_ = count == 0;
  return count != 0;
}

}  // namespace kvcast
