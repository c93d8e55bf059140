/// JSON as Python's json module writes it (Infinity and NaN included), with the position of every value, so
/// that a message about a key can name its line. config.json files hold such literals (Nemotron-H's
/// time_step_limit), which standard parsers refuse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvcast {

struct JsonValue {
  enum class Type : std::uint8_t { null, boolean, integer, real, string, array, object };

  Type type = Type::null;
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0;                                         // also set for integers
  std::string text;                                        // of strings
  std::vector<JsonValue> items;                            // of arrays
  std::vector<std::pair<std::string, JsonValue>> members;  // of objects, in the file's order
  int line = 0;                                            // 0: not from a file
  int column = 0;

  // Out of line: inside the class clang 14 would need the size of a member pair that is not complete yet.
  JsonValue();
  JsonValue(const JsonValue&);
  JsonValue(JsonValue&&) noexcept;
  JsonValue& operator=(const JsonValue&);
  JsonValue& operator=(JsonValue&&) noexcept;
  ~JsonValue();

  /// Member of an object; nullptr where it is absent or this is no object.
  [[nodiscard]] const JsonValue* find(std::string_view key) const;
};

[[nodiscard]] std::string_view to_string(JsonValue::Type type);

/// \param name stands for the file in messages
/// \param first_line the number of the text's first line in that file (JSON lines)
/// \throws InputError (exit code 4) "name:line:column: what": syntax, duplicate keys, nesting over 64 levels,
/// text after the end
[[nodiscard]] JsonValue parse_json(std::string_view text, const std::string& name, int first_line = 1);

}  // namespace kvcast
