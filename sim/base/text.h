/// Small helpers for text that comes from users and goes into messages and files.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kvcast {

/// The text in double quotes for a message: control characters escaped, longer than 60 bytes cut with "..."
/// at a character's border.
[[nodiscard]] std::string quoted(std::string_view text);

/// A finite double exactly as written in plain decimal or scientific notation ("4", "-0.5", "1e6"); nothing
/// else, no spaces. \returns nullopt for other text (also inf, nan and hexadecimal) and for magnitudes that a
/// double cannot hold
[[nodiscard]] std::optional<double> parse_real(std::string_view text);

/// Byte offset of the first byte that is not valid UTF-8 (overlong forms, surrogates, beyond U+10FFFF), or
/// npos.
[[nodiscard]] std::size_t find_invalid_utf8(std::string_view text);

/// A YAML scalar that reads back as `text`: plain where that is unambiguous, double-quoted otherwise.
[[nodiscard]] std::string yaml_scalar(std::string_view text);

}  // namespace kvcast
