#include "workloads/csv_trace.h"

#include <algorithm>

#include "sim/base/text.h"
#include "workloads/csv.h"
#include "workloads/numbers.h"

namespace kvcast {
namespace {

enum Column : std::size_t { kTime, kInput, kOutput };

class CsvTrace final : public OpenLoopSource {
 public:
  CsvTrace(const TraceFile& file, const CsvTraceColumns& columns)
      : columns_(columns), csv_(file, {columns.time, columns.input, columns.output}) {}

 private:
  bool read(Request& request) override {
    while (csv_.next()) {
      const std::int64_t input = csv_.tokens(kInput);
      const std::int64_t output = csv_.tokens(kOutput);
      const std::int64_t arrival = arrival_ns();
      if (output == 0 && columns_.zero_output == CsvTraceColumns::ZeroOutput::is_a_failure) continue;
      request.arrival = Instant{Duration{arrival}};
      request.input = Tokens{std::max<std::int64_t>(input, 1)};
      request.output = Tokens{std::max<std::int64_t>(output, 1)};
      return true;
    }
    return false;
  }

  std::int64_t arrival_ns() {
    const bool date = columns_.clock == CsvTraceColumns::Clock::date;
    const std::string_view text = csv_.field(kTime);
    const auto parsed = date ? parse_date_ns(text) : parse_time_ns(text, 9);
    if (!parsed) {
      csv_.fail(kTime, quoted(text) + " is given, " +
                           (date ? "a date and time (2023-11-16 18:15:46.6805900)"
                                 : "seconds of 0 or more (at most ten years)") +
                           " is needed");
    }
    if (first_ns_ < 0) {
      first_ns_ = date ? *parsed : 0;
      last_ns_ = *parsed;
    }
    if (*parsed < last_ns_) csv_.fail(kTime, "earlier than the row before: sort the rows by this column");
    if (*parsed - first_ns_ > kArrivalMaxNs) csv_.fail(kTime, "more than ten years after the first row");
    last_ns_ = *parsed;
    return *parsed - first_ns_;
  }

  CsvTraceColumns columns_;
  CsvReader csv_;
  std::int64_t first_ns_ = -1;  // -1: before the first row
  std::int64_t last_ns_ = 0;
};

}  // namespace

WorkloadFactory csv_trace(const TraceInput& input, const CsvTraceColumns& columns) {
  return [file = input.files.front(), columns] { return std::make_unique<CsvTrace>(file, columns); };
}

bool has_columns(std::string_view head, const CsvTraceColumns& columns) {
  const auto header = csv_header(head);
  const auto has = [&](const std::string& name) {
    return std::find(header.begin(), header.end(), name) != header.end();
  };
  return has(columns.time) && has(columns.input) && has(columns.output);
}

std::string zero_tokens_assumption() {
  return "a request that the trace gives 0 tokens on a side counts as 1: an engine always reads and "
         "generates at least one";
}

}  // namespace kvcast
