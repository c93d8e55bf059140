// GuideLLM's benchmarks.json. Its time_per_output_token is the whole latency divided by the tokens (kvcast's
// NTPOT), and its inter_token_latency is (last token - first) / (N - 1), one number a request (kvcast's
// TPOT).
#include <fmt/format.h>

#include <limits>

#include "measured/readers.h"

namespace kvcast {
namespace {

constexpr double kMsPerSecond = 1e3;

/// metrics.NAME.successful, where it is an object; null where there is none.
const JsonValue* successful(const JsonValue& benchmark, std::string_view name) {
  const JsonValue* metrics = benchmark.find("metrics");
  const JsonValue* metric = metrics == nullptr ? nullptr : metrics->find(name);
  return metric == nullptr ? nullptr : metric->find("successful");
}

void add_latency(MeasuredLoad& load, const JsonValue& benchmark, const std::string& file,
                 std::string_view metric, std::string_view name, double scale) {
  const JsonValue* values = successful(benchmark, name);
  if (values == nullptr) return;
  add_value(load, metric, "mean", number_of(*values, "mean", file), scale);
  add_value(load, metric, "std", number_of(*values, "std_dev", file), scale);
  const JsonValue* percentiles = values->find("percentiles");
  if (percentiles == nullptr) {
    add_value(load, metric, "p50", number_of(*values, "median", file), scale);
    return;
  }
  for (const char* percentile : {"p50", "p90", "p95", "p99"})
    add_value(load, metric, percentile, number_of(*percentiles, percentile, file), scale);
}

/// The load, wherever this version keeps it: config, args or scheduler hold a strategy.
const JsonValue* strategy_of(const JsonValue& benchmark) {
  for (const char* section : {"config", "args", "scheduler"}) {
    const JsonValue* inner = benchmark.find(section);
    const JsonValue* strategy = inner == nullptr ? nullptr : inner->find("strategy");
    if (strategy != nullptr && strategy->type == JsonValue::Type::object) return strategy;
  }
  return nullptr;
}

void read_strategy(MeasuredLoad& load, const JsonValue& strategy, const std::string& file) {
  const std::string type = text_of(strategy, "type_");
  load.rate = number_of(strategy, "rate", file);
  load.concurrency = count_of(strategy, "streams", file);
  if (!load.concurrency) load.concurrency = count_of(strategy, "max_concurrency", file);
  if (type == "synchronous") load.concurrency = 1;
  if (type == "constant") load.burstiness = std::numeric_limits<double>::infinity();
  if (type == "poisson") load.burstiness = 1;
  load.name = type;
  if (load.rate && type != "concurrent") load.name += fmt::format(" {:g}/s", *load.rate);
  if (load.concurrency) load.name += fmt::format(", {} streams", *load.concurrency);
}

void read_totals(MeasuredLoad& load, const JsonValue& benchmark, const std::string& file) {
  if (const JsonValue* metrics = benchmark.find("metrics")) {
    if (const JsonValue* totals = metrics->find("request_totals")) {
      load.completed = count_of(*totals, "successful", file);
      load.failed = count_of(*totals, "errored", file);
    }
  }
  if (const JsonValue* inputs = successful(benchmark, "prompt_token_count"))
    load.input_tokens = number_of(*inputs, "total_sum", file);
  if (const JsonValue* outputs = successful(benchmark, "output_token_count"))
    load.output_tokens = number_of(*outputs, "total_sum", file);
}

}  // namespace

bool is_guidellm(const JsonValue& root) {
  const JsonValue* benchmarks = root.find("benchmarks");
  return benchmarks != nullptr && benchmarks->type == JsonValue::Type::array;
}

std::vector<MeasuredLoad> read_guidellm(const ResultDocument& document) {
  std::vector<MeasuredLoad> loads;
  for (const JsonValue& benchmark : document.root->find("benchmarks")->items) {
    MeasuredLoad load;
    const std::string& file = document.file;
    if (const JsonValue* strategy = strategy_of(benchmark)) read_strategy(load, *strategy, file);
    read_totals(load, benchmark, file);
    add_latency(load, benchmark, file, "ttft", "time_to_first_token_ms", 1);
    add_latency(load, benchmark, file, "tpot", "inter_token_latency_ms", 1);
    add_latency(load, benchmark, file, "ntpot", "time_per_output_token_ms", 1);
    add_latency(load, benchmark, file, "e2el", "request_latency", kMsPerSecond);
    const auto rate = [&](const char* metric, const char* name) {
      if (const JsonValue* values = successful(benchmark, name))
        add_value(load, metric, "", number_of(*values, "mean", file));
    };
    rate("request_throughput", "requests_per_second");
    rate("output_throughput", "output_tokens_per_second");
    rate("total_token_throughput", "tokens_per_second");
    loads.push_back(std::move(load));
  }
  return loads;
}

}  // namespace kvcast
