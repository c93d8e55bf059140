/// Typed, strict reads of one JSON object: every message names file, line, column and key, and a key that
/// nobody read is an error.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/json_document.h"

namespace kvcast {

/// A view of one object; the JsonValue must outlive it. Reads mark their key as known.
class JsonFields {
 public:
  static constexpr std::int64_t kCountMax = std::int64_t{1} << 40;
  static constexpr double kRealMax = 1e18;

  /// \param file stands for the file in messages
  /// \throws InputError (exit code 4) where `object` is none
  JsonFields(const JsonValue& object, std::string file);

  [[nodiscard]] bool has(std::string_view key) const { return object_->find(key) != nullptr; }
  /// \throws InputError where the key is absent, of another type, or out of range
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t min = 0,
                                     std::int64_t max = kCountMax);
  [[nodiscard]] std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t min = 0,
                                        std::int64_t max = kCountMax);
  [[nodiscard]] double real(std::string_view key, double min = -kRealMax, double max = kRealMax);
  [[nodiscard]] double real_or(std::string_view key, double fallback, double min = -kRealMax,
                               double max = kRealMax);
  [[nodiscard]] bool boolean_or(std::string_view key, bool fallback);
  [[nodiscard]] std::string text(std::string_view key);
  [[nodiscard]] std::string text_or(std::string_view key, std::string_view fallback);
  [[nodiscard]] std::vector<double> reals(std::string_view key, double min = -kRealMax,
                                          double max = kRealMax);
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::int64_t min = 0,
                                                   std::int64_t max = kCountMax);
  [[nodiscard]] std::vector<std::string> texts(std::string_view key);
  [[nodiscard]] JsonFields child(std::string_view key);
  [[nodiscard]] std::vector<JsonFields> children(std::string_view key);
  /// The value itself, whatever its type. \throws InputError where the key is absent
  [[nodiscard]] const JsonValue& value(std::string_view key);
  /// Marks a key as known whose value this reader has no use for.
  void ignore(std::string_view key) { known_.emplace_back(key); }

  /// \throws InputError at the first key that no read asked for, naming the known ones
  void finish() const;
  /// \throws InputError (exit code 4) "file:line:column: key: what", at the object where the key is absent
  [[noreturn]] void fail(std::string_view key, const std::string& what) const;
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] const JsonValue& object() const { return *object_; }

 private:
  [[nodiscard]] const JsonValue& require(std::string_view key, JsonValue::Type type);
  [[nodiscard]] double to_real(std::string_view key, const JsonValue& value, double min, double max) const;
  [[nodiscard]] std::int64_t to_integer(std::string_view key, const JsonValue& value, std::int64_t min,
                                        std::int64_t max) const;

  const JsonValue* object_;
  std::string file_;
  std::vector<std::string> known_;
};

/// A JSON string literal with its quotes.
[[nodiscard]] std::string json_quoted(std::string_view text);

}  // namespace kvcast
