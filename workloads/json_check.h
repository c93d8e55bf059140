/// Where a JSON text stops being one: for messages, after the fast parser has refused it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace kvcast {

struct JsonError {
  std::size_t offset = 0;
  const char* expected = "";  // "',' or '}'"
};

/// The first place at which `text` is not one JSON value (RFC 8259; UTF-8 is not checked); nullopt when it is
/// one.
[[nodiscard]] std::optional<JsonError> find_json_error(std::string_view text);

}  // namespace kvcast
