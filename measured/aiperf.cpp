// AIPerf (and its ancestor genai-perf): profile_export_aiperf.json and profile_export.jsonl.
// inter_token_latency is (latency - TTFT) / (N - 1), one number a request: kvcast's TPOT; inter_chunk_latency
// holds the gaps: kvcast's ITL.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "measured/readers.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

struct Name {
  const char* theirs;
  const char* ours;
};
constexpr std::array<Name, 4> kLatencyNames{{{"time_to_first_token", "ttft"},
                                             {"inter_token_latency", "tpot"},
                                             {"inter_chunk_latency", "itl"},
                                             {"request_latency", "e2el"}}};

double to_ms(const JsonValue& metric, const std::string& file) {
  const std::string unit = text_of(metric, "unit");
  if (unit.empty() || unit == "ms") return 1;
  if (unit == "s" || unit == "sec" || unit == "seconds") return 1e3;
  if (unit == "us") return 1e-3;
  if (unit == "ns") return 1e-6;
  fail_at(metric, file, "unit: " + quoted(unit) + " is given, a time is needed (known: ms, s, us, ns)");
}

/// Newer files hold the metrics at the top, older ones under "records".
const JsonValue& metrics_of(const JsonValue& root) {
  const JsonValue* records = root.find("records");
  return records != nullptr && records->type == JsonValue::Type::object ? *records : root;
}

std::optional<double> average_of(const JsonValue& metrics, std::string_view name, const std::string& file) {
  const JsonValue* metric = metrics.find(name);
  return metric == nullptr ? std::nullopt : number_of(*metric, "avg", file);
}

double gap_of(const JsonValue& gap, const std::string& file) {
  constexpr double kGapMax = 1e15;
  const bool number = gap.type == JsonValue::Type::integer || gap.type == JsonValue::Type::real;
  if (!number || !(gap.real >= 0 && gap.real <= kGapMax))
    fail_at(gap, file, "inter_chunk_latency: times are needed");
  return gap.real;
}

void read_load(MeasuredLoad& load, const JsonValue& root, const std::string& file) {
  const JsonValue* config = root.find("input_config");
  const JsonValue* generator = config == nullptr ? nullptr : config->find("loadgen");
  if (generator == nullptr) return;
  load.concurrency = count_of(*generator, "concurrency", file);
  load.rate = number_of(*generator, "request_rate", file);
}

}  // namespace

bool is_aiperf(const JsonValue& root) {
  const JsonValue* latency = metrics_of(root).find("request_latency");
  return latency != nullptr && latency->find("avg") != nullptr;
}

MeasuredLoad read_aiperf(const ResultDocument& document) {
  const std::string& file = document.file;
  const JsonValue& metrics = metrics_of(*document.root);
  MeasuredLoad load;
  read_load(load, *document.root, file);
  for (const Name& name : kLatencyNames) {
    const JsonValue* metric = metrics.find(name.theirs);
    if (metric == nullptr) continue;
    const double scale = to_ms(*metric, file);
    add_value(load, name.ours, "mean", number_of(*metric, "avg", file), scale);
    for (const char* percentile : {"p50", "p90", "p95", "p99"})
      add_value(load, name.ours, percentile, number_of(*metric, percentile, file), scale);
    add_value(load, name.ours, "std", number_of(*metric, "std", file), scale);
  }
  add_value(load, "request_throughput", "", average_of(metrics, "request_throughput", file));
  add_value(load, "output_throughput", "", average_of(metrics, "output_token_throughput", file));
  if (const auto count = average_of(metrics, "request_count", file)) {
    load.completed = static_cast<std::int64_t>(std::clamp(*count, 0.0, 0x1p40));
    const auto total = [&](std::string_view name) -> std::optional<double> {
      const auto mean = average_of(metrics, name, file);
      return mean ? std::optional(*mean * *count) : std::nullopt;
    };
    load.input_tokens = total("input_sequence_length");
    load.output_tokens = total("output_sequence_length");
  }
  return load;
}

bool is_aiperf_record(const JsonValue& root) {
  const JsonValue* metrics = root.find("metrics");
  return root.find("metadata") != nullptr && metrics != nullptr && metrics->type == JsonValue::Type::object;
}

MeasuredLoad read_aiperf_records(const std::vector<ResultDocument>& lines) {
  MeasuredLoad load;
  std::array<std::vector<double>, kLatencyNames.size()> values;
  std::int64_t completed = 0;
  std::int64_t failed = 0;
  for (const ResultDocument& line : lines) {
    const JsonValue* error = line.root->find("error");
    if (error != nullptr && error->type != JsonValue::Type::null) {
      ++failed;
      continue;
    }
    if (!is_aiperf_record(*line.root))
      fail_at(*line.root, line.file, "a record with metadata and metrics is needed");
    ++completed;
    const JsonValue& metrics = *line.root->find("metrics");
    for (std::size_t i = 0; i < kLatencyNames.size(); ++i) {
      const JsonValue* metric = metrics.find(kLatencyNames[i].theirs);
      if (metric == nullptr) continue;
      const JsonValue* value = metric->find("value");
      const double scale = to_ms(*metric, line.file);
      if (value != nullptr && value->type == JsonValue::Type::array) {  // gaps: a list for each request
        for (const JsonValue& gap : value->items) values[i].push_back(gap_of(gap, line.file) * scale);
      } else if (const auto number = number_of(*metric, "value", line.file)) {
        values[i].push_back(*number * scale);
      }
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].empty()) add_statistics(load, kLatencyNames[i].ours, std::move(values[i]));
  }
  load.completed = completed;
  load.failed = failed;
  return load;
}

}  // namespace kvcast
