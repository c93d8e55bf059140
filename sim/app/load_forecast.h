/// The forecast of each part of a load, at the forecast's own times and at the ends of its 90 % interval.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/app/compose.h"
#include "sim/metrics/validation.h"

namespace kvcast {

/// What the requests of one part of a load saw.
struct PartSummary {
  Samples ttft, tpot, ntpot, e2el, queue;
  Int128 gaps_ns = 0;     // from first to last tokens, all requests
  std::int64_t gaps = 0;  // tokens after the first
  std::int64_t completed = 0, input_tokens = 0, output_tokens = 0;
  Instant first_arrival = kNever;
  Instant last_token = kStart;
};

/// One run, by part. \param stages windows of arrival; empty: one part
struct LoadRun {
  std::vector<PartSummary> parts;
  Metrics metrics;  // of all parts together
};

/// A run of an experiment at its own times and, where its error is known, at both ends.
struct LoadForecast {
  LoadRun base;
  std::optional<LoadRun> slow, fast;
};
[[nodiscard]] LoadForecast forecast_load(const Experiment& experiment);

/// One statistic of a part as kvcast defines it; nothing where it is not known (percentiles of the gaps of
/// one part among several, a metric without samples). Latencies in milliseconds.
[[nodiscard]] std::optional<double> statistic_of(const LoadRun& run, std::size_t part,
                                                 const std::string& metric, const std::string& statistic);

/// The parts of the latencies, for the cause of an error.
[[nodiscard]] LatencyParts latency_parts(const Experiment& experiment, const LoadRun& run, std::size_t part);

}  // namespace kvcast
