/// Numbers as people read them. No locale: the same text on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/metrics/forecast.h"

namespace kvcast {

/// "1,234,567"
[[nodiscard]] std::string grouped(std::int64_t value);
/// Fixed digits with grouped thousands: "1,234.50".
[[nodiscard]] std::string fixed(double value, int digits);
/// At least three significant digits, never an exponent, whole digits kept: "0.0123", "12.3", "1,234".
[[nodiscard]] std::string significant(double value);
/// "84.2 ms" below ten seconds, "12.3 s" below ten minutes, then "25.4 min" and "7.83 h".
[[nodiscard]] std::string latency(double ms);
/// "512 B", "14.96 GiB": binary units, two decimals.
[[nodiscard]] std::string bytes(std::int64_t value);
/// "42.1 %" of a fraction.
[[nodiscard]] std::string percent(double fraction);

/// `text` broken at spaces into lines of at most `columns`; continuation lines start with `indent` spaces. A
/// longer word stands alone.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent);

/// A latency's names and its definition, printed next to every number because the field's tools disagree.
struct LatencyText {
  LatencySummary Metrics::*summary;
  const char* key;         // "ttft"
  const char* name;        // "TTFT"
  const char* title;       // "Time to First Token", as vllm bench serve prints it
  const char* definition;  // "first token - arrival, queueing included"
};
inline constexpr LatencyText kLatencies[] = {
    {&Metrics::ttft, "ttft", "TTFT", "Time to First Token", "first token - arrival, queueing included"},
    {&Metrics::tpot, "tpot", "TPOT", "Time per Output Token (excl. 1st token)",
     "(last token - first token) / (N - 1), N > 1"},
    {&Metrics::itl, "itl", "ITL", "Inter-token Latency", "all gaps between tokens of all requests, pooled"},
    {&Metrics::e2el, "e2el", "E2EL", "End-to-end Latency", "last token - arrival"},
    {&Metrics::queue, "queue", "Queue", "Queue Time", "first scheduled - arrival"},
    {&Metrics::ntpot, "ntpot", "NTPOT", "Normalised Time per Output Token",
     "E2EL / N; called TPOT by GuideLLM"},
};
/// What an uncalibrated forecast says of itself, always: "step times come from ..., not from measurements".
[[nodiscard]] std::string uncalibrated_text(const Forecast& forecast);

/// "90 %: 24.1 ms to 26.0 ms" of one statistic of a latency; empty where its error is not known.
[[nodiscard]] std::string interval_text(const Forecast& forecast, const std::string& metric,
                                        const std::string& statistic);
/// What the intervals rest on, or why there are none; empty where nobody asked for them.
[[nodiscard]] std::string uncertainty_text(const Forecast& forecast);

/// \throws InputError for a name that is not in the list
[[nodiscard]] const LatencyText& latency_text(std::string_view key);

}  // namespace kvcast
