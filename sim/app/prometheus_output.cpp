#include "sim/app/prometheus_output.h"

#include <algorithm>

namespace kvcast {

std::unique_ptr<PrometheusMetrics> watch_metrics(const Experiment& experiment) {
  const std::int64_t length = experiment.cluster.engine.max_model_len.value;
  return std::make_unique<PrometheusMetrics>(experiment.frame.facts.replicas,
                                             std::max<std::int64_t>(1, length));
}

}  // namespace kvcast
