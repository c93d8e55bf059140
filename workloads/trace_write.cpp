#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <ostream>

#include "sim/base/error.h"
#include "workloads/segments.h"
#include "workloads/source.h"
#include "workloads/trace_stats.h"

namespace kvcast {
namespace {

using Line = fmt::memory_buffer;

/// A JSON string.
std::string json_text(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

/// Microseconds with the nanoseconds as a fraction, without trailing zeros.
void put_us(Line& line, std::int64_t ns) {
  const std::int64_t fraction = ns % 1000;
  fmt::format_to(std::back_inserter(line), "{}", ns / 1000);
  if (fraction == 0) return;
  std::string digits = fmt::format(".{:03}", fraction);
  digits.erase(digits.find_last_not_of('0') + 1);
  line.append(digits.data(), digits.data() + digits.size());
}

void put_content(Line& line, const std::vector<PromptSegment>& content) {
  if (content.empty()) return;
  fmt::format_to(std::back_inserter(line), ", \"input\": [");
  const char* between = "";
  for (const PromptSegment& segment : content) {
    fmt::format_to(std::back_inserter(line), "{}[\"{}\", {}]", between, segment_name(segment.segment),
                   segment.length.value);
    between = ", ";
  }
  fmt::format_to(std::back_inserter(line), "]");
}

void put_text(Line& line, const char* key, const std::string& text) {
  if (!text.empty()) fmt::format_to(std::back_inserter(line), ", \"{}\": {}", key, json_text(text));
}

void put_request(Line& line, const Request& request, const RequestOrigin& origin) {
  const auto out = std::back_inserter(line);
  fmt::format_to(out, "{{\"id\": {}, ", json_text(request_name(request)));
  if (origin.after.empty()) {
    fmt::format_to(out, "\"arrival_us\": ");
    put_us(line, request.arrival.time_since_epoch().count());
  } else {
    fmt::format_to(out, "\"after\": {{\"id\": {}, \"think_us\": ", json_text(origin.after));
    put_us(line, origin.think.count());
    fmt::format_to(out, "}}");
    if (origin.not_before > kStart) {
      fmt::format_to(out, ", \"arrival_us\": ");
      put_us(line, origin.not_before.time_since_epoch().count());
    }
  }
  fmt::format_to(out, ", \"input_tokens\": {}, \"output_tokens\": {}", request.input.value,
                 request.output.value);
  if (request.output_limit.value > 0) fmt::format_to(out, ", \"max_tokens\": {}", request.output_limit.value);
  if (request.priority != 0) fmt::format_to(out, ", \"priority\": {}", request.priority);
  if (request.tenant != 0) fmt::format_to(out, ", \"tenant\": \"{}\"", request.tenant);
  if (request.details != nullptr) {
    put_text(line, "session", request.details->session);
    put_text(line, "model", request.details->model);
    put_text(line, "slo", request.details->slo_class);
    if (request.details->samples > 1) fmt::format_to(out, ", \"n\": {}", request.details->samples);
    if (request.details->beams > 1) fmt::format_to(out, ", \"beam_width\": {}", request.details->beams);
    put_content(line, request.details->content);
  }
  fmt::format_to(out, "}}\n");
}

struct Row {
  std::string label;
  std::string key;
  double value = 0;
  std::string unit;
  int digits = 6;  // significant
};

void add_lengths(std::vector<Row>& rows, const std::string& label, const std::string& key,
                 const TokenCounts& counts) {
  if (counts.count() == 0) return;
  rows.push_back({label + ", total", key + "_total", static_cast<double>(counts.sum()), "tokens", 17});
  rows.push_back({label + ", mean", key + "_mean", counts.mean(), "tokens"});
  rows.push_back({label + ", standard deviation", key + "_std", counts.std(), "tokens"});
  rows.push_back({label + ", smallest", key + "_min", static_cast<double>(counts.min()), "tokens", 17});
  for (const int percent : {50, 90, 95, 99}) {
    rows.push_back({fmt::format("{}, p{}", label, percent), fmt::format("{}_p{}", key, percent),
                    counts.quantile(percent / 100.0), "tokens"});
  }
  rows.push_back({label + ", largest", key + "_max", static_cast<double>(counts.max()), "tokens", 17});
}

std::vector<Row> rows_of(const TraceStats& stats) {
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  std::vector<Row> rows;
  rows.push_back({"requests", "requests", real(stats.requests), "", 17});
  rows.push_back({"duration, first to last arrival", "duration_s", real(stats.duration_ns) * 1e-9, "s", 12});
  rows.push_back({"arrival rate", "rate", stats.rate(), "requests/s"});
  rows.push_back(
      {"gaps between arrivals, coefficient of variation", "gap_cv", stats.gaps.cv(), "(1: Poisson)"});
  if (!stats.profile.arrivals.empty()) {
    const double window_s = real(stats.profile.window_ns) * 1e-9;
    const std::int64_t busiest =
        *std::max_element(stats.profile.arrivals.begin(), stats.profile.arrivals.end());
    rows.push_back({fmt::format("busiest window of {} s", window_s), "rate_max", real(busiest) / window_s,
                    "requests/s"});
  }
  add_lengths(rows, "input", "input", stats.input);
  add_lengths(rows, "output", "output", stats.output);
  add_lengths(rows, "input + output", "context", stats.context);
  if (stats.requests_with_content > 0) {
    rows.push_back(
        {"requests with prompt content", "requests_with_content", real(stats.requests_with_content), "", 17});
    rows.push_back(
        {"prompt tokens in a prefix seen before", "shared_tokens", real(stats.shared_tokens), "tokens", 17});
    rows.push_back(
        {"prefix hit rate of an infinite cache", "shared_share", stats.shared_share(), "of prompt tokens"});
  }
  if (stats.sessions > 0) rows.push_back({"sessions", "sessions", real(stats.sessions), "", 17});
  if (stats.tenants > 0) rows.push_back({"tenants", "tenants", real(stats.tenants), "", 17});
  if (stats.priorities_min != stats.priorities_max) {
    rows.push_back({"priorities, smallest", "priority_min", real(stats.priorities_min), "", 17});
    rows.push_back({"priorities, largest", "priority_max", real(stats.priorities_max), "", 17});
  }
  return rows;
}

std::string number(const Row& row) { return fmt::format("{:.{}g}", row.value, row.digits); }

}  // namespace

void write_stats(const TraceStats& stats, const std::string& name, std::ostream& out) {
  out << name << '\n';
  for (const Row& row : rows_of(stats)) {
    out << fmt::format("  {:<48} {:>14}{}{}\n", row.label, number(row), row.unit.empty() ? "" : " ",
                       row.unit);
  }
  if (stats.has_feedback) out << "  (closed loop: arrivals as with a server that answers at once)\n";
}

void write_stats_json(const TraceStats& stats, const std::string& name, std::ostream& out) {
  out << "{\"workload\": " << json_text(name);
  for (const Row& row : rows_of(stats)) out << ", \"" << row.key << "\": " << number(row);
  out << ", \"closed_loop\": " << (stats.has_feedback ? "true" : "false") << "}\n";
}

std::int64_t write_requests(RequestSource& source, std::ostream& out) {
  auto* workload = dynamic_cast<WorkloadSource*>(&source);
  KVCAST_CHECK(workload != nullptr);
  if (!workload->writable()) {
    throw InputError(
        "a limit on the requests in flight cannot be written as requests: their arrivals depend on the "
        "server");
  }
  std::int64_t requests = 0;
  Line line;
  while (source.next_arrival()) {
    const Request request = source.take();
    line.clear();
    put_request(line, request, workload->origin());
    out.write(line.data(), static_cast<std::streamsize>(line.size()));
    source.finished(request.id, request.arrival);
    ++requests;
  }
  return requests;
}

}  // namespace kvcast
