/// Traces that are CSV files with a time, an input and an output column.
#pragma once

#include <string>
#include <string_view>

#include "workloads/trace_format.h"

namespace kvcast {

/// What differs between such formats.
struct CsvTraceColumns {
  std::string time;
  std::string input;
  std::string output;
  enum class Clock { date, seconds } clock = Clock::seconds;
  enum class ZeroOutput { counts_as_one, is_a_failure } zero_output = ZeroOutput::counts_as_one;
};

/// Arrivals of a date column count from the first row; those in seconds stay as they are.
[[nodiscard]] WorkloadFactory csv_trace(const TraceInput& input, const CsvTraceColumns& columns);

/// Whether the header line has all three columns.
[[nodiscard]] bool has_columns(std::string_view head, const CsvTraceColumns& columns);

/// Assumption shared by formats whose files contain zeros.
[[nodiscard]] std::string zero_tokens_assumption();

}  // namespace kvcast
