/// What the tests of this folder share.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/error.h"
#include "workloads/trace_format.h"
#include "workloads/workload.h"

namespace kvcast::test {

inline constexpr const char* kTraceName = "t";

/// The message of the InputError that `run` throws; "" if it throws none. `code` gets its exit code.
template <class Run>
std::string message_of(const Run& run, ExitCode* code = nullptr) {
  try {
    run();
  } catch (const InputError& error) {
    if (code != nullptr) *code = error.code();
    return error.what();
  }
  return "";
}

/// A factory for a trace in memory. \param options YAML of the `trace:` mapping; the format's own keys
inline WorkloadFactory trace_in_memory(const std::string& format, std::string text,
                                       const std::string& options = "", std::uint64_t seed = 1) {
  Config config = Config::from_text(options, "o.yaml");
  std::vector<std::string> assumptions;
  TraceInput input{{file_in_memory(kTraceName, std::move(text))},
                   config,
                   seed,
                   [](const std::string& path) -> TraceFile { return file_on_disk(path); },
                   assumptions};
  WorkloadFactory make = trace_formats().find(format, "test").make.make(input);
  config.finish();
  return make;
}

/// Takes everything, ending each request the moment it arrives.
inline std::vector<Request> take_all(RequestSource& source) {
  std::vector<Request> requests;
  while (source.next_arrival()) {
    requests.push_back(source.take());
    source.finished(requests.back().id, requests.back().arrival);
  }
  return requests;
}

inline std::vector<Request> read_all(const std::string& format, const std::string& text,
                                     const std::string& options = "") {
  return take_all(*trace_in_memory(format, text, options)());
}

/// The message that reading a trace to its end gives.
inline std::string trace_message(const std::string& format, const std::string& text,
                                 ExitCode* code = nullptr) {
  return message_of([&] { static_cast<void>(read_all(format, text)); }, code);
}

/// "arrival_ns input output[ segment:length...]" of each request, for comparing streams.
inline std::string shown(const std::vector<Request>& requests) {
  std::string text;
  for (const Request& request : requests) {
    text += std::to_string(to_number(request.id)) + " " +
            std::to_string(request.arrival.time_since_epoch().count()) + " " +
            std::to_string(request.input.value) + " " + std::to_string(request.output.value) + " " +
            std::to_string(request.output_limit.value) + " " +
            std::to_string(request.output_predicted.value) + " " + std::to_string(request.priority) + " " +
            std::to_string(request.tenant);
    if (request.details != nullptr) {
      text += " " + request.details->name + "/" + request.details->session;
      for (const PromptSegment& segment : request.details->content) {
        text += " " + std::to_string(segment.segment) + ":" + std::to_string(segment.length.value);
      }
    }
    text += "\n";
  }
  return text;
}

/// Lengths of a request's content segments.
inline std::vector<std::int64_t> segment_lengths(const Request& request) {
  std::vector<std::int64_t> lengths;
  if (request.details == nullptr) return lengths;
  for (const PromptSegment& segment : request.details->content) lengths.push_back(segment.length.value);
  return lengths;
}

inline std::int64_t ns(Instant when) { return when.time_since_epoch().count(); }

/// A workload from the YAML of a `workload:` mapping.
inline WorkloadSetup workload(const std::string& yaml, std::uint64_t seed = 1) {
  Config config = Config::from_text(yaml, "w.yaml");
  WorkloadSetup setup = make_workload(config, seed, "");
  config.finish();
  return setup;
}

inline std::string workload_message(const std::string& yaml, ExitCode* code = nullptr) {
  return message_of([&] { static_cast<void>(take_all(*workload(yaml).make_source())); }, code);
}

/// Mean, standard deviation and the standard errors of mean and cv of a sample.
struct Moments {
  double n = 0, mean = 0, std = 0, fourth = 0, third = 0;
  explicit Moments(const std::vector<double>& values) : n(static_cast<double>(values.size())) {
    for (const double value : values) mean += value / n;
    double m2 = 0, m3 = 0, m4 = 0;
    for (const double value : values) {
      const double d = value - mean;
      m2 += d * d / n;
      m3 += d * d * d / n;
      m4 += d * d * d * d / n;
    }
    std = std::sqrt(m2);
    third = m3;
    fourth = m4;
  }
  [[nodiscard]] double cv() const { return std / mean; }
  [[nodiscard]] double mean_error() const { return std / std::sqrt(n); }
  /// Delta method for std / mean of independent values.
  [[nodiscard]] double cv_error() const {
    const double m2 = std * std;
    const double var_mean = m2 / n;
    const double var_std = (fourth - m2 * m2) / (4 * m2 * n);
    const double cov = third / (2 * std * n);
    const double c = cv();
    return std::sqrt(std::max(
        0.0, var_std / (mean * mean) + c * c * var_mean / (mean * mean) - 2 * c * cov / (mean * mean)));
  }
};

}  // namespace kvcast::test
