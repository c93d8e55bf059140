// Single changes of a deployment, simulated on the requests of the run that is explained.
#include <fmt/format.h>

#include <algorithm>

#include "sim/app/experiments.h"
#include "sim/app/explain.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

bool given(const Config& engine, std::string_view key) {
  const std::vector<std::string> keys = engine.keys();
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// SGLang's name of a setting, or vLLM's where the scenario says it by that.
std::string engine_key(const Scenario& scenario, const Config& engine, const char* sglang, const char* vllm) {
  return std::string("engine.") + (scenario.sglang && !given(engine, vllm) ? sglang : vllm);
}

void change_engine(const Scenario& scenario, const Config& engine, std::vector<WhatIf>& changes) {
  const MemoryOptions& memory = scenario.deployment.memory;
  const auto add = [&](const std::string& title, const std::string& setting) {
    WhatIf change;
    change.title = title;
    change.setting = setting;
    changes.push_back(std::move(change));
  };
  if (memory.kv_cache_dtype == KvDtype::model && scenario.deployment.model)
    add("KV cache in fp8", "engine.kv_cache_dtype=fp8");
  if (!memory.enable_prefix_caching.value_or(false) && !scenario.sglang)
    add("prefix caching on", "engine.enable_prefix_caching=true");
  if (!memory.async_scheduling.value_or(false) && !scenario.sglang)
    add("asynchronous scheduling", "engine.async_scheduling=true");
  const std::string budget = engine_key(scenario, engine, "chunked_prefill_size", "max_num_batched_tokens");
  const std::int64_t tokens = memory.max_num_batched_tokens;
  if (tokens > 1) {
    add("token budget doubled", fmt::format("{}={}", budget, 2 * tokens));
    add("token budget halved", fmt::format("{}={}", budget, tokens / 2));
  }
  const std::string seqs = engine_key(scenario, engine, "max_running_requests", "max_num_seqs");
  if (memory.max_num_seqs > 1) {
    add("running requests doubled", fmt::format("{}={}", seqs, 2 * memory.max_num_seqs));
    add("running requests halved", fmt::format("{}={}", seqs, memory.max_num_seqs / 2));
  }
  const bool caches = memory.enable_prefix_caching.value_or(false) && !scenario.sglang;
  if (caches && scenario.engine.tiers == nullptr)
    add("64 GiB of host memory for KV", "engine.kv_offload.host_gib=64");
}

}  // namespace

std::vector<WhatIf> candidate_changes(const Scenario& scenario, Config& root) {
  std::vector<WhatIf> changes;
  const auto add = [&](const std::string& title, const std::string& setting) {
    WhatIf change;
    change.title = title;
    change.setting = setting;
    changes.push_back(std::move(change));
  };
  const bool one_shape = scenario.pool_name.empty();
  if (one_shape) add("one replica more", fmt::format("cluster.replicas={}", scenario.replicas + 1));
  if (one_shape && scenario.deployment.model)
    add("tensor parallelism doubled",
        fmt::format("cluster.tensor_parallel_size={}", 2 * scenario.deployment.memory.tensor_parallel_size));
  const auto& model = scenario.deployment.model;
  const bool mixes = model && std::any_of(model->layers.begin(), model->layers.end(),
                                          [](const LayerSpec& layer) { return layer.mlp.experts > 0; });
  const MemoryOptions& memory = scenario.deployment.memory;
  if (mixes && memory.tensor_parallel_size > 1 && !memory.enable_expert_parallel)
    add("experts spread over the GPUs", "engine.enable_expert_parallel=true");
  if (scenario.replicas > 1 || !scenario.further_pools.empty()) {
    for (const char* router : {"least-loaded", "prefix-affinity"}) {
      if (scenario.router != router)
        add(fmt::format("router {}", router), fmt::format("cluster.router={}", router));
    }
  }
  if (one_shape) change_engine(scenario, root.child("engine"), changes);
  return changes;
}

WhatIf measured(const Forecast& forecast, const WhatIf* base) {
  WhatIf result;
  const Metrics& metrics = forecast.metrics;
  result.gpus = forecast.facts.gpus;
  result.ttft_p99_ms = metrics.ttft.p99;
  result.tpot_p99_ms = metrics.tpot.p99;
  result.e2el_p99_ms = metrics.e2el.p99;
  result.output_throughput = metrics.output_throughput;
  result.slo_met = slo_met(forecast);
  if (!forecast.slo.empty()) {
    for (const SloTerm& term : forecast.slo)
      result.score = std::max(result.score, term.limit_ms > 0 ? term.value_ms / term.limit_ms : 0);
  } else {
    result.score = base == nullptr || base->e2el_p99_ms <= 0 ? 1 : metrics.e2el.p99 / base->e2el_p99_ms;
  }
  return result;
}

void try_changes(const std::string& path, const std::vector<Setting>& settings, std::int64_t requests_max,
                 unsigned threads, const WhatIf& base, std::vector<WhatIf>& changes) {
  for_each_parallel(changes.size(), threads, [&](std::size_t i) {
    WhatIf& change = changes[i];
    try {
      std::vector<Setting> all = settings;
      all.push_back(parse_setting(change.setting));
      ScenarioText text = open_scenario(path, all);
      Experiment experiment = compose(read_scenario(text));
      limit_requests(experiment, requests_max);
      const RanExperiment ran = run_experiment(experiment);
      WhatIf result = measured(ran.forecast, &base);
      result.title = change.title;
      result.setting = change.setting;
      change = std::move(result);
    } catch (const InputError& error) {
      change.refusal = error.what();
    }
  });
  std::stable_sort(changes.begin(), changes.end(), [](const WhatIf& a, const WhatIf& b) {
    if (a.refusal.empty() != b.refusal.empty()) return a.refusal.empty();
    return a.refusal.empty() && a.score < b.score;
  });
}

}  // namespace kvcast
