/// Azure LLM inference traces, 2023 (local dates, 7 fraction digits) and 2024 (with a time zone): TIMESTAMP,
/// ContextTokens, GeneratedTokens. Published at github.com/Azure/AzurePublicDataset.
#include "workloads/csv_trace.h"

namespace kvcast {
namespace {

CsvTraceColumns columns() {
  return {"TIMESTAMP", "ContextTokens", "GeneratedTokens", CsvTraceColumns::Clock::date,
          CsvTraceColumns::ZeroOutput::counts_as_one};
}

WorkloadFactory make(TraceInput& input) {
  input.assumptions.push_back(zero_tokens_assumption());
  return csv_trace(input, columns());
}

}  // namespace

TraceFormat azure_format() {
  return {[](std::string_view head) { return has_columns(head, columns()); }, make, false,
          "Azure LLM inference traces (github.com/Azure/AzurePublicDataset), CC-BY-4.0; Patel et al., "
          "Splitwise, ISCA 2024"};
}

}  // namespace kvcast
