/// What the reports' words mean. The field's tools give the same names to different numbers, so every page
/// carries the definitions of the terms that it uses, and shows one where its term is hovered or focused.
#pragma once

#include <string>
#include <string_view>

namespace kvcast {

/// A term that explains itself on hover and on focus. \param key of the definition \param text how the page
/// calls it, plain text; empty: the definition's own name \throws check failure for an unknown key
[[nodiscard]] std::string html_term(std::string_view key, std::string_view text = "");

/// The definitions of all terms that `html` uses, as a section of the page; empty where it uses none.
[[nodiscard]] std::string html_glossary(const std::string& html);

/// The definition as plain text.
[[nodiscard]] const char* definition_of(std::string_view key);

}  // namespace kvcast
