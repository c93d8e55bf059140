/// Decision logs of vLLM's v1 scheduler (one JSON line a step), replayed through the same scheduler, cache
/// and event loop as every simulation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/cluster/cluster.h"

namespace kvcast {

/// Where a replay first differs from its log.
struct LogDifference {
  std::string where;                 // "step 17" or "request 3, first token"
  std::string expected;              // the log's side
  std::string made;                  // kvcast's
  std::vector<std::string> context;  // the steps before it, on which both agree
};

struct LogCheck {
  std::string name;    // of the case
  std::string engine;  // "vLLM 0.32.0"
  std::int64_t requests = 0;
  std::int64_t steps = 0;          // compared, step by step
  std::int64_t steps_grouped = 0;  // in the closed-form path: taken by the decode group as a whole
  std::optional<LogDifference> difference;
  std::string note;  // what the log shows beside its decisions: an engine that hangs
};

/// Replays a log in both step paths and compares: every field of every step in the one, every request's
/// times, cached tokens, preemptions and the least free blocks in both. \throws InputError (exit code 4) when
/// the log cannot be read or its settings are not modelled
[[nodiscard]] LogCheck check_vllm_log(const std::string& path);

}  // namespace kvcast
