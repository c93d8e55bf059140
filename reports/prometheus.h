/// A run's metrics as vLLM serves them at /metrics: the same names, labels and buckets, so that dashboards
/// and scripts made for vLLM read a forecast. Text exposition format 0.0.4. Source of names, help texts and
/// buckets: vLLM 0.32.0 (the default profile), vllm/v1/metrics/loggers.py and buckets.py.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/metrics/forecast.h"
#include "sim/metrics/record.h"

namespace kvcast {

/// Counts of values at or below each of a list of bounds.
class BucketCounts {
 public:
  /// \param bounds rising; must outlive this
  explicit BucketCounts(const std::vector<double>& bounds)
      : bounds_(&bounds), counts_(bounds.size() + 1, 0) {}

  void add(double value, std::int64_t count = 1);
  [[nodiscard]] const std::vector<double>& bounds() const { return *bounds_; }
  /// Values at or below bounds()[i].
  [[nodiscard]] std::int64_t up_to(std::size_t i) const;
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] double sum() const { return sum_; }

 private:
  const std::vector<double>* bounds_;
  std::vector<std::int64_t> counts_;  // in each bucket, the last is beyond all bounds
  std::int64_t count_ = 0;
  double sum_ = 0;
};

/// Labels of vllm:cache_config_info: settings of vLLM's CacheConfig as Python writes them.
using CacheConfigLabels = std::vector<std::pair<std::string, std::string>>;

/// Contract: sees every request and every step of a run once, and writes the metrics of all replicas. A
/// replica is an `engine`.
class PrometheusMetrics : public RequestObserver, public StepSizeObserver {
 public:
  /// \param max_model_len the largest bucket of token counts does not exceed it
  /// \param cache_config empty: nothing is known of the cache, and no such series is written
  PrometheusMetrics(std::int64_t replicas, std::int64_t max_model_len, CacheConfigLabels cache_config);

  void on_request(const RequestRow& row) override;
  void on_steps(ReplicaId replica, std::int64_t steps, std::int64_t tokens_each) override;

  /// \param forecast of the same run; its record is there
  [[nodiscard]] std::string text(const Forecast& forecast) const;

 private:
  /// Of one replica.
  struct Engine {
    Engine(const std::vector<double>& tokens);
    BucketCounts ttft, tpot, e2e, queue, inference, prefill, decode;
    BucketCounts prompt_tokens, generation_tokens, computed_tokens, max_generation_tokens, max_tokens;
    BucketCounts step_tokens, samples, preemptions_each;
    std::int64_t prompt = 0, generated = 0, cached = 0, preemptions = 0, stopped = 0, cut = 0, aborted = 0;
  };

  std::vector<double> token_bounds_;
  CacheConfigLabels cache_config_;
  std::vector<Engine> engines_;
};

}  // namespace kvcast
