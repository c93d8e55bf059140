/// --prometheus of kvcast simulate.
#pragma once

#include <memory>
#include <vector>

#include "reports/prometheus.h"
#include "sim/app/compose.h"

namespace kvcast {

/// The metrics that watch a run of this experiment.
[[nodiscard]] std::unique_ptr<PrometheusMetrics> watch_metrics(const Experiment& experiment);

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
