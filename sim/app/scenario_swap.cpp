#include "sim/app/scenario_swap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/app/scheduler_features.h"

namespace kvcast {
namespace {

/// Why a scheduler has no swapping.
std::string recomputes(const std::string& scheduler) {
  if (scheduler == "vllm-v1") return "vLLM removed swapping with its v1 engine, which recomputes";
  if (scheduler == kSglangScheduler) return "SGLang retracts requests and computes them again";
  return "the scheduler " + scheduler + " does not swap";
}

}  // namespace

std::string read_preemption_name(Config& engine) {
  return engine.get_choice("preemption", {"recompute", "swap", "cheapest"}, "recompute");
}

bool every_layer_keeps_all(const KvReport& kv) {
  return std::all_of(kv.groups.begin(), kv.groups.end(), [](const KvGroupReport& group) {
    return group.window == 0 && group.kind != "recurrent";
  });
}

SwapSpace read_swap_space(Config& engine, const KvReport& kv, double bytes_per_s) {
  constexpr double kSwapGib = 4;  // vLLM v0: --swap-space
  const double gib = engine.get_real("swap_space_gib", {0, 1e6}, kSwapGib);
  SwapSpace swap;
  swap.block_bytes = kv.bytes_per_block;
  swap.blocks = Blocks{static_cast<std::int64_t>(gib * 0x1p30) / swap.block_bytes};
  const double seconds = static_cast<double>(swap.block_bytes) / bytes_per_s;
  swap.block_time =
      FineDuration{std::llround(seconds * 1e9 * static_cast<double>(std::int64_t{1} << kFineBits))};
  return swap;
}

void read_preemption(Config& engine, Scenario& scenario) {
  const Deployment& deployment = scenario.deployment;
  const std::string preemption = read_preemption_name(engine);
  if (preemption == "recompute") return;
  if (deployment.scheduler != "vllm-v0")
    engine.fail("preemption", fmt::format("{}; {} is possible with the scheduler vllm-v0",
                                          recomputes(deployment.scheduler), preemption));
  if (!deployment.report)
    engine.fail("preemption",
                preemption + " needs a model: its blocks' bytes decide how long they take to move");
  const KvReport& kv = deployment.report->kv;
  if (!every_layer_keeps_all(kv) || scenario.allocator != "paged")
    engine.fail(
        "preemption",
        preemption + " needs paged blocks and a model whose layers all keep every token; use recompute");
  const double bytes_per_s = deployment.gpu->pcie_gb_per_s * 1e9;
  if (bytes_per_s <= 0)
    engine.fail("preemption",
                preemption + " needs cluster.gpu.pcie_gb_per_s, the rate at which blocks move to the host");
  scenario.engine.batch.swap = read_swap_space(engine, kv, bytes_per_s);
  if (preemption == "cheapest") {
    scenario.engine.batch.swap->where_cheaper = true;
    scenario.assumptions.push_back(
        "A preempted sequence goes to host memory where that has room and copying its blocks out and in "
        "again takes less time than computing its tokens again in a step of their own, blocks that a prefix "
        "cache might still hold not counted: a what-if, vLLM decides for all sequences alike");
  }
  scenario.assumptions.push_back(
      fmt::format("A step waits for its swapped blocks, which move at the datasheet's PCIe rate of {} GB/s "
                  "whatever their size; copies of small blocks are slower on real machines",
                  deployment.gpu->pcie_gb_per_s));
}

}  // namespace kvcast
