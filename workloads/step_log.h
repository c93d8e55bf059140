/// Step logs: what a real engine computed in each step and how long that took. JSON lines with the sequences
/// of each step, or CSV with a row of counts for each.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/config.h"
#include "sim/step_timer.h"
#include "workloads/bytes.h"

namespace kvcast {

struct LoggedStep {
  StepShape shape;
  double start_us = 0;
  double time_us = 0;     // until the next step can start
  std::size_t run = 0;    // index into StepLog::runs
  std::size_t group = 0;  // index into StepLog::groups: what one fit is made for
};

struct StepLog {
  std::vector<LoggedStep> steps;
  std::vector<std::string> runs;    // one for each run of the engine: the file, or the values of a column
  std::vector<std::string> groups;  // model and parallelism, where the log says them; else ""
  std::string model;                // the header's, without spaces; empty: not said
  std::string engine;               // "vllm 0.32.0 (CPU build)", where the log says it
  std::vector<std::string> notes;   // what is approximated, what was left out
};

/// Which column of a CSV holds what.
struct StepColumns {
  std::string step;   // number of the step; needed with `start`
  std::string start;  // when it began: its time is the difference to the start of the step after it
  std::string time;   // or the time itself
  double start_unit_us = 1, time_unit_us = 1;
  std::string decode_seqs, prefill_seqs, prefill_tokens;
  std::string decode_context;             // tokens attended to by the decodes; or, in its place:
  std::string blocks_total, blocks_free;  // KV blocks, from which the context follows approximately
  std::int64_t block_size = 0;            // tokens a block
  std::string run;                        // empty: the file is one run
  std::vector<std::string> group;         // columns that tell models and their parallelism apart
  std::vector<std::pair<std::string, std::string>> rename;  // values of those columns that mean the same
};

/// A column map as YAML (docs/calibration.md). \throws InputError for unknown keys and missing ones
[[nodiscard]] StepColumns read_step_columns(Config map);

/// Reads one log: JSON lines {"step": {"start_us", "dur_us", "scheduled": [[id, tokens, computed], ...]}}, or
/// CSV. Appends to `log`; equal runs and groups get equal indices. \param columns of a CSV; nullptr: the
/// known layout of vLLM's step tracing \throws InputError (bad_data) "file:line:column: what"
void read_step_log(const TraceFile& file, const StepColumns* columns, StepLog& log);

}  // namespace kvcast
