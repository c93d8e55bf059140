/// What a real engine's log says beside its requests and its steps: how the engine was set, and what it did.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "workloads/bytes.h"

namespace kvcast {

/// One request that got its answer.
struct EngineAnswer {
  double arrival_us = 0;
  double first_token_us = 0;
  double last_token_us = 0;
  std::int64_t output_tokens = 0;
};

struct EngineRun {
  std::string name;                                           // the header's case, else the file
  std::string version;                                        // "0.32.0 (CPU build)"
  std::vector<std::pair<std::string, std::string>> settings;  // the header's "engine": keys and JSON scalars
  std::vector<EngineAnswer> answers;
  std::int64_t preemptions = 0;
  std::int64_t prompt_tokens = 0;  // of all requests
  std::int64_t cached_tokens = 0;  // of them, found in the cache at first admission
  double busy_us = 0;              // inside steps
};

/// Reads the header, what each request line says of its answer, and counts over the step lines.
/// \throws InputError (bad_data) "file:line:column: what"
[[nodiscard]] EngineRun read_engine_run(const TraceFile& file);

}  // namespace kvcast
