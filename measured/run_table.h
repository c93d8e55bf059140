/// Tables of many measured runs, each with its own model and load: a CSV of stage statistics and the JSON of
/// its workloads.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "measured/measured.h"

namespace kvcast {

/// One run: what was served, under which load, and what was seen.
struct TableRun {
  std::string name;
  std::string model;     // as the table names it: a Hugging Face id
  std::string hardware;  // "H100"
  std::vector<std::pair<std::string, std::string>>
      settings;                     // path and value, as for --set: engine, cluster, workload
  std::vector<MeasuredLoad> loads;  // by stage
};

/// Whether a file begins like the CSV of such a table (`exp,model,hardware,tp,...,stage_index,e2e_mean,...`).
[[nodiscard]] bool is_run_table(const TraceFile& file);

/// Rows with a stage_index below 0 sum a run up and are left out; latencies are in milliseconds.
/// \param workloads a JSON list of {id, model, tp, max_num_seqs, max_num_batched_tokens, total_kv_blocks,
/// workload: {inference_perf: {...}}}; a run's name begins with the id of its entry \throws InputError (exit
/// code 4) at a row without an entry, and at what cannot be read in either file
[[nodiscard]] std::vector<TableRun> read_run_table(const TraceFile& table, const TraceFile& workloads);

}  // namespace kvcast
