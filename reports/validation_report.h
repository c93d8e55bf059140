/// The writers of a Validation: forecast beside measurement.
#pragma once

#include <string>

#include "sim/metrics/validation.h"

namespace kvcast {

/// For a terminal, at most 100 columns.
[[nodiscard]] std::string to_table(const Validation& validation, bool color);
/// Ends with a newline.
[[nodiscard]] std::string to_json(const Validation& validation);
/// GitHub-flavoured Markdown.
[[nodiscard]] std::string to_markdown(const Validation& validation);
/// One row for each number; latencies in milliseconds, errors as fractions.
[[nodiscard]] std::string to_csv(const Validation& validation);
/// One HTML file below 1 MB.
[[nodiscard]] std::string to_html(const Validation& validation);

}  // namespace kvcast
