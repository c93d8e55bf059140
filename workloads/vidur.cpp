/// Vidur's processed traces (github.com/microsoft/vidur, data/processed_traces): arrived_at in seconds,
/// prefill and decode tokens.
#include "workloads/csv_trace.h"

namespace kvcast {
namespace {

CsvTraceColumns columns() {
  return {"arrived_at", "num_prefill_tokens", "num_decode_tokens", CsvTraceColumns::Clock::seconds,
          CsvTraceColumns::ZeroOutput::counts_as_one};
}

WorkloadFactory make(TraceInput& input) {
  input.assumptions.push_back(zero_tokens_assumption());
  return csv_trace(input, columns());
}

}  // namespace

TraceFormat vidur_format() {
  return {[](std::string_view head) { return has_columns(head, columns()); }, make, false,
          "Vidur's processed traces (github.com/microsoft/vidur), MIT"};
}

}  // namespace kvcast
