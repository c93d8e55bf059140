/// From a scenario's `workload:` section to streams of requests: the door that sim/app uses.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/config.h"
#include "sim/request_source.h"

namespace kvcast {

/// Makes a fresh stream from the beginning. Equal calls give equal streams; calls from several threads are
/// safe.
using SourceFactory = std::function<std::unique_ptr<RequestSource>()>;

/// A file whose content decided the workload; shown under `inputs` of a result.
struct InputFile {
  std::string path;  // as the scenario names it
  std::string hash;  // of the bytes as they lie on disk
};

/// A part of the load at one rate; the last one's end belongs to it.
struct StageWindow {
  Instant begin;
  Instant end;
  double rate = 0;  // requests per second
};

/// A workload, read and checked, ready to be streamed any number of times.
struct WorkloadSetup {
  SourceFactory make_source;
  std::string description;               // one line: format or distributions, arrivals, modifiers
  std::vector<InputFile> inputs;         // in the order of reading
  std::vector<std::string> assumptions;  // what kvcast had to assume, one sentence each
  std::string credit;             // whose data it is and under which licence; "" for synthetic workloads
  std::int64_t requests_max = 0;  // a bound known before the run (synthetic requests, limit); 0: not known
  std::vector<StageWindow> stages;  // in order of time; empty: the load is one
  bool has_feedback = false;      // arrivals depend on the simulated server (closed loop, sessions)
};

/// Reads the keys of a scenario's `workload:` mapping (README.md, "Workloads"): `trace: {...}`, `synthetic:
/// {...}` or `inference_perf: {...}`, and beside them what works on both: `max_concurrency`, `max_tokens`, `predictor`, `priorities`,
/// `tenants`. Without trace and synthetic it is the embedded profile azure-conv. Keys that nobody knows are
/// found by the finish() of the scenario's root. \param seed of every random stream; streams are named, so
/// that one more draw in one of them shifts no other \param base_dir folder of the scenario file: relative
/// paths are looked up there first, then in the working directory \throws InputError for impossible values
/// (exit code 2) and for files that cannot be read (exit code 4)
[[nodiscard]] WorkloadSetup make_workload(Config& workload, std::uint64_t seed, const std::string& base_dir);

/// The same for one trace named on a command line (`kvcast trace stats FILE`).
/// \param format a name of trace_formats() (workloads/trace_format.h), or "" to detect it from the content
[[nodiscard]] WorkloadSetup make_trace_workload(const std::string& path, const std::string& format,
                                                std::uint64_t seed);

/// Requests as kvcast's own JSON lines, in memory. \param name stands for a file \param concurrency most requests in
/// flight; 0: no limit
[[nodiscard]] WorkloadSetup make_lines_workload(const std::string& name, std::string lines, std::int64_t concurrency,
                                                std::uint64_t seed);

}  // namespace kvcast
