/// The writers of a replay of decision logs: does kvcast decide what the engine decided?
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/metrics/forecast.h"

namespace kvcast {

/// Where a replay first differs from its log.
struct ReplayDifference {
  std::string where;                 // "step 17" or "request 3, first token"
  std::string expected;              // the log's side
  std::string made;                  // kvcast's
  std::vector<std::string> context;  // the steps before it, on which both agree
};

/// One log, replayed in both step paths.
struct ReplayedLog {
  std::string path;
  std::string name;                // of the case
  std::string engine;              // "vLLM 0.32.0"
  std::int64_t steps = 0;          // compared
  std::int64_t steps_grouped = 0;  // of them in runs by the closed form
  std::optional<ReplayDifference> difference;
  std::string note;  // what the log shows beside its decisions
};

struct DecisionsReport {
  std::vector<ReplayedLog> logs;
  std::vector<InputHash> inputs;
  std::string version;
  std::string command;  // shown by the HTML report only; empty: not shown

  [[nodiscard]] std::size_t equal() const;  // logs without a difference
};

/// "12 of 12 logs equal in every decision"
[[nodiscard]] std::string verdict_of(const DecisionsReport& report);

/// One log's lines for a terminal: equal, or the first difference with both sides.
[[nodiscard]] std::string to_text(const ReplayedLog& log);
[[nodiscard]] std::string to_json(const DecisionsReport& report);
/// One row a log.
[[nodiscard]] std::string to_csv(const DecisionsReport& report);
[[nodiscard]] std::string to_markdown(const DecisionsReport& report);
/// One HTML file below 1 MB.
[[nodiscard]] std::string to_html(const DecisionsReport& report);

}  // namespace kvcast
