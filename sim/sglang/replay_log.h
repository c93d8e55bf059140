/// Replays decision logs of SGLang's own scheduler and radix cache: the log's settings, requests and clock
/// through the engine of this folder and the cluster's event loop, compared line by line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/cluster/cluster.h"

namespace kvcast {

/// The first place where a log and the replay differ.
struct DecisionDifference {
  std::int64_t line = 0;             // in the log, from 1
  std::string field;                 // "av" or "last.at"; empty: a line too many or too few
  std::string expected;              // the log's line; empty: the log has ended
  std::string made;                  // the replay's; empty: the replay has ended
  std::vector<std::string> context;  // the lines before it, on which both agree
};

struct DecisionReplay {
  std::string log_case;
  std::string version;
  std::int64_t decisions = 0;      // lines compared
  std::int64_t steps = 0;          // of the scheduler; operations of a radix log
  std::int64_t steps_in_runs = 0;  // of them in closed form
  std::optional<DecisionDifference> difference;
};

/// \param lines the log's, header first ("kind": "scheduler" or "radix")
/// \param name of the log, for messages
/// \throws InputError (bad data) naming line and cause where the log cannot be read or asks for what this
/// engine does not have
[[nodiscard]] DecisionReplay replay_sglang_log(const std::vector<std::string>& lines, const std::string& name,
                                               StepPath path);

}  // namespace kvcast
