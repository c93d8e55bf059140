#include "hwmodels/hf_config.h"

#include <charconv>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::int64_t kListMax = 4096;  // layers of a summary list

/// Entries of "list[48]:{'a': 12, 'b': 36}"; empty where the text is no such summary or its counts do not add
/// up.
std::vector<std::string> expand_summary(std::string_view text) {
  constexpr std::string_view kPrefix = "list[";
  if (text.substr(0, kPrefix.size()) != kPrefix) return {};
  const auto number = [&text](std::size_t at, std::size_t& end) {
    std::int64_t value = -1;
    const auto result = std::from_chars(text.data() + at, text.data() + text.size(), value);
    end = static_cast<std::size_t>(result.ptr - text.data());
    return result.ec == std::errc() ? value : -1;
  };
  std::size_t at = 0;
  const std::int64_t length = number(kPrefix.size(), at);
  if (length < 0 || length > kListMax || text.substr(at, 3) != "]:{" || text.back() != '}') return {};
  at += 3;
  std::vector<std::string> entries;
  while (at < text.size() && text[at] == '\'') {
    const std::size_t close = text.find('\'', at + 1);
    if (close == std::string_view::npos || text.substr(close, 3) != "': ") return {};
    std::size_t end = 0;
    const std::int64_t count = number(close + 3, end);
    if (count < 0 || count > kListMax) return {};
    entries.insert(entries.end(), static_cast<std::size_t>(count),
                   std::string(text.substr(at + 1, close - at - 1)));
    at = text.substr(end, 2) == ", " ? end + 2 : end;
  }
  return static_cast<std::int64_t>(entries.size()) == length ? entries : std::vector<std::string>{};
}

}  // namespace

const JsonValue* HfConfig::find(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  return value == nullptr || value->type == JsonValue::Type::null ? nullptr : value;
}

void HfConfig::fail(std::string_view key, const std::string& what) const {
  const JsonValue* value = object_->find(key);
  const JsonValue& at = value == nullptr ? *object_ : *value;
  std::string where = name_;
  if (at.line > 0) where += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  throw InputError(where + ": " + std::string(key) + ": " + what, ExitCode::bad_data);
}

const JsonValue& HfConfig::require(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr) fail(key, "required but missing");
  return *value;
}

std::int64_t HfConfig::to_integer(std::string_view key, const JsonValue& value, std::int64_t min,
                                  std::int64_t max) const {
  std::int64_t integer = value.integer;
  if (value.type == JsonValue::Type::real && std::abs(value.real) < 0x1p53 &&
      value.real == std::floor(value.real)) {
    integer = static_cast<std::int64_t>(value.real);
  } else if (value.type != JsonValue::Type::integer) {
    fail(key, "expected an integer, found " + std::string(to_string(value.type)));
  }
  if (integer < min || integer > max) {
    fail(key, std::to_string(integer) + " is outside the allowed range " + std::to_string(min) + " to " +
                  std::to_string(max));
  }
  return integer;
}

std::int64_t HfConfig::integer(std::string_view key, std::int64_t min, std::int64_t max) const {
  return to_integer(key, require(key), min, max);
}

std::int64_t HfConfig::integer_or(std::string_view key, std::int64_t fallback, std::int64_t min,
                                  std::int64_t max) const {
  const JsonValue* value = find(key);
  return value == nullptr ? fallback : to_integer(key, *value, min, max);
}

double HfConfig::real_or(std::string_view key, double fallback) const {
  const JsonValue* value = find(key);
  if (value == nullptr) return fallback;
  if (value->type != JsonValue::Type::real && value->type != JsonValue::Type::integer) {
    fail(key, "expected a number, found " + std::string(to_string(value->type)));
  }
  return value->real;
}

bool HfConfig::boolean_or(std::string_view key, bool fallback) const {
  const JsonValue* value = find(key);
  if (value == nullptr) return fallback;
  if (value->type != JsonValue::Type::boolean)
    fail(key, "expected true or false, found " + std::string(to_string(value->type)));
  return value->boolean;
}

std::string HfConfig::text(std::string_view key) const {
  const JsonValue& value = require(key);
  if (value.type != JsonValue::Type::string)
    fail(key, "expected a string, found " + std::string(to_string(value.type)));
  return value.text;
}

std::string HfConfig::text_or(std::string_view key, std::string_view fallback) const {
  return has(key) ? text(key) : std::string(fallback);
}

std::vector<std::string> HfConfig::strings(std::string_view key) const {
  const JsonValue& value = require(key);
  if (value.type == JsonValue::Type::string) {
    std::vector<std::string> entries = expand_summary(value.text);
    if (!entries.empty()) return entries;
  }
  if (value.type != JsonValue::Type::array)
    fail(key, "expected a list of strings, found " + std::string(to_string(value.type)));
  std::vector<std::string> entries;
  for (const JsonValue& item : value.items) {
    if (item.type != JsonValue::Type::string)
      fail(key, "expected a list of strings, found " + std::string(to_string(item.type)) + " in it");
    entries.push_back(item.text);
  }
  return entries;
}

std::vector<std::int64_t> HfConfig::integers(std::string_view key, std::int64_t min, std::int64_t max) const {
  const JsonValue& value = require(key);
  std::vector<std::int64_t> entries;
  if (value.type == JsonValue::Type::string) {
    for (const std::string& entry : expand_summary(value.text)) {
      JsonValue item;
      item.type = JsonValue::Type::integer;
      const auto result = std::from_chars(entry.data(), entry.data() + entry.size(), item.integer);
      if (result.ec != std::errc() || result.ptr != entry.data() + entry.size())
        fail(key, "expected a list of integers");
      entries.push_back(to_integer(key, item, min, max));
    }
    if (!entries.empty()) return entries;
  }
  if (value.type != JsonValue::Type::array)
    fail(key, "expected a list of integers, found " + std::string(to_string(value.type)));
  for (const JsonValue& item : value.items) entries.push_back(to_integer(key, item, min, max));
  return entries;
}

std::optional<HfConfig> HfConfig::child(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != JsonValue::Type::object)
    fail(key, "expected an object, found " + std::string(to_string(value->type)));
  return HfConfig(*value, name_);
}

std::vector<HfConfig> HfConfig::children(std::string_view key) const {
  const JsonValue& value = require(key);
  if (value.type != JsonValue::Type::array)
    fail(key, "expected a list of objects, found " + std::string(to_string(value.type)));
  std::vector<HfConfig> result;
  for (const JsonValue& item : value.items) {
    if (item.type != JsonValue::Type::object)
      fail(key, "expected a list of objects, found " + std::string(to_string(item.type)) + " in it");
    result.emplace_back(item, name_);
  }
  return result;
}

}  // namespace kvcast
