/// The record of one case: summary of its samples and the line that holds it.
#pragma once

#include <string>
#include <vector>

#include "kernels/bench/device.h"

namespace kvcast::bench {

/// numpy's linear quantile. \param sorted at least one value
[[nodiscard]] double quantile(const std::vector<double>& sorted, double fraction);

/// {"n": .., "min": .., "p5": .., "q1": .., "median": .., "q3": .., "p95": .., "mad": ..}
[[nodiscard]] std::string summary_json(std::vector<double> samples);

/// \param run members that all records of one run share (", \"suite\": ...")
[[nodiscard]] std::string record_line(const Case& what, const std::vector<Sample>& samples,
                                      std::int64_t repeats, const Device& device, const std::string& run);

/// A number as JSON, with 9 digits.
[[nodiscard]] std::string json_number(double value);

}  // namespace kvcast::bench
