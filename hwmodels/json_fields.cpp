#include "hwmodels/json_fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {

JsonFields::JsonFields(const JsonValue& object, std::string file) : object_(&object), file_(std::move(file)) {
  if (object.type != JsonValue::Type::object) {
    throw InputError(fmt::format("{}:{}:{}: expected an object, found {}", file_, object.line, object.column,
                                 to_string(object.type)),
                     ExitCode::bad_data);
  }
}

void JsonFields::fail(std::string_view key, const std::string& what) const {
  const JsonValue* value = object_->find(key);
  const JsonValue& at = value == nullptr ? *object_ : *value;
  throw InputError(fmt::format("{}:{}:{}: {}: {}", file_, at.line, at.column, key, what), ExitCode::bad_data);
}

const JsonValue& JsonFields::value(std::string_view key) {
  known_.emplace_back(key);
  const JsonValue* found = object_->find(key);
  if (found == nullptr) fail(key, "is missing");
  return *found;
}

const JsonValue& JsonFields::require(std::string_view key, JsonValue::Type type) {
  const JsonValue& found = value(key);
  if (found.type != type)
    fail(key, fmt::format("expected {}, found {}", to_string(type), to_string(found.type)));
  return found;
}

double JsonFields::to_real(std::string_view key, const JsonValue& value, double min, double max) const {
  if (value.type != JsonValue::Type::real && value.type != JsonValue::Type::integer)
    fail(key, fmt::format("expected a number, found {}", to_string(value.type)));
  if (!(value.real >= min && value.real <= max))
    fail(key, fmt::format("{} is not between {} and {}", value.real, min, max));
  return value.real;
}

std::int64_t JsonFields::to_integer(std::string_view key, const JsonValue& value, std::int64_t min,
                                    std::int64_t max) const {
  if (value.type != JsonValue::Type::integer)
    fail(key, fmt::format("expected an integer, found {}", to_string(value.type)));
  if (value.integer < min || value.integer > max)
    fail(key, fmt::format("{} is not between {} and {}", value.integer, min, max));
  return value.integer;
}

std::int64_t JsonFields::integer(std::string_view key, std::int64_t min, std::int64_t max) {
  return to_integer(key, value(key), min, max);
}

std::int64_t JsonFields::integer_or(std::string_view key, std::int64_t fallback, std::int64_t min,
                                    std::int64_t max) {
  known_.emplace_back(key);
  return has(key) ? integer(key, min, max) : fallback;
}

double JsonFields::real(std::string_view key, double min, double max) {
  return to_real(key, value(key), min, max);
}

double JsonFields::real_or(std::string_view key, double fallback, double min, double max) {
  known_.emplace_back(key);
  return has(key) ? real(key, min, max) : fallback;
}

bool JsonFields::boolean_or(std::string_view key, bool fallback) {
  known_.emplace_back(key);
  return has(key) ? require(key, JsonValue::Type::boolean).boolean : fallback;
}

std::string JsonFields::text(std::string_view key) { return require(key, JsonValue::Type::string).text; }

std::string JsonFields::text_or(std::string_view key, std::string_view fallback) {
  known_.emplace_back(key);
  return has(key) ? text(key) : std::string(fallback);
}

std::vector<double> JsonFields::reals(std::string_view key, double min, double max) {
  std::vector<double> result;
  for (const JsonValue& item : require(key, JsonValue::Type::array).items)
    result.push_back(to_real(key, item, min, max));
  return result;
}

std::vector<std::int64_t> JsonFields::integers(std::string_view key, std::int64_t min, std::int64_t max) {
  std::vector<std::int64_t> result;
  for (const JsonValue& item : require(key, JsonValue::Type::array).items)
    result.push_back(to_integer(key, item, min, max));
  return result;
}

std::vector<std::string> JsonFields::texts(std::string_view key) {
  std::vector<std::string> result;
  for (const JsonValue& item : require(key, JsonValue::Type::array).items) {
    if (item.type != JsonValue::Type::string)
      fail(key, fmt::format("expected strings, found {}", to_string(item.type)));
    result.push_back(item.text);
  }
  return result;
}

JsonFields JsonFields::child(std::string_view key) {
  return JsonFields(require(key, JsonValue::Type::object), file_);
}

std::vector<JsonFields> JsonFields::children(std::string_view key) {
  std::vector<JsonFields> result;
  for (const JsonValue& item : require(key, JsonValue::Type::array).items) result.emplace_back(item, file_);
  return result;
}

void JsonFields::finish() const {
  for (const auto& [key, member] : object_->members) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::vector<std::string> names = known_;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    throw InputError(fmt::format("{}:{}:{}: unknown key \"{}\"{}", file_, member.line, member.column, key,
                                 known_names(key, names)),
                     ExitCode::bad_data);
  }
}

std::string json_quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

}  // namespace kvcast
