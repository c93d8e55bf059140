#include "hwmodels/json_document.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr int kDepthMax = 64;

class Parser {
 public:
  Parser(std::string_view text, const std::string& name, int first_line)
      : text_(text), name_(name), line_(first_line) {}

  JsonValue document() {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") at_ = line_begin_ = 3;
    JsonValue value = parse_value(0);
    skip_space();
    if (at_ < text_.size()) fail("text after the end of the document");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(name_ + ":" + std::to_string(line_) + ":" + std::to_string(column()) + ": " + what,
                     ExitCode::bad_data);
  }

  [[nodiscard]] int column() const { return static_cast<int>(at_ - line_begin_) + 1; }

  void skip_space() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return;
      ++at_;
      if (c == '\n') {
        ++line_;
        line_begin_ = at_;
      }
    }
  }

  /// Consumes `literal` where the text goes on with it.
  bool take(std::string_view literal) {
    if (text_.substr(at_, literal.size()) != literal) return false;
    at_ += literal.size();
    return true;
  }

  JsonValue parse_value(int depth) {
    if (depth > kDepthMax) fail("nested deeper than " + std::to_string(kDepthMax) + " levels");
    skip_space();
    JsonValue value;
    value.line = line_;
    value.column = column();
    if (at_ >= text_.size()) fail("the document ends where a value is expected");
    const char c = text_[at_];
    if (c == '{') {
      parse_object(value, depth);
    } else if (c == '[') {
      parse_array(value, depth);
    } else if (c == '"') {
      value.type = JsonValue::Type::string;
      value.text = parse_string();
    } else if (take("true") || take("false")) {
      value.type = JsonValue::Type::boolean;
      value.boolean = c == 't';
    } else if (take("null")) {
      value.type = JsonValue::Type::null;
    } else {
      parse_number(value);
    }
    return value;
  }

  void parse_object(JsonValue& value, int depth) {
    value.type = JsonValue::Type::object;
    ++at_;
    skip_space();
    if (take("}")) return;
    std::set<std::string> seen;
    while (true) {
      skip_space();
      if (at_ >= text_.size() || text_[at_] != '"') fail("expected a key in double quotes");
      const std::size_t key_at = at_;
      std::string key = parse_string();
      if (!seen.insert(key).second) {
        at_ = key_at;
        fail("duplicate key \"" + key + "\"");
      }
      skip_space();
      if (!take(":")) fail("expected ':' after the key \"" + key + "\"");
      value.members.emplace_back(std::move(key), parse_value(depth + 1));
      skip_space();
      if (take("}")) return;
      if (!take(",")) fail("expected ',' or '}' in an object");
    }
  }

  void parse_array(JsonValue& value, int depth) {
    value.type = JsonValue::Type::array;
    ++at_;
    skip_space();
    if (take("]")) return;
    while (true) {
      value.items.push_back(parse_value(depth + 1));
      skip_space();
      if (take("]")) return;
      if (!take(",")) fail("expected ',' or ']' in an array");
    }
  }

  std::string parse_string() {
    ++at_;
    std::string out;
    while (true) {
      if (at_ >= text_.size()) fail("the document ends inside a string");
      const char c = text_[at_];
      if (static_cast<unsigned char>(c) < 0x20) fail("control character inside a string");
      ++at_;
      if (c == '"') return out;
      if (c == '\\') {
        parse_escape(out);
      } else {
        out += c;
      }
    }
  }

  void parse_escape(std::string& out) {
    if (at_ >= text_.size()) fail("the document ends inside a string");
    const char c = text_[at_];
    ++at_;
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    if (const std::size_t i = kFrom.find(c); i != std::string_view::npos) {
      out += kTo[i];
    } else if (c == 'u') {
      append_utf8(out, parse_code_point());
    } else {
      --at_;
      fail("unknown escape in a string");
    }
  }

  std::uint32_t parse_hex4() {
    std::uint32_t code = 0;
    if (at_ + 4 > text_.size()) fail("\\u needs four hexadecimal digits");
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, begin + 4, code, 16);
    if (error != std::errc() || end != begin + 4) fail("\\u needs four hexadecimal digits");
    at_ += 4;
    return code;
  }

  std::uint32_t parse_code_point() {
    const std::uint32_t high = parse_hex4();
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high < 0xDC00 && take("\\u")) {
      const std::uint32_t low = parse_hex4();
      if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    fail("half of a surrogate pair in a string");
  }

  static void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&out](std::uint32_t byte) {
      out += static_cast<char>(static_cast<unsigned char>(byte));
    };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | (code >> 6));
      put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      put(0xE0 | (code >> 12));
      put(0x80 | ((code >> 6) & 0x3F));
      put(0x80 | (code & 0x3F));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3F));
      put(0x80 | ((code >> 6) & 0x3F));
      put(0x80 | (code & 0x3F));
    }
  }

  void parse_number(JsonValue& value) {
    value.type = JsonValue::Type::real;
    if (take("Infinity")) {
      value.real = std::numeric_limits<double>::infinity();
      return;
    }
    if (take("-Infinity")) {
      value.real = -std::numeric_limits<double>::infinity();
      return;
    }
    if (take("NaN")) {
      value.real = std::numeric_limits<double>::quiet_NaN();
      return;
    }
    const std::size_t end = std::min(text_.find_first_not_of("+-.0123456789eE", at_), text_.size());
    const std::string_view token = text_.substr(at_, end - at_);
    const std::string_view digits = token.substr(token.substr(0, 1) == "-" ? 1 : 0);
    const bool leading_zero = digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
    if (digits.empty() || digits[0] < '0' || digits[0] > '9' || leading_zero) fail("expected a value");
    const char* last = token.data() + token.size();
    const auto real = std::from_chars(token.data(), last, value.real);
    if (real.ec == std::errc::result_out_of_range) fail("number out of range");
    if (real.ec != std::errc() || real.ptr != last) fail("malformed number");
    const auto integer = std::from_chars(token.data(), last, value.integer);
    if (integer.ec == std::errc() && integer.ptr == last) value.type = JsonValue::Type::integer;
    at_ = end;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::size_t line_begin_ = 0;
  int line_;
};

}  // namespace

JsonValue::JsonValue() = default;
JsonValue::JsonValue(const JsonValue&) = default;
JsonValue::JsonValue(JsonValue&&) noexcept = default;
JsonValue& JsonValue::operator=(const JsonValue&) = default;
JsonValue& JsonValue::operator=(JsonValue&&) noexcept = default;
JsonValue::~JsonValue() = default;

const JsonValue* JsonValue::find(std::string_view key) const {
  for (const auto& [name, value] : members) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string_view to_string(JsonValue::Type type) {
  switch (type) {
    case JsonValue::Type::null:
      return "null";
    case JsonValue::Type::boolean:
      return "a boolean";
    case JsonValue::Type::integer:
      return "an integer";
    case JsonValue::Type::real:
      return "a real number";
    case JsonValue::Type::string:
      return "a string";
    case JsonValue::Type::array:
      return "an array";
    case JsonValue::Type::object:
      return "an object";
  }
  return "";
}

JsonValue parse_json(std::string_view text, const std::string& name, int first_line) {
  return Parser(text, name, first_line).document();
}

}  // namespace kvcast
