// inference-perf: summary_lifecycle_metrics.json and stage_N_lifecycle_metrics.json, in seconds. Its
// time_per_output_token is (last token - first) / (N - 1), its normalized_time_per_output_token the whole
// latency divided by N; inter_token_latency pools the gaps between chunks, which may hold several tokens or
// none.
#include <fmt/format.h>

#include <cctype>

#include "measured/readers.h"

namespace kvcast {
namespace {

constexpr double kMsPerSecond = 1e3;

void add_latency(MeasuredLoad& load, const JsonValue& latency, const std::string& file,
                 std::string_view metric, std::string_view name) {
  const JsonValue* values = latency.find(name);
  if (values == nullptr || values->type == JsonValue::Type::null) return;
  add_value(load, metric, "mean", number_of(*values, "mean", file), kMsPerSecond);
  add_value(load, metric, "p50", number_of(*values, "median", file), kMsPerSecond);
  for (const char* percentile : {"p90", "p95", "p99"})
    add_value(load, metric, percentile, number_of(*values, percentile, file), kMsPerSecond);
}

/// 3 of "results/stage_3_lifecycle_metrics.json".
std::optional<std::size_t> stage_of(const std::string& file) {
  constexpr std::string_view kPrefix = "stage_";
  const std::size_t slash = file.find_last_of('/');
  const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::size_t stage = 0;
  std::size_t at = kPrefix.size();
  constexpr std::size_t kDigits = 4;
  for (; at < name.size() && at < kPrefix.size() + kDigits &&
         std::isdigit(static_cast<unsigned char>(name[at])) != 0;
       ++at)
    stage = 10 * stage + static_cast<std::size_t>(name[at] - '0');
  return at == kPrefix.size() ? std::nullopt : std::optional(stage);
}

std::optional<double> total_of(const JsonValue& successes, std::string_view name, const MeasuredLoad& load,
                               const std::string& file) {
  const JsonValue* lengths = successes.find(name);
  if (lengths == nullptr || !load.completed) return std::nullopt;
  const auto mean = number_of(*lengths, "mean", file);
  return mean ? std::optional(*mean * static_cast<double>(*load.completed)) : std::nullopt;
}

}  // namespace

bool is_inference_perf(const JsonValue& root) {
  const JsonValue* successes = root.find("successes");
  return successes != nullptr && successes->find("latency") != nullptr;
}

MeasuredLoad read_inference_perf_result(const ResultDocument& document) {
  const std::string& file = document.file;
  const JsonValue& successes = *document.root->find("successes");
  MeasuredLoad load;
  load.stage = stage_of(file);
  if (load.stage) load.name = fmt::format("stage {}", *load.stage);
  load.completed = count_of(successes, "count", file);
  if (const JsonValue* failures = document.root->find("failures"))
    load.failed = count_of(*failures, "count", file);
  if (const JsonValue* summary = document.root->find("load_summary"))
    load.rate = number_of(*summary, "requested_rate", file);
  const JsonValue& latency = *successes.find("latency");
  add_latency(load, latency, file, "ttft", "time_to_first_token");
  add_latency(load, latency, file, "tpot", "time_per_output_token");
  add_latency(load, latency, file, "itl", "inter_token_latency");
  add_latency(load, latency, file, "ntpot", "normalized_time_per_output_token");
  add_latency(load, latency, file, "e2el", "request_latency");
  if (const JsonValue* throughput = successes.find("throughput")) {
    add_value(load, "request_throughput", "", number_of(*throughput, "requests_per_sec", file));
    add_value(load, "output_throughput", "", number_of(*throughput, "output_tokens_per_sec", file));
    add_value(load, "total_token_throughput", "", number_of(*throughput, "total_tokens_per_sec", file));
  }
  load.input_tokens = total_of(successes, "prompt_len", load, file);
  load.output_tokens = total_of(successes, "output_len", load, file);
  return load;
}

}  // namespace kvcast
