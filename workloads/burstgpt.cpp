/// BurstGPT: Timestamp in seconds, Request tokens, Response tokens; other columns (Model, Log Type, Session
/// ID, ...) are not used. Published at github.com/HPMLL/BurstGPT.
#include "workloads/csv_trace.h"

namespace kvcast {
namespace {

CsvTraceColumns columns() {
  return {"Timestamp", "Request tokens", "Response tokens", CsvTraceColumns::Clock::seconds,
          CsvTraceColumns::ZeroOutput::is_a_failure};
}

WorkloadFactory make(TraceInput& input) {
  input.assumptions.push_back(
      "rows with 0 response tokens are failed requests (as BurstGPT defines them) and are left out; requests "
      "to all models are replayed");
  return csv_trace(input, columns());
}

}  // namespace

TraceFormat burstgpt_format() {
  return {[](std::string_view head) { return has_columns(head, columns()); }, make, false,
          "BurstGPT (github.com/HPMLL/BurstGPT), CC-BY-4.0; cite Wang et al., 2024"};
}

}  // namespace kvcast
