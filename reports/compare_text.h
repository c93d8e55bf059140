/// How the writers of a comparison put its numbers into words.
#pragma once

#include <string>
#include <vector>

#include "sim/plan/comparison.h"

namespace kvcast {

/// A metric's value with its unit: "84.2 ms", "1,234 tok/s", "12.3 %"; "-" where it is not known.
[[nodiscard]] std::string value_text(const ComparedMetric& metric, double value);

/// "-18.3 %", or the absolute change where the baseline is 0; "=" for no change at all.
[[nodiscard]] std::string change_text(const ComparedMetric& metric, const Difference& difference);

/// "-20.1 to -16.4 %"; "" where there is no interval.
[[nodiscard]] std::string interval_text(const ComparedMetric& metric, const Difference& difference,
                                        double baseline);

/// "*" significant, "" not; "exact" for what is not sampled and differs.
[[nodiscard]] std::string mark_text(const Difference& difference);

/// The metrics that tables begin with: what people ask for first, those that are known in the baseline.
[[nodiscard]] std::vector<std::size_t> headline_metrics(const Comparison& comparison);

/// What one cell changes, as one sentence.
[[nodiscard]] std::string cell_sentence(const Comparison& comparison, const ComparedCell& cell);

/// "in blocks of 40 of its 4,000 requests", and after which time they repeat.
[[nodiscard]] std::string blocks_text(const TrafficBlocks& blocks, std::size_t requests);

/// How intervals and marks were made.
[[nodiscard]] std::string method_text(const Comparison& comparison);

/// Whether a metric is known in the baseline or in the cell.
[[nodiscard]] bool is_shown(const Comparison& comparison, std::size_t metric);

}  // namespace kvcast
