// The commands that start one replica of a plan's winner.
#include <fmt/format.h>

#include "sim/app/plan_study.h"

namespace kvcast {
namespace {

/// The names of the dtypes that the engine itself knows; kvcast's own have no kernel to be started.
bool engine_knows(KvDtype dtype) {
  return dtype != KvDtype::int8 && dtype != KvDtype::int4 && dtype != KvDtype::nf4;
}

std::string vllm_command(const Scenario& scenario) {
  const MemoryOptions& memory = scenario.deployment.memory;
  std::string text = fmt::format(
      "vllm serve MODEL --tensor-parallel-size {} --max-model-len {} "
      "--gpu-memory-utilization {} --max-num-seqs {} --max-num-batched-tokens {}",
      memory.tensor_parallel_size, scenario.deployment.max_model_len, memory.gpu_memory_utilization,
      memory.max_num_seqs, memory.max_num_batched_tokens);
  const auto parallel = [&](const char* option, std::int64_t size) {
    if (size > 1) text += fmt::format(" {} {}", option, size);
  };
  parallel("--pipeline-parallel-size", memory.pipeline_parallel_size);
  parallel("--data-parallel-size", memory.data_parallel_size);
  parallel("--decode-context-parallel-size", memory.decode_context_parallel_size);
  if (memory.enable_expert_parallel) text += " --enable-expert-parallel";
  if (memory.kv_cache_dtype != KvDtype::model && engine_knows(memory.kv_cache_dtype))
    text += fmt::format(" --kv-cache-dtype {}", to_string(memory.kv_cache_dtype));
  if (memory.block_size > 0) text += fmt::format(" --block-size {}", memory.block_size);
  text += memory.enable_prefix_caching.value_or(false) ? " --enable-prefix-caching"
                                                       : " --no-enable-prefix-caching";
  if (memory.async_scheduling.has_value())
    text += *memory.async_scheduling ? " --async-scheduling" : " --no-async-scheduling";
  if (scenario.policy == "priority") text += " --scheduling-policy priority";
  if (memory.pipeline_parallel_size > 1)
    text += fmt::format(" --pipeline-parallel-size {}", memory.pipeline_parallel_size);
  if (memory.data_parallel_size > 1)
    text += fmt::format(" --data-parallel-size {}", memory.data_parallel_size);
  if (memory.context_parallel_size > 1)
    text += fmt::format(" --prefill-context-parallel-size {}", memory.context_parallel_size);
  if (memory.decode_context_parallel_size > 1)
    text += fmt::format(" --decode-context-parallel-size {}", memory.decode_context_parallel_size);
  if (memory.enable_expert_parallel) text += " --enable-expert-parallel";
  if (memory.enforce_eager) text += " --enforce-eager";
  return text;
}

std::string sglang_command(const Scenario& scenario) {
  const MemoryOptions& memory = scenario.deployment.memory;
  std::string text = fmt::format(
      "python3 -m sglang.launch_server --model-path MODEL --tp-size {} --context-length {} "
      "--max-running-requests {} --chunked-prefill-size {}",
      memory.tensor_parallel_size, scenario.deployment.max_model_len, memory.max_num_seqs,
      memory.max_num_batched_tokens);
  if (memory.pipeline_parallel_size > 1) text += fmt::format(" --pp-size {}", memory.pipeline_parallel_size);
  if (memory.data_parallel_size > 1) text += fmt::format(" --dp-size {}", memory.data_parallel_size);
  if (memory.kv_cache_dtype == KvDtype::fp8_e4m3 || memory.kv_cache_dtype == KvDtype::fp8_e5m2)
    text += fmt::format(" --kv-cache-dtype {}", to_string(memory.kv_cache_dtype));
  if (memory.block_size > 0) text += fmt::format(" --page-size {}", memory.block_size);
  const bool radix =
      scenario.sglang ? !scenario.sglang->disable_radix_cache : memory.enable_prefix_caching.value_or(false);
  if (!radix) text += " --disable-radix-cache";
  return text;
}

}  // namespace

void fill_deploy(const PlanBench& bench, const Chosen& winner, PlanResult& result) {
  const Scenario scenario = bench.scenario(winner.design, {.replicas = winner.replicas});
  const Deployment& deployment = scenario.deployment;
  if (!deployment.model) return;
  result.deploy_vllm = vllm_command(scenario);
  result.deploy_sglang = sglang_command(scenario);
  result.deploy_note =
      fmt::format("MODEL is the repository or folder with the weights of {}; start {} of them",
                  deployment.model->name, winner.replicas);
  if (winner.replicas > 1) result.deploy_note += fmt::format(" behind a {} router", scenario.router);
  const bool by_sglang = scenario.sglang.has_value();
  result.deploy_note += fmt::format("; the forecast is of {}, the other command is its nearest translation",
                                    by_sglang ? "SGLang" : deployment.memory.profile.name);
  if (scenario.engine.tiers)
    result.deploy_note += "; KV tiers are configured beside these commands, by the connector that holds them";
  if (deployment.speculation)
    result.deploy_note += "; speculative decoding is configured beside these commands";
  if (!engine_knows(deployment.memory.kv_cache_dtype))
    result.deploy_note += "; no engine has this KV cache dtype, the commands leave it out";
}

}  // namespace kvcast
