/// The writers of a comparison (sim/plan/comparison.h). All are pure and deterministic.
#pragma once

#include <string>

#include "sim/plan/comparison.h"

namespace kvcast {

/// For a terminal, at most 100 columns: the headline numbers of every cell, then (of up to three cells) every
/// difference.
[[nodiscard]] std::string to_table(const Comparison& comparison, bool color);
[[nodiscard]] std::string to_json(const Comparison& comparison);
/// One row for each cell and metric.
[[nodiscard]] std::string to_csv(const Comparison& comparison);
[[nodiscard]] std::string to_markdown(const Comparison& comparison);
/// One HTML file, no script, no outside address.
[[nodiscard]] std::string to_html(const Comparison& comparison);

/// What the comparison found, in one sentence that can be quoted.
[[nodiscard]] std::string sentence_of(const Comparison& comparison);

}  // namespace kvcast
