#include "workloads/json_check.h"

namespace kvcast {
namespace {

constexpr int kDepthMax = 512;

/// Recursive descent; the first failure is kept and ends everything.
class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  std::optional<JsonError> run() {
    if (!value(0)) return error_;
    space();
    if (at_ < text_.size()) fail("the end of the line");
    return error_;
  }

 private:
  bool fail(const char* expected) {
    error_ = JsonError{at_, expected};
    return false;
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n') ++at_;
  }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }

  bool value(int depth) {
    space();
    if (depth > kDepthMax) return fail("fewer nested brackets");
    switch (peek()) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool object(int depth) {
    ++at_;
    space();
    if (take('}')) return true;
    while (true) {
      space();
      if (peek() != '"') return fail("a key in double quotes");
      if (!string()) return false;
      space();
      if (!take(':')) return fail("':'");
      if (!value(depth + 1)) return false;
      space();
      if (take('}')) return true;
      if (!take(',')) return fail("',' or '}'");
    }
  }

  bool array(int depth) {
    ++at_;
    space();
    if (take(']')) return true;
    while (true) {
      if (!value(depth + 1)) return false;
      space();
      if (take(']')) return true;
      if (!take(',')) return fail("',' or ']'");
    }
  }

  bool string() {
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (static_cast<unsigned char>(c) < 0x20) return fail("no control character in a string");
      ++at_;
      if (c == '"') return true;
      if (c == '\\' && !escape()) return false;
    }
    return fail("'\"'");
  }

  bool escape() {
    constexpr std::string_view kEscapes = "\"\\/bfnrtu";
    if (at_ == text_.size() || kEscapes.find(text_[at_]) == std::string_view::npos)
      return fail("an escape of JSON");
    if (text_[at_++] != 'u') return true;
    for (int i = 0; i < 4; ++i, ++at_) {
      constexpr std::string_view kHex = "0123456789abcdefABCDEF";
      if (at_ == text_.size() || kHex.find(text_[at_]) == std::string_view::npos)
        return fail("four hex digits");
    }
    return true;
  }

  bool word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) return fail("a value");
    at_ += wanted.size();
    return true;
  }

  bool digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin;
  }

  bool number() {
    const std::size_t begin = at_;
    take('-');
    if (peek() == '0') {
      ++at_;
    } else if (!digits()) {
      at_ = begin;
      return fail("a value");
    }
    if (take('.') && !digits()) return fail("a digit");
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digits()) return fail("a digit");
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<JsonError> error_;
};

}  // namespace

std::optional<JsonError> find_json_error(std::string_view text) { return Checker(text).run(); }

}  // namespace kvcast
