/// Forecast beside measurement: the same statistic from both, load by load.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/metrics/forecast.h"

namespace kvcast {

/// Where a forecast number lies with the stated confidence.
struct ErrorBand {
  double low = 0;
  double high = 0;
};

/// One statistic. Latencies in milliseconds, rates per second.
struct ValidatedValue {
  std::string metric;     // "ttft", "tpot", "itl", "ntpot", "e2el", "request_throughput", ...
  std::string statistic;  // "mean", "p99"; empty for rates
  double measured = 0;
  double forecast = 0;
  std::optional<ErrorBand> interval;  // of the forecast; absent where its error is not known

  /// (forecast - measured) / measured; 0 where nothing was measured.
  [[nodiscard]] double error() const;
  [[nodiscard]] bool covered() const {
    return interval && interval->low <= measured && measured <= interval->high;
  }
};

/// What most of an error comes from, judged from the forecast's own parts.
enum class ErrorCause : std::uint8_t { queueing, prefill, decode, memory, host };
[[nodiscard]] const char* name_of(ErrorCause cause);

/// One load of one run.
struct ValidatedLoad {
  std::string run;   // empty where there is only one
  std::string load;  // "stage 1", "4 requests/s"
  std::vector<ValidatedValue> values;
  std::size_t worst = 0;  // index of the value with the largest error
  ErrorCause cause = ErrorCause::decode;
  std::string why;  // one sentence: the parts that the cause was judged by
};

/// A whole validation.
struct Validation {
  std::string title;  // "run.json (vllm bench serve)"
  std::vector<ValidatedLoad> loads;
  std::vector<std::string> skipped;  // what was measured and not compared, with the reason
  std::vector<std::string> notes;
  std::string timer;                    // what the step times rest on
  double confidence = 0;                // of the intervals; 0: none are known
  std::vector<Assumption> assumptions;  // of any of the forecasts, each once
  std::vector<InputHash> inputs;        // files measured and forecast from, in order of path
  std::string seed;
  std::string version;
  std::string command;  // shown by the HTML report only; empty: not shown
};

/// Adds what `forecast` rests on and read to the validation's own lists, each once and in order of path.
void add_provenance(const std::vector<Assumption>& assumptions, const std::vector<InputHash>& inputs,
                    Validation& validation);

/// Of one metric and statistic over all loads that have it.
struct ErrorSummary {
  std::string metric, statistic;
  std::size_t count = 0;
  double median = 0;  // of the absolute relative errors
  double largest = 0;
};
/// In the order of first appearance.
[[nodiscard]] std::vector<ErrorSummary> summarize_errors(const Validation& validation);

/// Largest absolute relative error of all.
[[nodiscard]] double largest_error(const Validation& validation);

/// How many values lie within their interval, of how many that have one.
struct Coverage {
  std::size_t inside = 0;
  std::size_t of = 0;
};
[[nodiscard]] Coverage coverage_of(const Validation& validation);

/// The parts of a forecast's latencies, means in milliseconds.
struct LatencyParts {
  double queue_ms = 0;     // waiting inside the engine
  double frontend_ms = 0;  // before and after the engine
  double prefill_ms = 0;   // TTFT without the two
  double decode_ms = 0;    // first to last token
  std::int64_t preemptions = 0;
  double kv_usage_peak = 0;
};

/// Sets `worst`, `cause` and `why`. A metric between tokens is decode (memory where the pool was full); a
/// metric up to the first token goes to its largest part; E2EL to the part whose own error is larger, TTFT's
/// or decode's.
void find_cause(ValidatedLoad& load, const LatencyParts& parts);

}  // namespace kvcast
