/// The words that all writers of a Validation share.
#pragma once

#include <string>

#include "sim/metrics/validation.h"

namespace kvcast {

/// "+4.2 %"
[[nodiscard]] std::string signed_percent(double share);
/// "p99 TTFT", "output throughput"
[[nodiscard]] std::string label_of(const std::string& metric, const std::string& statistic);
/// A number of this value's kind: "84.2 ms" of a latency, else "12.3".
[[nodiscard]] std::string number_of(const ValidatedValue& value, double x);
/// "80 ms to 90 ms", or "-".
[[nodiscard]] std::string interval_of(const ValidatedValue& value);
/// The run's and the load's name.
[[nodiscard]] std::string title_of(const ValidatedLoad& load);
/// How many measurements lie within the stated intervals.
[[nodiscard]] std::string coverage_text(const Validation& validation);
/// "largest: p99 TTFT -20.0 %, cause prefill"
[[nodiscard]] std::string cause_text(const ValidatedLoad& load);
/// One sentence: the median error of each kind of number, and the coverage.
[[nodiscard]] std::string verdict_of(const Validation& validation);

}  // namespace kvcast
