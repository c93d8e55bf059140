#include "sim/app/scenario.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>

#include <fmt/format.h>

#include "hwmodels/affine_timer.h"
#include "sim/app/block_rules.h"
#include "sim/app/scenario_disaggregation.h"
#include "sim/app/scenario_elasticity.h"
#include "sim/app/scenario_forks.h"
#include "sim/app/scenario_parallel.h"
#include "sim/app/scenario_pools.h"
#include "sim/app/scenario_retention.h"
#include "sim/app/scenario_sglang.h"
#include "sim/app/scenario_snapshots.h"
#include "sim/app/scenario_speculation.h"
#include "sim/app/scenario_swap.h"
#include "sim/app/scenario_tiers.h"
#include "sim/app/scheduler_features.h"
#include "sim/base/embedded.h"
#include "sim/base/file.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"
#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTokensMax = std::int64_t{1} << 30;
constexpr std::size_t kScenarioBytesMax = std::size_t{4} << 20;
constexpr std::int64_t kDefaultBlockSize = 16;
constexpr const char* kDefaultProfile = "vllm-0.32";
constexpr const char* kDefaultGpu = "h100-sxm";

/// Whether a key is there, without making it one that messages propose.
bool contains(const Config& section, std::string_view key) { return section.contains(key); }

/// Keys that the scenario format has and this version does not simulate: refused, never ignored.
void refuse_key(const Config& section, std::string_view key, const std::string& what) {
  if (contains(section, key))
    section.fail(key, "this version of kvcast does not model " + what + " yet; leave the key out");
}

/// 0 where the key is absent: the engine or the model chooses.
std::int64_t int_or_zero(Config& section, std::string_view key, IntRange range) {
  return section.has(key) ? section.get_int(key, range) : 0;
}

std::optional<bool> bool_if_given(Config& section, std::string_view key) {
  if (!section.has(key)) return std::nullopt;
  return section.get_bool(key, false);
}

/// A model override's YAML scalar as JSON.
std::string to_json(const std::string& text) {
  const bool literal = parse_real(text).has_value() || text == "true" || text == "false" || text == "null";
  if (literal) return text;
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + "\"";
}

/// engine.model_overrides: nested mappings or dotted keys of the model's config.json.
void read_overrides(Config section, const std::string& prefix, ModelOverrides& overrides) {
  for (const std::string& key : section.names()) {
    const std::string path = prefix + key;
    if (section.is_mapping(key)) {
      read_overrides(section.child(key), path + ".", overrides);
    } else if (section.is_sequence(key)) {
      std::string list;
      for (const std::string& item : section.get_strings(key))
        list += (list.empty() ? "" : ", ") + to_json(item);
      overrides[path] = "[" + list + "]";
    } else {
      overrides[path] = to_json(section.get_string(key));
    }
  }
}

/// Absent only where step times come from a formula and nothing else asks for the model.
std::optional<ModelSpec> read_model(Config& root, Config& engine, const std::string& folder, bool by_formula,
                                    const char* length_key) {
  if (!root.has("model")) {
    if (by_formula && contains(engine, "num_gpu_blocks_override") && contains(engine, length_key))
      return std::nullopt;
    root.fail(
        "", std::string("model is missing: a Hugging Face config.json, a folder that holds one, or a name of "
                        "kvcast list models is needed") +
                (by_formula ? " (or, with step_time.affine or a calibration of whole steps, "
                              "engine.num_gpu_blocks_override and engine.max_model_len)"
                            : ""));
  }
  const std::string name = root.get_string("model");
  ModelOverrides overrides;
  if (engine.has("model_overrides")) read_overrides(engine.child("model_overrides"), "", overrides);
  return load_model(locate(name, folder), overrides, root.where("model"));
}

/// Whether prompts are split into chunks, in force.
bool read_chunking(Config& engine, const Deployment& deployment) {
  using Prompts = SchedulerFeatures::Prompts;
  const std::string& scheduler = deployment.scheduler;
  const EngineProfile& profile = deployment.memory.profile;
  const SchedulerFeatures features = features_of(scheduler);
  if (needs_whole_prompts(deployment.retention)) {
    const bool splits =
        features.prompts == Prompts::chunks ||
        (features.prompts == Prompts::as_set && engine.get_bool("enable_chunked_prefill", false));
    if (!splits) return false;
    engine.fail(
        "allocator",
        deployment.allocator + " chooses by the scores of a whole prompt, which is computed in one step; " +
            (features.prompts == Prompts::chunks ? "the scheduler " + scheduler + " always splits prompts"
                                                 : "set enable_chunked_prefill to false"));
  }
  if (features.prompts != Prompts::as_set) {
    if (contains(engine, "enable_chunked_prefill")) {
      engine.fail("enable_chunked_prefill",
                  "has no meaning with the scheduler " + scheduler + ", which " +
                      (features.prompts == Prompts::whole ? "computes every prompt in one step"
                                                          : "always splits prompts"));
    }
    return features.prompts == Prompts::chunks;
  }
  const bool by_profile = profile.scheduler == scheduler;
  return engine.get_bool("enable_chunked_prefill",
                         by_profile ? profile.enable_chunked_prefill : features.chunks_by_default);
}

/// What a step may hold. Where prompts are not split, a step must hold the longest.
void read_step_limits(Config& engine, bool chunked, std::int64_t max_model_len, MemoryOptions& memory) {
  const EngineProfile& profile = memory.profile;
  memory.enable_chunked_prefill = chunked;
  const std::int64_t tokens =
      chunked ? profile.max_num_batched_tokens : std::max(profile.max_num_batched_tokens, max_model_len);
  memory.max_num_batched_tokens =
      engine.get_int("max_num_batched_tokens", {1, std::int64_t{1} << 24}, tokens);
  const std::int64_t seqs = std::min(profile.max_num_seqs, memory.max_num_batched_tokens);
  memory.max_num_seqs = engine.get_int("max_num_seqs", {1, std::int64_t{1} << 20}, seqs);
}

std::int64_t read_max_model_len(Config& engine, const char* key, const std::optional<ModelSpec>& model) {
  const std::int64_t given = int_or_zero(engine, key, {2, kTokensMax});
  if (given > 0 || !model) return given;
  const std::int64_t length = model->max_position_embeddings;
  if (length == 0) engine.fail(key, "must be given: the model's file does not say its longest context");
  engine.note(key, std::to_string(length), Origin::model_file);
  return length;
}

/// engine.kv_pools: whether layers that keep every token and those that do not share their blocks.
void read_kv_pools(Config& engine, Deployment& deployment) {
  if (engine.get_choice("kv_pools", {"shared", "split"}, "shared") == "shared") return;
  if (!deployment.model) engine.fail("kv_pools", "split needs a model, whose layers are divided");
  if (deployment.allocator != "paged")
    engine.fail("kv_pools",
                "split is of paged blocks; the allocator " + deployment.allocator + " has one pool");
  PoolSplit split;
  if (engine.has("kv_pool_window_share"))
    split.bounded_share = engine.get_real("kv_pool_window_share", {1e-4, 0.9999});
  deployment.memory.kv_pool_split = split;
}

/// Memory, steps and features under vLLM's argument names.
void read_sizes(Config& engine, ReadFor use, Deployment& deployment) {
  MemoryOptions& memory = deployment.memory;
  memory.gpu_memory_utilization =
      engine.get_real("gpu_memory_utilization", {0.01, 1.0}, memory.profile.gpu_memory_utilization);
  const bool chunked = use == ReadFor::simulate
                           ? read_chunking(engine, deployment)
                           : engine.get_bool("enable_chunked_prefill", memory.profile.enable_chunked_prefill);
  read_step_limits(engine, chunked, deployment.max_model_len, memory);
  memory.enforce_eager = engine.get_bool("enforce_eager", false);
  memory.enable_prefix_caching = bool_if_given(engine, "enable_prefix_caching");
  memory.async_scheduling = bool_if_given(engine, "async_scheduling");
  memory.disable_hybrid_kv_cache_manager = engine.get_bool("disable_hybrid_kv_cache_manager", false);
  read_kv_pools(engine, deployment);
}

/// SGLang's scheduler belongs to its own engine, whose memory is its profile's.
void read_scheduler(Config& engine, Deployment& deployment) {
  const EngineProfile& profile = deployment.memory.profile;
  deployment.scheduler = engine.get_string("scheduler", profile.scheduler);
  (void)schedulers().find(deployment.scheduler, engine.where("scheduler"));
  const bool sglang = deployment.scheduler == kSglangScheduler;
  if (sglang && !is_sglang(profile))
    engine.fail("scheduler", "sglang needs SGLang's memory and defaults: set engine.profile to sglang-0.5");
  if (!sglang && is_sglang(profile))
    engine.fail("scheduler", "the profile " + profile.name +
                                 " is an engine with its own scheduler, sglang; for " + deployment.scheduler +
                                 " choose another profile");
}

}  // namespace

Deployment read_deployment(Config& root, const std::string& folder, ReadFor use) {
  Deployment deployment;
  (void)root.has("model");  // dumps show keys in the order in which they were first asked for
  Config engine = root.child("engine");
  Config cluster = root.child("cluster");
  MemoryOptions& memory = deployment.memory;
  const std::string profile = engine.get_string("profile", kDefaultProfile);
  const GpuSpec gpu = read_gpu(cluster, "gpu", kDefaultGpu);
  memory.profile = load_engine_profile(profile, gpu, engine.where("profile"));
  if (use == ReadFor::simulate) {
    read_scheduler(engine, deployment);
    deployment.step_time = read_step_time(engine, folder);
    if (const auto& host_us = deployment.step_time.host_overhead_us) {
      memory.profile.host_overhead_us = *host_us;
      memory.profile.host_overhead_source = "engine.step_time.host_overhead_us of the scenario";
    }
  }
  const bool sglang = is_sglang(memory.profile);
  const char* length_key = sglang ? sglang_key(engine, "context_length", "max_model_len") : "max_model_len";
  deployment.model = read_model(root, engine, folder, deployment.step_time.by_formula(), length_key);
  if (deployment.model) deployment.gpu = gpu;
  deployment.max_model_len = read_max_model_len(engine, length_key, deployment.model);
  memory.max_model_len = deployment.max_model_len;
  memory.dtype = engine.get_choice("dtype", {"auto", "bfloat16", "float16", "float32"}, "auto");
  if (memory.dtype == "auto") memory.dtype.clear();
  const std::string kv_dtype = engine.get_string("kv_cache_dtype", memory.profile.kv_cache_dtype);
  memory.kv_cache_dtype = parse_kv_dtype(kv_dtype, engine.where("kv_cache_dtype"));
  const char* block_key = sglang ? sglang_key(engine, "page_size", "block_size") : "block_size";
  memory.block_size = int_or_zero(engine, block_key, {1, 4096});
  if (!sglang) {
    deployment.allocator = engine.get_string("allocator", memory.profile.allocator);
    (void)allocator_catalog().find(deployment.allocator, engine.where("allocator"));
    deployment.retention = read_retention(engine, deployment.allocator);
    if (deployment.model) {
      retain(engine, deployment.retention, *deployment.model);
      read_storage(engine, memory.block_size, *deployment.model);
    }
    read_sizes(engine, use, deployment);
  }
  if (engine.has("mamba_ssm_cache_dtype")) {
    memory.mamba_ssm_cache_dtype =
        engine.get_choice("mamba_ssm_cache_dtype", {"float32", "bfloat16", "float16"}, "float32");
  }
  if (engine.has("moe_backend"))
    memory.moe_backend = engine.get_choice("moe_backend", {"triton", "marlin"}, "triton");
  deployment.top_k_top_p =
      engine.get_choice("sampling", {"greedy", "top_k_top_p"}, "greedy") == "top_k_top_p";
  if (engine.has("num_gpu_blocks_override")) {
    memory.num_gpu_blocks_override = engine.get_int("num_gpu_blocks_override", {1, kTokensMax});
  }
  read_parallelism(engine, cluster, use, deployment);
  read_speculation(engine, folder, use, deployment);
  if (sglang) read_sglang_sizes(engine, gpu, deployment);
  return deployment;
}

namespace {

/// Keys of engines that this version does not simulate.
void refuse_unmodelled_engine(Config& engine) {
  refuse_key(engine, "mamba_cache_mode", "other ways to cache recurrent states");
  (void)read_preemption_name(engine);
}

/// Prefix caching and asynchronous scheduling: as the engine's profile says where the scheduler knows them,
/// else off.
void read_features(Config& engine, Scenario& scenario) {
  Deployment& deployment = scenario.deployment;
  MemoryOptions& memory = deployment.memory;
  const SchedulerFeatures features = features_of(deployment.scheduler);
  const bool recurrent = deployment.model && has_recurrent_state(*deployment.model);
  const bool caches =
      recurrent ? memory.profile.enable_prefix_caching_recurrent : memory.profile.enable_prefix_caching;
  const bool keeps_blocks = scenario.allocator == "paged" || scenario.allocator == "quest";
  const bool can_cache = features.caches_prefixes && keeps_blocks;
  if (memory.enable_prefix_caching.value_or(false) && !can_cache) {
    engine.fail("enable_prefix_caching", "true is not possible with the scheduler " + deployment.scheduler +
                                             " and the allocator " + scenario.allocator);
  }
  if (memory.async_scheduling.value_or(false) && !features.asynchronous) {
    engine.fail("async_scheduling", "true is not possible with the scheduler " + deployment.scheduler);
  }
  memory.enable_prefix_caching = engine.get_bool("enable_prefix_caching", can_cache && caches);
  const char* const together = memory.pipeline_parallel_size > 1 ? "a pipeline" : "data-parallel ranks";
  const bool alone = memory.pipeline_parallel_size * memory.data_parallel_size == 1;
  if (memory.async_scheduling.value_or(false) && !alone)
    engine.fail("async_scheduling", std::string("true is not modelled with ") + together);
  const bool drafts_wait = deployment.speculation && !deployment.speculation->with_target();
  memory.async_scheduling = engine.get_bool(
      "async_scheduling", alone && !drafts_wait && features.asynchronous && memory.profile.async_scheduling);
}

/// memory_report() of the deployment, the scenario named in what the engine refuses outright.
void size_memory(Deployment& deployment, const std::string& path) {
  if (!deployment.model) return;
  MemoryOptions options = deployment.memory;
  options.num_gpu_blocks_override.reset();  // the GPU's own share is what an override is held against
  try {
    deployment.report = memory_report(*deployment.model, *deployment.gpu, options);
  } catch (const InputError& error) {
    throw InputError(path + ": " + error.what(), error.code());
  }
}

/// The engine's version, where its rules depend on it.
EngineVersion version_of(const EngineProfile& profile) {
  return profile.engine == "vllm" ? parse_engine_version(profile.version) : EngineVersion{};
}

CachedBlocksSettings read_layers(const Deployment& deployment, EngineVersion version) {
  const bool caching = deployment.memory.enable_prefix_caching.value_or(false);
  std::vector<KvGroup> groups;
  if (deployment.report) groups = kv_groups_of(deployment.report->kv, caching);
  for (KvGroup& group : groups) group.block_size *= cache_parts(deployment.memory);
  if (groups.empty()) {
    KvGroup group;
    group.block_size = deployment.memory.block_size > 0 ? deployment.memory.block_size : kDefaultBlockSize;
    bound_group(deployment.retention, group);
    groups.push_back(group);
  }
  CachedBlocksSettings rules = vllm_block_rules(std::move(groups), caching, version);
  if (deployment.report) rules.bounded_share = deployment.report->kv.bounded_share;
  if (deployment.speculation) rules.drop_last_block = deployment.speculation->drops_last_block();
  return rules;
}

/// engine.prefix_cache_eviction: engines evict by LRU; other policies are what-ifs.
EvictionMaker read_eviction(Config& engine, Scenario& scenario) {
  const std::string name = engine.get_string("prefix_cache_eviction", "lru");
  const auto& entry = eviction_catalog().find(name, engine.where("prefix_cache_eviction"));
  if (name == "lru") return nullptr;  // what the pool's free queue is
  if (entry.make == nullptr)
    engine.fail("prefix_cache_eviction",
                name + " needs to know the future: kvcast trace cache --eviction " + name + " has it");
  if (!scenario.deployment.memory.enable_prefix_caching.value_or(false))
    engine.fail("prefix_cache_eviction", name + " needs enable_prefix_caching: true");
  scenario.assumptions.push_back("Cached blocks are evicted by " + name +
                                 " where the engine itself evicts by LRU: a what-if");
  return entry.make;
}

void read_kv_cache(Config& engine, Scenario& scenario) {
  Deployment& deployment = scenario.deployment;
  deployment.enable_kv_cache = engine.get_bool("enable_kv_cache", true);
  scenario.engine.enable_kv_cache = deployment.enable_kv_cache;
  if (!deployment.enable_kv_cache && !features_of(deployment.scheduler).works_without_kv) {
    engine.fail(
        "enable_kv_cache",
        "false is not possible with the scheduler " + deployment.scheduler +
            ", which must keep the KV of earlier steps; set engine.scheduler to static or continuous");
  }
  const auto& allocator = allocator_catalog().find(scenario.allocator, engine.where("allocator"));
  CachedBlocksSettings layers = read_layers(deployment, version_of(deployment.memory.profile));
  layers.eviction = read_eviction(engine, scenario);
  read_snapshots(engine, scenario, layers);
  if (layers.bounded_share > 0 && deployment.scheduler != "vllm-v1")
    engine.fail("kv_pools", "split needs the scheduler vllm-v1; " + deployment.scheduler +
                                " counts the free blocks of one pool");
  if (layers.bounded_share > 0)
    scenario.assumptions.push_back(
        "Layers that keep every token and those that do not have pools of their own, as in SGLang's hybrid "
        "caches; the scheduler is vLLM's, which has one pool: a what-if");
  scenario.engine.allocator = allocator.make(engine, layers);
  if (deployment.report) {
    std::string text =
        kv_groups_assumption(deployment.report->kv, deployment.memory.enable_prefix_caching.value_or(false));
    if (!text.empty()) scenario.assumptions.push_back(std::move(text));
  }
  const std::string reservation =
      engine.get_choice("reservation", {"max_model_len", "max_tokens"}, "max_model_len");
  scenario.engine.reservation =
      reservation == "max_tokens" ? Reservation::max_tokens : Reservation::max_model_len;
}

void read_engine(Config& root, Scenario& scenario) {
  Config engine = root.child("engine");
  Deployment& deployment = scenario.deployment;
  const MemoryOptions& memory = deployment.memory;
  refuse_unmodelled_engine(engine);
  if (deployment.scheduler == kSglangScheduler) {
    size_memory(deployment, scenario.path);
    read_sglang_engine(engine, scenario);
    read_preemption(engine, scenario);
    return;
  }
  scenario.policy = engine.get_string("scheduling_policy", "fcfs");
  scenario.allocator = deployment.allocator;
  const auto& scheduler = scheduler_catalog().find(deployment.scheduler, engine.where("scheduler"));
  const auto& order = queue_order_catalog().find(scenario.policy, engine.where("scheduling_policy"));
  read_features(engine, scenario);
  size_memory(deployment, scenario.path);

  EngineDefaults defaults;
  defaults.max_num_seqs = memory.max_num_seqs;
  defaults.max_num_batched_tokens = memory.max_num_batched_tokens;
  defaults.enable_chunked_prefill = memory.enable_chunked_prefill.value_or(true);
  defaults.max_model_len = Tokens{deployment.max_model_len};
  defaults.version = version_of(memory.profile);
  scenario.engine.scheduler = scheduler.make(engine, defaults);
  scenario.engine.order = order.make(engine);
  scenario.engine.max_model_len = defaults.max_model_len;
  if (deployment.scheduler == "vllm-v1") scenario.engine.batch = vllm_batch_rules(defaults.version);
  scenario.engine.batch.asynchronous = memory.async_scheduling.value_or(false);
  scenario.engine.batch.reach =
      deployment.model ? reach_of(*deployment.model) : reach_of(deployment.retention);
  read_kv_cache(engine, scenario);
  read_preemption(engine, scenario);
  read_parallel_sampling(engine, scenario);
  read_tiers(engine, scenario);
  check_spread_engine(engine, scenario);
  check_speculation(engine, scenario);
  for (const std::string& text : parallel_assumptions(deployment)) scenario.assumptions.push_back(text);
  const std::string path = engine.get_choice("step_path", {"closed_form", "step_by_step"}, "closed_form");
  scenario.engine.path = path == "step_by_step" ? StepPath::step_by_step : StepPath::closed_form;
}

/// engine.frontend: the profile's times, or the scenario's. Steps by formula or from a log come without them.
FrontendDelays read_frontend(Config& root, const Deployment& deployment) {
  constexpr RealRange kMicroseconds{0, 1e9};
  Config engine = root.child("engine");
  Config frontend = engine.child("frontend");
  const FrontendTimes times =
      deployment.step_time.by_formula() ? FrontendTimes{} : deployment.memory.profile.frontend;
  const auto read = [&](std::string_view key, double fallback) {
    return frontend.get_real(key, kMicroseconds, fallback);
  };
  FrontendDelays delays;
  delays.before = Duration{std::llround(1e3 * read("before_us", times.before_us))};
  delays.per_input_token = FineDuration{
      std::llround(1e3 * (1 << kFineBits) * read("per_input_token_us", times.per_input_token_us))};
  delays.after = Duration{std::llround(1e3 * read("after_us", times.after_us))};
  return delays;
}

/// A router that is told what engines hold asks each for its one cache of named blocks.
void check_exact_index(const Config& cluster, const Scenario& scenario) {
  const auto idle = make_affine_timer({});
  RouterSetup probe;
  probe.replicas = {{{Blocks{1}, Tokens{1}}, idle.get()}};
  if (!scenario.make_router(probe)->needs().held_prefix) return;
  const MemoryOptions& memory = scenario.deployment.memory;
  const char* lacking = scenario.sglang ? "SGLang's radix cache publishes no events in this version of kvcast"
                        : memory.data_parallel_size > 1
                            ? "data-parallel ranks have a cache each, and the engine picks among them"
                        : !memory.enable_prefix_caching.value_or(false)
                            ? "the engines cache no prefixes (engine.enable_prefix_caching is false)"
                            : nullptr;
  if (lacking != nullptr)
    cluster.fail("prefix_index",
                 fmt::format("exact knows what engines hold, and {}; use approximate", lacking));
}

void read_cluster(Config& root, Scenario& scenario) {
  Config cluster = root.child("cluster");
  scenario.replicas = cluster.get_int("replicas", {1, 1 << 16}, 1);
  scenario.router = cluster.get_string("router", "round-robin");
  scenario.make_router = router_catalog().find(scenario.router, cluster.where("router")).make(cluster);
  check_exact_index(cluster, scenario);
  scenario.admission = read_admission(cluster);
  read_elasticity(cluster, scenario);
  if (cluster.has("price_per_gpu_hour"))
    scenario.price_per_gpu_hour = cluster.get_real("price_per_gpu_hour", {0, 1e6});
}

std::vector<SloBound> read_slo(Config& root) {
  std::vector<SloBound> bounds;
  Config slo = root.child("slo");
  for (const char* metric : {"ttft", "tpot", "itl", "e2el", "queue"}) {
    const std::string key = std::string(metric) + "_ms";
    if (slo.has(key) && !slo.is_mapping(key))
      slo.fail(key, "a limit for each statistic is needed, for example {p99: 2000}");
    Config limits = slo.child(key);
    for (const char* statistic : {"mean", "median", "p50", "p90", "p95", "p99"}) {
      if (!limits.has(statistic)) continue;
      bounds.push_back({metric, statistic, limits.get_real(statistic, {0.001, 1e9})});
    }
    if (slo.has(key) && limits.keys().empty()) slo.fail(key, "is empty; write for example {p99: 2000}");
  }
  if (root.has("slo") && slo.keys().empty())
    root.fail("slo", "is empty; write for example {ttft_ms: {p99: 2000}}");
  return bounds;
}

std::optional<Duration> read_sim_time(Config& root) {
  Config limits = root.child("limits");
  if (!limits.has("sim_time_s")) return std::nullopt;
  const double seconds = limits.get_real("sim_time_s", {1e-6, 1e9});
  return Duration{std::llround(seconds * 1e9)};
}

constexpr std::string_view kScenarioFolder = "configs/scenarios/";
constexpr std::string_view kScenarioEnding = ".yaml";

/// "default" of "configs/scenarios/default.yaml"; other paths as they are.
std::string short_name(std::string path) {
  if (path.starts_with(kScenarioFolder)) path.erase(0, kScenarioFolder.size());
  if (path.ends_with(kScenarioEnding)) path.erase(path.size() - kScenarioEnding.size());
  return path;
}

/// A built-in file by its path, a scenario also by its short name.
const EmbeddedFile* find_embedded(const std::string& path) {
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path == path) return &file;
    if (file.path.starts_with(kScenarioFolder) && short_name(std::string(file.path)) == path) return &file;
  }
  return nullptr;
}

std::vector<std::string> embedded_scenarios() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path.starts_with(kScenarioFolder)) names.push_back(short_name(std::string(file.path)));
  }
  return names;
}

}  // namespace

Setting parse_setting(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw InputError("--set " + text +
                     ": a setting reads path=value, for example --set engine.block_size=32");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

ScenarioText open_scenario(const std::string& path, const std::vector<Setting>& settings) {
  std::error_code error;
  const EmbeddedFile* embedded = std::filesystem::exists(path, error) ? nullptr : find_embedded(path);
  if (embedded == nullptr && !std::filesystem::exists(path, error)) {
    throw InputError(path + ": there is no such file, and no built-in scenario of this name" +
                     known_names(short_name(path), embedded_scenarios()));
  }
  const std::string text =
      embedded ? std::string(embedded->text) : read_file(path, kScenarioBytesMax, ExitCode::usage);
  const std::string folder = embedded ? "" : std::filesystem::path(path).parent_path().string();
  const std::string name = embedded ? std::string(embedded->path) : path;
  ScenarioText scenario{Config::from_text(text, name), name, content_hash(text), folder};
  for (const Setting& setting : settings) scenario.config.set(setting.path, setting.value);
  return scenario;
}

void read_serving(Config& root, const std::string& folder, Scenario& scenario) {
  scenario.deployment = read_deployment(root, folder, ReadFor::simulate);
  read_engine(root, scenario);
  scenario.frontend = read_frontend(root, scenario.deployment);
  read_cluster(root, scenario);
}

Scenario read_scenario(ScenarioText& text) {
  Config& root = text.config;
  Scenario scenario;
  scenario.path = text.path;
  scenario.name = std::filesystem::path(text.path).filename().string();
  scenario.hash = text.hash;
  const bool has_pools =
      read_disaggregation(root, text.folder, scenario) || read_pools(root, text.folder, scenario);
  if (!has_pools) read_serving(root, text.folder, scenario);
  scenario.seed =
      static_cast<std::uint64_t>(root.get_int("seed", {0, std::numeric_limits<std::int64_t>::max()}, 1));
  Config workload = root.child("workload");
  scenario.workload = make_workload(workload, scenario.seed, text.folder);
  scenario.slo = read_slo(root);
  scenario.sim_time_max = read_sim_time(root);
  if (root.has("plan")) scenario.plan = read_plan_space(root);
  root.finish();
  return scenario;
}

}  // namespace kvcast
