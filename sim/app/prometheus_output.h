/// --prometheus of kvcast simulate.
#pragma once

#include <memory>
#include <vector>

#include "reports/prometheus.h"
#include "sim/app/compose.h"

namespace kvcast {

/// What vLLM says of its cache's settings, as far as the scenario knows it; empty where step times or the
/// pool stand for no model.
[[nodiscard]] CacheConfigLabels cache_config_of(const Scenario& scenario);

/// The metrics that watch a run of this experiment.
[[nodiscard]] std::unique_ptr<PrometheusMetrics> watch_metrics(const Experiment& experiment,
                                                               CacheConfigLabels cache_config);

/// Contract: tells each of several observers of every request, in their order.
class RequestFanOut : public RequestObserver {
 public:
  void add(RequestObserver& observer) { observers_.push_back(&observer); }
  void on_request(const RequestRow& row) override {
    for (RequestObserver* observer : observers_) observer->on_request(row);
  }
  [[nodiscard]] bool empty() const { return observers_.empty(); }

 private:
  std::vector<RequestObserver*> observers_;
};

}  // namespace kvcast
