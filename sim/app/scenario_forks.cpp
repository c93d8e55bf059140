#include "sim/app/scenario_forks.h"

#include <cmath>

#include "sim/app/scenario_swap.h"

namespace kvcast {
namespace {

/// Why blocks cannot be shared copy on write; empty: they can.
std::string obstacle(const Scenario& scenario) {
  const Deployment& deployment = scenario.deployment;
  if (deployment.scheduler != "vllm-v0")
    return "the scheduler " + deployment.scheduler +
           " makes sequences of their own of a request's answers; vllm-v0 shares";
  if (scenario.allocator != "paged" || !deployment.enable_kv_cache) return "needs paged blocks";
  if (deployment.memory.enable_prefix_caching.value_or(false))
    return "needs enable_prefix_caching: false; with a prefix cache answers find each other's prompt by name "
           "(separate)";
  if (deployment.report && !every_layer_keeps_all(deployment.report->kv))
    return "needs a model whose layers all keep every token";
  if (deployment.report && deployment.report->kv.groups.size() > 1) return "needs layers of one kind";
  return "";
}

FineDuration time_of(double bytes, double bytes_per_s) {
  return FineDuration{
      std::llround(bytes / bytes_per_s * 1e9 * static_cast<double>(std::int64_t{1} << kFineBits))};
}

/// Without a model nothing says how large a block is: moving one takes no time, and the host holds any
/// number.
ForkOptions costs_of(Config& engine, const Scenario& scenario) {
  const Deployment& deployment = scenario.deployment;
  ForkOptions forks;
  if (!deployment.report) {
    forks.swap.blocks = Blocks{std::int64_t{1} << 40};
    return forks;
  }
  const std::int64_t block = deployment.report->kv.bytes_per_block;
  forks.copy_bytes = 2 * block;  // read and written
  forks.copy_time = time_of(static_cast<double>(forks.copy_bytes), deployment.gpu->bytes_per_s());
  const double to_host = deployment.gpu->pcie_gb_per_s * 1e9;
  if (to_host > 0) forks.swap = read_swap_space(engine, deployment.report->kv, to_host);
  return forks;
}

}  // namespace

void read_parallel_sampling(Config& engine, Scenario& scenario) {
  const std::string why_not = obstacle(scenario);
  const std::string mode = engine.get_choice("parallel_sampling", {"copy_on_write", "separate"},
                                             why_not.empty() ? "copy_on_write" : "separate");
  if (mode == "separate") return;
  if (!why_not.empty()) engine.fail("parallel_sampling", "copy_on_write: " + why_not);
  ForkOptions forks = costs_of(engine, scenario);
  forks.beam_fork_rate = engine.get_real("beam_fork_rate", {0, 1}, 1);
  scenario.engine.batch.forks = forks;
}

}  // namespace kvcast
