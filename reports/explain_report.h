/// Writers of an Explanation (sim/metrics/explanation.h).
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "sim/metrics/explanation.h"
#include "sim/metrics/forecast.h"
#include "sim/metrics/step_trace.h"

namespace kvcast {

/// For a terminal: where time and memory went, and what a change would do. The forecast's own table is not in
/// it.
[[nodiscard]] std::string explain_table(const Forecast& forecast, const Explanation& explanation, bool color);
[[nodiscard]] std::string explain_markdown(const Forecast& forecast, const Explanation& explanation);
/// Sections of the HTML report.
[[nodiscard]] std::string explain_html(const Explanation& explanation);
/// The value of `explain` in the result JSON: {"ttft_p99": {"requests", "total_ns", "parts_ns": {...}}, ...}.
[[nodiscard]] std::string explain_json(const Explanation& explanation);
/// One row a statistic, one column a part, nanoseconds.
[[nodiscard]] std::string explain_csv(const Explanation& explanation);

/// One sentence: what takes most of TTFT and TPOT at p99, and the change to make first.
[[nodiscard]] std::string explain_verdict(const Explanation& explanation);

/// One request with its parts, as --requests of kvcast explain writes it: JSON lines or CSV.
[[nodiscard]] std::string request_times_json(const std::vector<RequestTime>& requests);
[[nodiscard]] std::string request_times_csv(const std::vector<RequestTime>& requests);

/// Chrome's trace-event format in JSON, as ui.perfetto.dev and chrome://tracing open it: one process for the
/// replicas with a track for each device, link and tier, one for the requests with a track each, counters of
/// running and waiting requests and free blocks.
[[nodiscard]] std::string to_perfetto(const StepTrace& trace, std::int64_t replicas);

}  // namespace kvcast
