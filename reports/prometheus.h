/// A run's metrics as vLLM serves them at /metrics: the same names, labels and buckets, so that dashboards
/// and scripts made for vLLM read a forecast. Text exposition format 0.0.4. Source of names, help texts and
/// buckets: vLLM, vllm/v1/metrics/loggers.py.
#pragma once

#include <cstdint>
#include <string>
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

/// Contract: sees every request of a run once, and writes the metrics of all replicas. A replica is an
/// `engine`.
class PrometheusMetrics : public RequestObserver {
 public:
  /// \param max_model_len the largest bucket of token counts does not exceed it
  PrometheusMetrics(std::int64_t replicas, std::int64_t max_model_len);

  void on_request(const RequestRow& row) override;

  /// \param forecast of the same run; its record is there
  [[nodiscard]] std::string text(const Forecast& forecast) const;

 private:
  /// Of one replica.
  struct Engine {
    Engine(const std::vector<double>& tokens);
    BucketCounts ttft, tpot, e2e, queue, inference, prefill, decode;
    BucketCounts prompt_tokens, generation_tokens, max_tokens;
    std::int64_t prompt = 0, generated = 0, cached = 0, preemptions = 0, stopped = 0, cut = 0, aborted = 0;
  };

  std::vector<double> token_bounds_;
  std::vector<Engine> engines_;
};

}  // namespace kvcast
