#include "reports/prometheus.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/timeline_view.h"
#include "sim/base/error.h"
#include "sim/request.h"

namespace kvcast {
namespace {

constexpr double kNsPerSecond = 1e9;

const std::vector<double> kTtftBounds = {0.001, 0.005, 0.01, 0.02,  0.04,  0.06,  0.08, 0.1,
                                         0.25,  0.5,   0.75, 1.0,   2.5,   5.0,   7.5,  10.0,
                                         20.0,  40.0,  80.0, 160.0, 640.0, 2560.0};
const std::vector<double> kTokenTimeBounds = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,  0.3,  0.4, 0.5,
                                              0.75, 1.0,   2.5,  5.0,   7.5, 10.0, 20.0, 40.0, 80.0};
const std::vector<double> kRequestBounds = {0.3,  0.5,   0.8,   1.0,   1.5,   2.0,    2.5,
                                            5.0,  10.0,  15.0,  20.0,  30.0,  40.0,   50.0,
                                            60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0};

const std::vector<double> kStepTokenBounds = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
const std::vector<double> kSampleBounds = {1, 2, 5, 10, 20};
const std::vector<double> kPreemptionBounds = {1, 2, 3, 4, 5, 10, 20};

/// 1, 2, 5, 10, 20, 50, ... up to `max`.
std::vector<double> one_two_five(std::int64_t max) {
  std::vector<double> bounds;
  for (std::int64_t power = 1;; power *= 10) {
    for (const std::int64_t mantissa : {1, 2, 5}) {
      if (mantissa * power > max) return bounds;
      bounds.push_back(static_cast<double>(mantissa * power));
    }
  }
}

double seconds(Duration duration) { return static_cast<double>(duration.count()) / kNsPerSecond; }

/// As Prometheus' clients write numbers: a whole one keeps its ".0".
std::string number(double value) {
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string label_value(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return escaped;
}

/// Writes one metric after the other; a sample's labels are the model, the engine and what it adds.
class Exposition {
 public:
  explicit Exposition(const std::string& model) : model_("model_name=\"" + label_value(model) + "\"") {}

  void metric(const std::string& name, const char* type, const char* help) {
    name_ = name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  /// A sample with labels of its own, in the order of their names.
  void info(const std::string& labels) { text_ += fmt::format("{}{{{}}} 1.0\n", name_, labels); }
  void sample(const std::string& engine, double value, const std::string& more = "") {
    text_ += fmt::format("{}{{engine=\"{}\",{}{}}} {}\n", name_, engine, model_, more, number(value));
  }
  void histogram(const std::string& engine, const BucketCounts& counts) {
    for (std::size_t i = 0; i < counts.bounds().size(); ++i)
      bucket(engine, number(counts.bounds()[i]), counts.up_to(i));
    bucket(engine, "+Inf", counts.count());
    text_ += fmt::format("{}_count{{engine=\"{}\",{}}} {}\n", name_, engine, model_,
                         number(static_cast<double>(counts.count())));
    text_ += fmt::format("{}_sum{{engine=\"{}\",{}}} {}\n", name_, engine, model_, number(counts.sum()));
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void bucket(const std::string& engine, const std::string& bound, std::int64_t count) {
    text_ += fmt::format("{}_bucket{{engine=\"{}\",le=\"{}\",{}}} {}\n", name_, engine, bound, model_,
                         number(static_cast<double>(count)));
  }

  std::string model_, name_, text_;
};

std::string model_name(const Forecast& forecast) {
  return forecast.model.empty() ? "unknown" : forecast.model.substr(0, forecast.model.find(':'));
}

/// The gaps between tokens, which a run pools over its replicas. A bucket of the record that a bound divides
/// counts by its middle: off by at most 0.05 % of the bound.
BucketCounts gaps_of(const RunRecord& record) {
  BucketCounts gaps(kTokenTimeBounds);
  const std::vector<std::int64_t>& counts = record.itl.counts();
  for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
    if (counts[bucket] > 0) gaps.add(Histogram::bucket_middle(bucket) / kNsPerSecond, counts[bucket]);
  }
  return gaps;
}

/// What the scrape before the last token shows of all replicas together.
void write_gauges(const Forecast& forecast, const std::string& engine, Exposition& out) {
  const TimelineView view = timeline_of(forecast, Timeline::kPointsMax);
  const TimelinePoint last = view.points.empty() ? TimelinePoint{} : view.points.back();
  out.metric("vllm:num_requests_running", "gauge", "Number of requests in model execution batches.");
  out.sample(engine, static_cast<double>(last.running));
  out.metric("vllm:num_requests_waiting", "gauge", "Number of requests waiting to be processed.");
  out.sample(engine, static_cast<double>(last.waiting));
  out.metric("vllm:kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.");
  out.sample(engine, view.blocks > 0 ? static_cast<double>(last.blocks_used) / view.blocks : 0);
}

}  // namespace

void BucketCounts::add(double value, std::int64_t count) {
  const auto bound = std::lower_bound(bounds_->begin(), bounds_->end(), value);
  counts_[static_cast<std::size_t>(bound - bounds_->begin())] += count;
  count_ += count;
  sum_ += value * static_cast<double>(count);
}

std::int64_t BucketCounts::up_to(std::size_t i) const {
  KVCAST_CHECK(i < counts_.size());
  std::int64_t sum = 0;
  for (std::size_t k = 0; k <= i; ++k) sum += counts_[k];
  return sum;
}

PrometheusMetrics::Engine::Engine(const std::vector<double>& tokens)
    : ttft(kTtftBounds),
      tpot(kTokenTimeBounds),
      e2e(kRequestBounds),
      queue(kRequestBounds),
      inference(kRequestBounds),
      prefill(kRequestBounds),
      decode(kRequestBounds),
      prompt_tokens(tokens),
      generation_tokens(tokens),
      computed_tokens(tokens),
      max_generation_tokens(tokens),
      max_tokens(tokens),
      step_tokens(kStepTokenBounds),
      samples(kSampleBounds),
      preemptions_each(kPreemptionBounds) {}

PrometheusMetrics::PrometheusMetrics(std::int64_t replicas, std::int64_t max_model_len,
                                     CacheConfigLabels cache_config)
    : token_bounds_(one_two_five(max_model_len)), cache_config_(std::move(cache_config)) {
  for (std::int64_t i = 0; i < replicas; ++i) engines_.emplace_back(token_bounds_);
}

void PrometheusMetrics::on_request(const RequestRow& row) {
  const auto at = static_cast<std::size_t>(row.replica);
  KVCAST_CHECK(at < engines_.size());
  Engine& engine = engines_[at];
  engine.preemptions += row.preemptions;
  if (row.first_token != kNever) {
    engine.ttft.add(seconds(row.first_token - row.arrival));
    engine.prompt += row.input.value;
    engine.cached += row.cached.value;
  }
  engine.generated += row.output.value;
  if (row.outcome != Outcome::completed) {
    ++engine.aborted;
    return;
  }
  ++(row.output_limit.value > 0 && row.output >= row.output_limit ? engine.cut : engine.stopped);
  engine.e2e.add(seconds(row.last_token - row.arrival));
  engine.queue.add(seconds(row.scheduled - row.received));
  engine.inference.add(seconds(row.last_token - row.scheduled));
  engine.prefill.add(seconds(row.first_token - row.scheduled));
  engine.decode.add(seconds(row.last_token - row.first_token));
  if (row.output.value > 1)
    engine.tpot.add(seconds(row.last_token - row.first_token) / static_cast<double>(row.output.value - 1));
  engine.prompt_tokens.add(static_cast<double>(row.input.value));
  engine.generation_tokens.add(static_cast<double>(row.output.value));
  engine.max_generation_tokens.add(static_cast<double>(row.output.value));
  engine.computed_tokens.add(static_cast<double>(row.input.value - row.cached.value));
  engine.preemptions_each.add(row.preemptions);
  engine.samples.add(row.details != nullptr ? row.details->samples : 1);
  if (row.output_limit.value > 0) engine.max_tokens.add(static_cast<double>(row.output_limit.value));
}

void PrometheusMetrics::on_steps(ReplicaId replica, std::int64_t steps, std::int64_t tokens_each) {
  const auto at = static_cast<std::size_t>(replica);
  KVCAST_CHECK(at < engines_.size());
  engines_[at].step_tokens.add(static_cast<double>(tokens_each), steps);
}

std::string PrometheusMetrics::text(const Forecast& forecast) const {
  KVCAST_CHECK(forecast.record != nullptr);
  Exposition out(model_name(forecast));
  const std::string all = engines_.size() == 1 ? "0" : "all";
  write_gauges(forecast, all, out);
  if (!cache_config_.empty()) {
    out.metric("vllm:cache_config_info", "gauge", "Information of the LLMEngine CacheConfig");
    std::string labels;
    for (const auto& [name, value] : cache_config_)
      labels += fmt::format("{}=\"{}\",", name, label_value(value));
    for (std::size_t i = 0; i < engines_.size(); ++i) out.info(labels + fmt::format("engine=\"{}\"", i));
  }
  const auto counter = [&](const char* name, const char* help, std::int64_t Engine::*value) {
    out.metric(name, "counter", help);
    for (std::size_t i = 0; i < engines_.size(); ++i)
      out.sample(fmt::format("{}", i), static_cast<double>(engines_[i].*value));
  };
  if (forecast.record->prefix_queried_tokens > 0) {
    counter("vllm:prefix_cache_queries_total", "Prefix cache queries, in terms of number of queried tokens.",
            &Engine::prompt);
    counter("vllm:prefix_cache_hits_total", "Prefix cache hits, in terms of number of cached tokens.",
            &Engine::cached);
  }
  counter("vllm:num_preemptions_total", "Cumulative number of preemption from the engine.",
          &Engine::preemptions);
  counter("vllm:prompt_tokens_total", "Number of prefill tokens processed.", &Engine::prompt);
  counter("vllm:prompt_tokens_cached_total", "Number of cached prompt tokens (local + external).",
          &Engine::cached);
  counter("vllm:generation_tokens_total", "Number of generation tokens processed.", &Engine::generated);
  out.metric("vllm:request_success_total", "counter", "Count of successfully processed requests.");
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    for (const auto& [reason, value] :
         {std::pair{"stop", &Engine::stopped}, {"length", &Engine::cut}, {"abort", &Engine::aborted}})
      out.sample(fmt::format("{}", i), static_cast<double>(engines_[i].*value),
                 fmt::format(",finished_reason=\"{}\"", reason));
  }
  const auto histogram = [&](const char* name, const char* help, BucketCounts Engine::*counts) {
    out.metric(name, "histogram", help);
    for (std::size_t i = 0; i < engines_.size(); ++i)
      out.histogram(fmt::format("{}", i), engines_[i].*counts);
  };
  histogram("vllm:request_prompt_tokens", "Number of prefill tokens processed.", &Engine::prompt_tokens);
  histogram("vllm:request_generation_tokens", "Number of generation tokens processed.",
            &Engine::generation_tokens);
  histogram("vllm:iteration_tokens_total", "Histogram of number of tokens per engine_step.",
            &Engine::step_tokens);
  histogram("vllm:request_max_num_generation_tokens",
            "Histogram of maximum number of requested generation tokens.", &Engine::max_generation_tokens);
  histogram("vllm:request_params_n", "Histogram of the n request parameter.", &Engine::samples);
  histogram("vllm:request_params_max_tokens", "Histogram of the max_tokens request parameter.",
            &Engine::max_tokens);
  histogram("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.",
            &Engine::ttft);
  out.metric("vllm:inter_token_latency_seconds", "histogram", "Histogram of inter-token latency in seconds.");
  out.histogram(all, gaps_of(*forecast.record));
  histogram("vllm:request_time_per_output_token_seconds",
            "Histogram of time_per_output_token_seconds per request.", &Engine::tpot);
  histogram("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", &Engine::e2e);
  histogram("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.",
            &Engine::queue);
  histogram("vllm:request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.",
            &Engine::inference);
  histogram("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.",
            &Engine::prefill);
  histogram("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.",
            &Engine::decode);
  histogram("vllm:request_num_preemptions", "Histogram of the number of times a request was preempted.",
            &Engine::preemptions_each);
  histogram("vllm:request_prefill_kv_computed_tokens",
            "Histogram of new KV tokens computed during prefill (excluding cached tokens).",
            &Engine::computed_tokens);
  return out.take();
}

}  // namespace kvcast
