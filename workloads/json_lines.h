/// JSON lines through simdjson, with errors that point at the value. Include in .cpp files only: simdjson is
/// a large header.
#pragma once

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/text.h"
#include "workloads/json_check.h"
#include "workloads/lines.h"
#include "workloads/numbers.h"

namespace kvcast {

using JsonValue = simdjson::ondemand::value;

/// Contract: one JSON object a line. next() moves on; fields() visits the object's fields once; the typed
/// reads convert a value or throw InputError (bad_data) at its place. Values that a visitor does not read are
/// skipped.
class JsonLines {
 public:
  explicit JsonLines(const TraceFile& file) : lines_(file) {}

  [[nodiscard]] bool next() { return lines_.next(); }
  [[nodiscard]] const LineReader& lines() const { return lines_; }

  /// Calls visit(key, value) for each field of the line's object.
  template <class Visit>
  void fields(Visit&& visit) {
    const std::string_view text = lines_.text();
    simdjson::ondemand::object object;
    if (parser_.iterate(text.data(), text.size(), text.size() + LineReader::kPadding).get(document_) !=
            simdjson::SUCCESS ||
        document_.get_object().get(object) != simdjson::SUCCESS) {
      not_json("a JSON object, {\"key\": value, ...}, is needed");
    }
    visit_fields(object, visit);
    if (document_.current_location().error() != simdjson::OUT_OF_BOUNDS)
      not_json("one JSON object a line is needed");
  }

  /// The same for an object inside.
  template <class Visit>
  void fields_of(JsonValue& value, std::string_view key, Visit&& visit) {
    const char* at = place(value);
    simdjson::ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) wrong(at, key, "an object, {...}");
    visit_fields(object, visit);
  }

  /// Calls visit(element) for each element of an array.
  template <class Visit>
  void elements_of(JsonValue& value, std::string_view key, Visit&& visit) {
    const char* at = place(value);
    simdjson::ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) wrong(at, key, "a list, [...]");
    for (auto element : array) {
      JsonValue item;
      if (element.get(item) != simdjson::SUCCESS) not_json("a list, [...], is needed");
      visit(item);
    }
  }

  /// A whole number of [min, max].
  [[nodiscard]] std::int64_t count(JsonValue& value, std::string_view key, std::int64_t min,
                                   std::int64_t max) {
    const std::string_view token = scalar(value);
    const std::optional<std::int64_t> parsed = parse_count(token);
    if (!parsed || *parsed < min || *parsed > max) {
      wrong(token.data(), key, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    }
    return *parsed;
  }

  /// A time in a unit with `unit_digits` decimal digits of nanoseconds.
  [[nodiscard]] std::int64_t time_ns(JsonValue& value, std::string_view key, int unit_digits,
                                     std::int64_t max_ns = kArrivalMaxNs) {
    const std::string_view token = scalar(value);
    const std::optional<std::int64_t> parsed = parse_time_ns(token, unit_digits, max_ns);
    if (!parsed) wrong(token.data(), key, "a time of 0 or more (at most ten years)");
    return *parsed;
  }

  /// A text; valid until the next line.
  [[nodiscard]] std::string_view string(JsonValue& value, std::string_view key) {
    const char* at = place(value);
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS) wrong(at, key, "a text in double quotes");
    return text;
  }

  [[nodiscard]] bool is_null(JsonValue& value) { return scalar(value) == "null"; }

  /// Where a value stands in the line.
  [[nodiscard]] const char* place(JsonValue& value) { return value.raw_json_token().data(); }

  [[noreturn]] void fail(const char* at, const std::string& message) const { lines_.fail(at, message); }
  [[noreturn]] void fail(const std::string& message) const { lines_.fail(message); }

  /// "key: 12x is given, a whole number ... is needed"
  [[noreturn]] void wrong(const char* at, std::string_view key, const std::string& wanted) const {
    const std::string_view text = lines_.text();
    std::string_view rest = text.substr(static_cast<std::size_t>(at - text.data()));
    const bool whole_token = rest.starts_with('"') || rest.starts_with('[') || rest.starts_with('{');
    if (!whole_token) rest = rest.substr(0, rest.find_first_of(",]} \t"));
    const std::string given = rest.starts_with('[')   ? "a list"
                              : rest.starts_with('{') ? "an object"
                              : rest.starts_with('"') ? "a text"
                                                      : quoted(rest);
    lines_.fail(at, std::string(key) + ": " + given + " is given, " + wanted + " is needed");
  }

  /// The line is not JSON: says where, from a slower parser that keeps track of it.
  [[noreturn]] void not_json(const char* otherwise) const {
    const std::string_view text = lines_.text();
    if (const std::size_t bad = find_invalid_utf8(text); bad != std::string_view::npos) {
      lines_.fail(text.data() + bad, "not valid JSON: bytes that are not UTF-8");
    }
    if (const auto error = find_json_error(text)) {
      lines_.fail(text.data() + error->offset,
                  std::string("not valid JSON: ") + error->expected + " is needed here");
    }
    lines_.fail(otherwise);
  }

 private:
  /// The text of a number, true, false or null (or the beginning of anything else), without what follows it.
  [[nodiscard]] std::string_view scalar(JsonValue& value) {
    std::string_view token = value.raw_json_token();
    token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
    return token;
  }

  template <class Visit>
  void visit_fields(simdjson::ondemand::object& object, Visit& visit) {
    for (auto field : object) {
      std::string_view key;
      JsonValue value;
      if (field.unescaped_key().get(key) != simdjson::SUCCESS ||
          field.value().get(value) != simdjson::SUCCESS) {
        not_json("a JSON object, {\"key\": value, ...}, is needed");
      }
      visit(key, value);
    }
  }

  LineReader lines_;
  simdjson::ondemand::parser parser_;
  simdjson::ondemand::document document_;
};

/// Which of a format's keys a line has had: finds missing and doubled ones.
template <std::size_t N>
class KeySet {
 public:
  explicit KeySet(const std::array<std::string_view, N>& keys) : keys_(keys) {}

  /// Index of a known key, which counts as seen from now on; N for an unknown one.
  [[nodiscard]] std::size_t see(std::string_view key, const JsonLines& lines) {
    for (std::size_t i = 0; i < N; ++i) {
      if (keys_[i] != key) continue;
      if (seen_[i]) lines.fail(quoted(key) + " is given twice");
      seen_[i] = true;
      return i;
    }
    return N;
  }
  [[nodiscard]] bool saw(std::size_t i) const { return seen_[i]; }
  void need(std::size_t i, const JsonLines& lines) const {
    if (!seen_[i]) lines.fail(quoted(keys_[i]) + " is missing");
  }
  void clear() { seen_ = {}; }

 private:
  const std::array<std::string_view, N>& keys_;
  std::array<bool, N> seen_{};
};

}  // namespace kvcast
