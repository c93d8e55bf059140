#include "sim/app/scenario_disaggregation.h"

#include <fmt/format.h>

#include <cmath>

#include "hwmodels/link_catalog.h"
#include "sim/app/scenario_parallel.h"
#include "sim/app/scenario_pools.h"
#include "sim/app/scenario_swap.h"

namespace kvcast {
namespace {

/// Why an engine cannot be one side of it; empty: it can.
std::string obstacle(const Scenario& side) {
  const Deployment& deployment = side.deployment;
  const MemoryOptions& memory = deployment.memory;
  if (side.sglang || deployment.scheduler != "vllm-v1")
    return "the scheduler vllm-v1 alone knows requests whose KV comes from another replica; " +
           deployment.scheduler + " does not";
  if (side.allocator != "paged" || !deployment.enable_kv_cache)
    return "paged blocks are needed: engine.allocator: paged";
  if (deployment.report &&
      (deployment.report->kv.groups.size() != 1 || !every_layer_keeps_all(deployment.report->kv)))
    return "a model whose layers all keep every token is needed";
  if (deployment.speculation) return "engine.speculative is not modelled with it";
  if (side.engine.tiers) return "engine.kv_offload is not modelled with it";
  if (side.engine.batch.forks || side.engine.batch.swap) return "engine.preemption: recompute is needed";
  if (memory.data_parallel_size > 1) return "data-parallel ranks are not modelled with it; use more replicas";
  if (cache_parts(memory) > 1) return "engine.decode_context_parallel_size must be 1";
  return "";
}

/// What one side is: a number of replicas of the cluster's shape, or a mapping as in cluster.pools.
Scenario read_side(Config& root, Config& section, const char* name, const std::string& folder,
                   const Scenario& scenario) {
  const Config base = root.without("cluster", "disaggregation");
  if (!section.has(name))
    section.fail("", fmt::format("{} is missing: a number of replicas, or a mapping such as "
                                 "{{replicas: 2, gpu: h200, tensor_parallel_size: 2}}",
                                 name));
  Scenario side;
  if (section.is_mapping(name)) {
    Config shape = section.child(name);
    if (shape.contains("name"))
      shape.fail("name", "is given already: the pools are called prefill and decode");
    side = read_pool(base, folder, scenario, name, shape);
    section.read_elsewhere(name);
  } else {
    const std::int64_t replicas = section.get_int(name, {1, 1 << 15});
    Config none = Config::empty(scenario.path);
    side = read_pool(base, folder, scenario, name, none);
    side.replicas = replicas;
  }
  if (const std::string why = obstacle(side); !why.empty()) section.fail(name, why);
  return side;
}

struct KvLink {
  std::string name;
  double gb_per_s = 0;  // of one GPU, one way
  double latency_us = 0;
};

/// link: a name of the catalogue, nvlink for that of the GPUs themselves, or {gb_per_s, latency_us}.
KvLink read_link(Config& section, const Scenario& prefill, const Scenario& decode) {
  constexpr RealRange kRates{1e-9, 1e12}, kLatencies{0, 1e9};
  if (section.is_mapping("link")) {
    Config own = section.child("link");
    const double rate = own.get_real("gb_per_s", kRates);
    return {fmt::format("{:g} GB/s", rate), rate, own.get_real("latency_us", kLatencies, 0)};
  }
  const std::string name = section.get_string("link", "rdma-400g");
  if (name != "nvlink") {
    const LinkDatasheet link = find_link(name, section.where("link"));
    return {link.name, std::min(link.gb_per_s, link.write_gb_per_s), link.latency_us};
  }
  const std::optional<GpuSpec>&from = prefill.deployment.gpu, &to = decode.deployment.gpu;
  for (const std::optional<GpuSpec>& gpu : {from, to}) {
    if (gpu && gpu->link.starts_with("nvlink")) continue;
    section.fail("link",
                 gpu ? gpu->title + " has no NVLink; name another link (kvcast list links)"
                     : "without a model there are no GPUs: name a link, or give {gb_per_s, latency_us}");
  }
  return {from->link, std::min(from->link_gb_per_s, to->link_gb_per_s),
          std::max(from->link_latency_us, to->link_latency_us)};
}

/// Bytes of a block of all layers and ranks, where it is read.
std::int64_t read_block_bytes(Config& section, const Scenario& decode, std::int64_t block_tokens) {
  const Deployment& deployment = decode.deployment;
  if (!deployment.report) return section.get_int("kv_bytes_per_token", {1, 1 << 30}) * block_tokens;
  if (section.contains("kv_bytes_per_token"))
    section.fail("kv_bytes_per_token", "follows from the model; leave it out");
  return deployment.report->kv.bytes_per_block * deployment.memory.tensor_parallel_size;
}

std::int64_t block_tokens_of(const Scenario& side) {
  constexpr std::int64_t kDefault = 16;
  if (side.deployment.report) return side.deployment.report->kv.block_size;
  return side.deployment.memory.block_size > 0 ? side.deployment.memory.block_size : kDefault;
}

void check_sides(const Config& section, const Scenario& prefill, const Scenario& decode) {
  check_together(section, prefill, decode);
  const MemoryOptions &from = prefill.deployment.memory, &to = decode.deployment.memory;
  if (prefill.deployment.max_model_len != decode.deployment.max_model_len)
    section.fail("",
                 fmt::format("engine.max_model_len is {} for prompts and {} for answers; it must be the same",
                             prefill.deployment.max_model_len, decode.deployment.max_model_len));
  if (from.kv_cache_dtype != to.kv_cache_dtype || from.dtype != to.dtype)
    section.fail("", "the KV of both pools must be of one dtype: engine.kv_cache_dtype and engine.dtype");
  if (block_tokens_of(prefill) != block_tokens_of(decode))
    section.fail("",
                 fmt::format("engine.block_size is {} for prompts and {} for answers; it must be the same",
                             block_tokens_of(prefill), block_tokens_of(decode)));
  if (to.pipeline_parallel_size > 1)
    section.fail("decode", "pipeline_parallel_size above 1 is modelled for prompts alone");
}

RouterMaker read_router(Config& section, std::string& name) {
  name = section.get_string("decode_router", "least-loaded");
  if (name == "central-queue")
    section.fail("decode_router",
                 "central-queue holds requests back; behind a prompt they wait in the engines");
  return router_catalog().find(name, section.where("decode_router")).make(section);
}

void assume(const Disaggregation& plan, const KvLink& link, Scenario& scenario) {
  scenario.assumptions.push_back(
      fmt::format("KV goes from prompts to answers over {} ({:g} GB/s a GPU each way, {:g} us), which "
                  "transfers share max-min "
                  "fairly; in between is no bottleneck",
                  link.name, link.gb_per_s, link.latency_us));
  scenario.assumptions.push_back(
      plan.push
          ? "Room for a prompt's KV is taken where it decodes, then it is computed and its KV written there"
          : "A prompt is computed, then room for its KV is taken where it decodes, and the KV is read");
}

}  // namespace

bool read_disaggregation(Config& root, const std::string& folder, Scenario& scenario) {
  if (!cluster_has(root, "disaggregation")) return false;
  Config cluster = root.child("cluster");
  Config section = cluster.child("disaggregation");
  if (cluster.contains("pools"))
    section.fail("", "its prefill and decode are the pools; leave cluster.pools out");
  if (cluster.contains("replicas") && cluster.get_int("replicas", {1, 1 << 16}) > 1)
    section.fail("", "prefill and decode say how many replicas there are; leave cluster.replicas out");
  Scenario prefill = read_side(root, section, "prefill", folder, scenario);
  Scenario decode = read_side(root, section, "decode", folder, scenario);
  check_sides(section, prefill, decode);
  if (prefill.admission) section.fail("", "cluster.admission is not modelled with it");
  if (prefill.router == "central-queue")
    section.fail("", "the router central-queue holds requests back; choose another one for prompts");
  Disaggregation plan;
  plan.push = section.get_choice("transfer", {"pull", "push"}, "pull") == "push";
  plan.by_layers = section.get_bool("by_layers", false);
  if (plan.by_layers && !plan.push)
    section.fail(
        "by_layers",
        "needs transfer: push; where a prompt's KV is pulled, nobody knows while it is computed where "
        "it will go");
  prefill.engine.tells_first =
      section.get_choice("first_token", {"decode", "prefill"}, "decode") == "prefill";
  plan.local_prompt_max = Tokens{section.get_int("max_local_prefill_length", {0, 1 << 30}, 0)};
  plan.decode_caches = decode.deployment.memory.enable_prefix_caching.value_or(false);
  plan.decode_router = read_router(section, decode.router);
  if (section.has("prefix_index") && section.get_string("prefix_index") == "exact" && !plan.decode_caches)
    section.fail("prefix_index",
                 "exact knows what engines hold, and those that decode cache no prefixes; use approximate");
  const KvLink link = read_link(section, prefill, decode);
  constexpr double kBytesPerGb = 1e9, kFinePerUs = 1e3 * (1 << kFineBits);
  const auto gpus = [](const Scenario& side) {
    return static_cast<double>(shape_of(side.deployment.memory).gpus());
  };
  plan.rates = {link.gb_per_s * kBytesPerGb * gpus(prefill), link.gb_per_s * kBytesPerGb * gpus(decode)};
  plan.latency = FineTime{std::llround(link.latency_us * kFinePerUs)};
  plan.block_tokens = Tokens{block_tokens_of(decode)};
  plan.block_bytes = read_block_bytes(section, decode, plan.block_tokens.value);
  if (decode.deployment.report)
    plan.layers = std::max<std::int64_t>(1, decode.deployment.report->kv.groups.front().layers);
  if (!decode.deployment.report) plan.layers = section.get_int("layers", {1, 10'000}, 1);
  section.finish();
  assume(plan, link, prefill);
  prefill.engine.role = Role::prefill;
  decode.engine.role = Role::decode;
  prefill.disaggregation = std::move(plan);
  std::vector<Scenario> sides;
  sides.push_back(std::move(prefill));
  sides.push_back(std::move(decode));
  take_pools(root, std::move(sides), scenario);
  return true;
}

}  // namespace kvcast
