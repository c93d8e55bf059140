/// What load generators measured: their result files in one form, each number under the name that kvcast
/// gives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/bytes.h"

namespace kvcast {

/// A statistic of a latency in milliseconds ("ttft", "mean"), or a rate per second ("request_throughput",
/// "").
struct MeasuredValue {
  std::string
      metric;  // ttft, tpot, itl, ntpot, e2el; request_throughput, output_throughput, total_token_throughput
  std::string statistic;  // mean, std, p50, p90, p95, p99; empty for rates
  double value = 0;
};

/// One request as a detailed file tells it.
struct MeasuredRequest {
  double arrival_s = 0;  // since the first
  std::int64_t input = 0;
  std::int64_t output = 0;
};

/// One run, or one stage of a run, at one load.
struct MeasuredLoad {
  std::string name;                         // as the file calls it, else what the load is: "4 requests/s"
  std::optional<double> rate;               // requests per second; infinity: all at once
  std::optional<double> burstiness;         // shape of the gamma gaps
  std::optional<std::int64_t> concurrency;  // most requests in flight
  std::optional<std::int64_t> completed, failed;
  std::optional<double> input_tokens, output_tokens;  // of all completed requests
  std::optional<std::size_t> stage;                   // of an inference-perf run, from 0
  std::vector<MeasuredValue> values;
  std::vector<MeasuredRequest> requests;  // in order of arrival; empty where the file has none
  bool arrivals_known = false;            // whether the requests' arrivals are the file's own

  [[nodiscard]] std::optional<double> find(std::string_view metric, std::string_view statistic) const;
};

/// A result file.
struct MeasuredFile {
  std::string path;
  std::string tool;  // "vllm bench serve", ...
  std::string note;  // where the tool's names mean something else than kvcast's; empty: nowhere
  std::vector<MeasuredLoad> loads;
};

/// Reads a result file of `vllm bench serve`, SGLang's bench_serving, GuideLLM, AIPerf (genai-perf),
/// inference-perf, or kvcast's own request rows (`simulate --requests`), told apart by content. \throws
/// InputError (exit code 4) "file:line:column: what", naming the known tools where it is none of them
[[nodiscard]] MeasuredFile read_measured(const TraceFile& file);

}  // namespace kvcast
