/// Typed reads of a Hugging Face config.json: every message names the file, line, column and key.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/json_document.h"

namespace kvcast {

/// A view of one object of the file; the JsonValue must outlive it. A key whose value is null counts as
/// absent, as in Python's classes.
class HfConfig {
 public:
  // Bounds that no model reaches; products of a few of them stay far below 64 bits.
  static constexpr std::int64_t kWidthMax = std::int64_t{1} << 20;  // elements of a vector
  static constexpr std::int64_t kCountMax = std::int64_t{1} << 14;  // heads, experts, elements of one head
  static constexpr std::int64_t kPositionsMax = std::int64_t{1} << 40;  // tokens

  HfConfig(const JsonValue& object, std::string name) : object_(&object), name_(std::move(name)) {}

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] const JsonValue* find(std::string_view key) const;

  /// Integers; reals with an integral value count as such. Values outside [min, max] are refused.
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t min,
                                     std::int64_t max = kWidthMax) const;
  [[nodiscard]] std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t min = 0,
                                        std::int64_t max = kWidthMax) const;
  [[nodiscard]] double real_or(std::string_view key, double fallback) const;
  [[nodiscard]] bool boolean_or(std::string_view key, bool fallback) const;
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::string text_or(std::string_view key, std::string_view fallback) const;
  /// Lists. Also reads the summary notation "list[48]:{'full_attention': 12, 'sliding_attention': 36}" of
  /// published field extracts, where the order of the kinds is lost: they come in the order of the summary.
  [[nodiscard]] std::vector<std::string> strings(std::string_view key) const;
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::int64_t min,
                                                   std::int64_t max = kWidthMax) const;
  [[nodiscard]] std::optional<HfConfig> child(std::string_view key) const;
  [[nodiscard]] std::vector<HfConfig> children(std::string_view key) const;

  /// \throws InputError (exit code 4) at the key's value, or at the object where the key is absent
  [[noreturn]] void fail(std::string_view key, const std::string& what) const;
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  [[nodiscard]] std::int64_t to_integer(std::string_view key, const JsonValue& value, std::int64_t min,
                                        std::int64_t max) const;
  [[nodiscard]] const JsonValue& require(std::string_view key) const;

  const JsonValue* object_;
  std::string name_;
};

}  // namespace kvcast
