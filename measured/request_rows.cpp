// kvcast's own rows, `simulate --requests`: one forecast (or an engine's log in the same form) judged by
// another.
#include <array>

#include "measured/readers.h"
#include "sim/base/error.h"
#include "workloads/csv.h"
#include "workloads/numbers.h"

namespace kvcast {
namespace {

constexpr double kUsPerMs = 1e3;
constexpr double kUsPerSecond = 1e6;

/// Latencies and totals, request by request.
class Rows {
 public:
  struct Row {
    double arrival_us = 0, first_us = 0, last_us = 0;
    double input = 0, output = 0;
  };

  void add(const Row& row) {
    if (rows_ == 0) begin_us_ = row.arrival_us;
    ++rows_;
    load_.requests.push_back({(row.arrival_us - begin_us_) / kUsPerSecond,
                              static_cast<std::int64_t>(row.input), static_cast<std::int64_t>(row.output)});
    end_us_ = std::max(end_us_, row.last_us);
    ttft_.push_back((row.first_us - row.arrival_us) / kUsPerMs);
    e2el_.push_back((row.last_us - row.arrival_us) / kUsPerMs);
    if (row.output > 1) tpot_.push_back((row.last_us - row.first_us) / (row.output - 1) / kUsPerMs);
    input_ += row.input;
    output_ += row.output;
  }
  void add_failed() { ++failed_; }

  [[nodiscard]] MeasuredLoad take(const std::string& file) {
    if (rows_ == 0) throw InputError(file + ": no completed request in it", ExitCode::bad_data);
    add_statistics(load_, "ttft", std::move(ttft_));
    if (!tpot_.empty()) add_statistics(load_, "tpot", std::move(tpot_));
    add_statistics(load_, "e2el", std::move(e2el_));
    load_.completed = rows_;
    load_.failed = failed_;
    load_.input_tokens = input_;
    load_.output_tokens = output_;
    load_.arrivals_known = true;
    const double seconds = (end_us_ - begin_us_) / kUsPerSecond;
    if (seconds > 0) {
      add_value(load_, "request_throughput", "", static_cast<double>(rows_) / seconds);
      add_value(load_, "output_throughput", "", output_ / seconds);
      add_value(load_, "total_token_throughput", "", (input_ + output_) / seconds);
    }
    return std::move(load_);
  }

 private:
  MeasuredLoad load_;
  std::vector<double> ttft_, tpot_, e2el_;
  std::int64_t rows_ = 0, failed_ = 0;
  double begin_us_ = 0, end_us_ = 0, input_ = 0, output_ = 0;
};

enum Column : std::size_t { kArrival, kInput, kOutput, kFirst, kLast, kOutcome };
constexpr std::array<const char*, 6> kColumns = {"arrival_us",     "input_tokens",  "output_tokens",
                                                 "first_token_us", "last_token_us", "outcome"};

}  // namespace

bool is_request_row(const JsonValue& root) {
  return root.find("arrival_us") != nullptr && root.find("first_token_us") != nullptr;
}

MeasuredLoad read_request_rows(const std::vector<ResultDocument>& lines) {
  Rows rows;
  for (const ResultDocument& line : lines) {
    const JsonValue& root = *line.root;
    if (text_of(root, "outcome") != "completed" && root.find("outcome") != nullptr) {
      rows.add_failed();
      continue;
    }
    std::array<double, kOutcome> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = number_of(root, kColumns[i], line.file);
      if (!value || *value < 0)
        fail_at(root, line.file, std::string(kColumns[i]) + ": a number of 0 or more is needed");
      values[i] = *value;
    }
    rows.add({values[kArrival], values[kFirst], values[kLast], values[kInput], values[kOutput]});
  }
  return rows.take(lines.front().file);
}

bool is_request_csv(std::string_view head) {
  const std::vector<std::string_view> names = csv_header(head);
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return has("arrival_us") && has("first_token_us");
}

MeasuredLoad read_request_csv(const TraceFile& file) {
  CsvReader csv(file, {kColumns.begin(), kColumns.end()});
  constexpr int kMicrosecondDigits = 3;
  constexpr double kNsPerUs = 1e3;
  Rows rows;
  while (csv.next()) {
    if (csv.field(kOutcome) != "completed") {
      rows.add_failed();
      continue;
    }
    const auto time = [&](Column column) {
      const auto ns = parse_time_ns(csv.field(column), kMicrosecondDigits);
      if (!ns) csv.fail(column, "a time in microseconds is needed");
      return static_cast<double>(*ns) / kNsPerUs;
    };
    rows.add({time(kArrival), time(kFirst), time(kLast), static_cast<double>(csv.tokens(kInput)),
              static_cast<double>(csv.tokens(kOutput))});
  }
  return rows.take(file.name);
}

}  // namespace kvcast
