// Results of `vllm bench serve` (vllm/benchmarks/serve.py) and of SGLang's bench_serving, which descends from
// it. Their definitions are kvcast's own: TPOT = (last token - first) / (N - 1), ITL = all gaps, pooled;
// times from the client's send.
#include <fmt/format.h>

#include <algorithm>

#include "measured/readers.h"

namespace kvcast {
namespace {

bool has_number(const JsonValue& root, std::string_view key) {
  const JsonValue* value = root.find(key);
  return value != nullptr &&
         (value->type == JsonValue::Type::real || value->type == JsonValue::Type::integer);
}

void add_latency(MeasuredLoad& load, const ResultDocument& document, std::string_view metric,
                 const std::string& name) {
  const JsonValue& root = *document.root;
  const auto read = [&](const std::string& key) {
    return number_of(root, key + "_" + name + "_ms", document.file);
  };
  add_value(load, metric, "mean", read("mean"));
  add_value(load, metric, "std", read("std"));
  const std::optional<double> p50 = read("p50");
  add_value(load, metric, "p50", p50 ? p50 : read("median"));
  for (const char* percentile : {"p90", "p95", "p99"}) add_value(load, metric, percentile, read(percentile));
}

/// An array of numbers, or null where the key is absent or null.
const JsonValue* array_of(const ResultDocument& document, std::string_view key) {
  const JsonValue* value = document.root->find(key);
  if (value == nullptr || value->type == JsonValue::Type::null) return nullptr;
  if (value->type != JsonValue::Type::array)
    fail_at(*value, document.file, std::string(key) + ": a list is needed");
  return value;
}

double element(const JsonValue& list, std::size_t i, const ResultDocument& document, std::string_view key,
               double max) {
  const JsonValue& item = list.items[i];
  const bool number = item.type == JsonValue::Type::integer || item.type == JsonValue::Type::real;
  if (!number || !(item.real >= 0 && item.real <= max))
    fail_at(item, document.file, fmt::format("{}: a number from 0 to {:g} is needed", key, max));
  return item.real;
}

/// Lengths (and where there are any, send times) of each request: with --save-detailed.
void read_requests(MeasuredLoad& load, const ResultDocument& document) {
  const JsonValue* inputs = array_of(document, "input_lens");
  const JsonValue* outputs = array_of(document, "output_lens");
  if (inputs == nullptr || outputs == nullptr || inputs->items.empty()) return;
  if (inputs->items.size() != outputs->items.size())
    fail_at(*outputs, document.file, "output_lens: it must have as many elements as input_lens");
  const JsonValue* starts = array_of(document, "start_times");
  if (starts != nullptr && starts->items.size() != inputs->items.size()) starts = nullptr;
  constexpr double kTokens = 0x1p30;
  constexpr double kSeconds = 1e12;
  load.arrivals_known = starts != nullptr;
  for (std::size_t i = 0; i < inputs->items.size(); ++i) {
    MeasuredRequest request;
    request.input = static_cast<std::int64_t>(element(*inputs, i, document, "input_lens", kTokens));
    request.output = static_cast<std::int64_t>(element(*outputs, i, document, "output_lens", kTokens));
    if (starts != nullptr) request.arrival_s = element(*starts, i, document, "start_times", kSeconds);
    if (request.input > 0 && request.output > 0) load.requests.push_back(request);  // failed ones have none
  }
  std::stable_sort(
      load.requests.begin(), load.requests.end(),
      [](const MeasuredRequest& a, const MeasuredRequest& b) { return a.arrival_s < b.arrival_s; });
  const double first_s = load.requests.empty() ? 0 : load.requests.front().arrival_s;
  for (MeasuredRequest& request : load.requests) request.arrival_s -= first_s;
}

MeasuredLoad read_common(const ResultDocument& document) {
  const JsonValue& root = *document.root;
  MeasuredLoad load;
  load.rate = number_of(root, "request_rate", document.file, /*infinite=*/true);
  load.burstiness = number_of(root, "burstiness", document.file);
  load.concurrency = count_of(root, "max_concurrency", document.file);
  load.completed = count_of(root, "completed", document.file);
  load.failed = count_of(root, "failed", document.file);
  load.input_tokens = number_of(root, "total_input_tokens", document.file);
  load.output_tokens = number_of(root, "total_output_tokens", document.file);
  for (const char* name : {"request_throughput", "output_throughput", "total_token_throughput"})
    add_value(load, name, "", number_of(root, name, document.file));
  read_requests(load, document);
  return load;
}

}  // namespace

bool is_vllm_bench(const JsonValue& root) {
  return has_number(root, "mean_ttft_ms") && root.find("mean_e2e_latency_ms") == nullptr;
}

MeasuredLoad read_vllm_bench(const ResultDocument& document) {
  MeasuredLoad load = read_common(document);
  for (const char* metric : {"ttft", "tpot", "itl", "e2el"}) add_latency(load, document, metric, metric);
  return load;
}

bool is_sglang_bench(const JsonValue& root) { return has_number(root, "mean_e2e_latency_ms"); }

MeasuredLoad read_sglang_bench(const ResultDocument& document) {
  MeasuredLoad load = read_common(document);
  for (const char* metric : {"ttft", "tpot", "itl"}) add_latency(load, document, metric, metric);
  add_latency(load, document, "e2el", "e2e_latency");
  return load;
}

}  // namespace kvcast
