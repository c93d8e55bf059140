#include "sim/app/prometheus_output.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvcast {

CacheConfigLabels cache_config_of(const Scenario& scenario) {
  const Deployment& deployment = scenario.deployment;
  if (!deployment.report) return {};
  const MemoryOptions& memory = deployment.memory;
  const bool prefixes = memory.enable_prefix_caching.value_or(false);
  return {{"block_size", fmt::format("{}", deployment.report->kv.block_size)},
          {"cache_dtype", std::string(to_string(memory.kv_cache_dtype))},
          {"enable_prefix_caching", prefixes ? "True" : "False"},
          {"gpu_memory_utilization", fmt::format("{}", deployment.report->gpu_memory_utilization)},
          {"num_gpu_blocks", fmt::format("{}", deployment.report->kv.blocks_total)}};
}

std::unique_ptr<PrometheusMetrics> watch_metrics(const Experiment& experiment,
                                                 CacheConfigLabels cache_config) {
  const std::int64_t length = experiment.cluster.engine.max_model_len.value;
  return std::make_unique<PrometheusMetrics>(experiment.frame.facts.replicas,
                                             std::max<std::int64_t>(1, length), std::move(cache_config));
}

}  // namespace kvcast
