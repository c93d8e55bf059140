#include "sim/app/scenario_sglang.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/format.h"
#include "sim/app/describe.h"
#include "sim/sglang/machine_defaults.h"
#include "sim/sglang/sglang_engine.h"

namespace kvcast {
namespace {

constexpr std::int64_t kStepTokensMax = std::int64_t{1} << 24;
constexpr std::int64_t kRequestsMax = std::int64_t{1} << 20;
constexpr std::int64_t kPoolTokensMax = std::int64_t{1} << 40;
constexpr std::int64_t kNoChunks = -1;  // chunked_prefill_size
/// Outputs without a name of their own: no trace's segments (64-bit hashes of names) are numbered like that.
constexpr std::uint64_t kOwnOutputs = std::uint64_t{0xA5} << 56U;

/// Whether a key is there, without making it one that messages propose.
bool contains(const Config& section, std::string_view key) { return section.contains(key); }

/// A switch that SGLang states the other way round.
bool read_inverted(Config& engine, const char* disable, const char* enable, bool fallback) {
  if (sglang_key(engine, disable, enable) == enable) return engine.get_bool(enable, fallback);
  return !engine.get_bool(disable, !fallback);
}

std::int64_t read_max_prefill_tokens(Config& engine) {
  return engine.get_int("max_prefill_tokens", {1, kStepTokensMax}, SglangSettings{}.max_prefill_tokens);
}

bool has_layers(const ModelSpec& model, LayerKind kind) {
  return std::any_of(model.layers.begin(), model.layers.end(),
                     [kind](const LayerSpec& layer) { return layer.kind == kind; });
}

SglangMachine machine_of(const GpuSpec& gpu, const Deployment& deployment) {
  SglangMachine machine;
  machine.gpu_memory_mib = std::llround(gpu.memory_gib * 1024);
  machine.tensor_parallel_size = deployment.memory.tensor_parallel_size;
  machine.pipeline_parallel_size = deployment.memory.pipeline_parallel_size;
  machine.prefill_graphs = !deployment.memory.enforce_eager;
  machine.mla = deployment.model && has_layers(*deployment.model, LayerKind::mla);
  return machine;
}

/// chunked_prefill_size: prompt tokens of one step; none: -1, or enable_chunked_prefill false.
void read_chunks(Config& engine, MemoryOptions& memory) {
  const char* key = sglang_key(engine, "chunked_prefill_size", "max_num_batched_tokens");
  const bool own = key == std::string_view("chunked_prefill_size");
  const std::int64_t least = own ? kNoChunks : 1;
  const bool wanted = engine.get_bool("enable_chunked_prefill", memory.profile.enable_chunked_prefill);
  const std::int64_t size = engine.get_int(key, {least, kStepTokensMax},
                                           wanted ? memory.profile.max_num_batched_tokens : kNoChunks);
  if (size == 0) engine.fail(key, "must be at least 1, or -1 for no chunking");
  if (!wanted && size != kNoChunks)
    engine.fail(key, "contradicts enable_chunked_prefill: false; leave one of them out");
  memory.enable_chunked_prefill = size != kNoChunks;
  memory.max_num_batched_tokens = size != kNoChunks ? size : read_max_prefill_tokens(engine);
}

/// The pool, tokens: as sized, as set outright (num_gpu_blocks_override), or what max_total_tokens leaves of
/// it.
std::int64_t read_pool_tokens(Config& engine, Deployment& deployment, std::int64_t page) {
  MemoryOptions& memory = deployment.memory;
  std::int64_t tokens = deployment.report ? deployment.report->kv.blocks_usable * page : 0;
  if (memory.num_gpu_blocks_override) tokens = *memory.num_gpu_blocks_override * page;
  if (!engine.has("max_total_tokens")) return tokens;
  if (memory.num_gpu_blocks_override)
    engine.fail("max_total_tokens", "num_gpu_blocks_override sets the pool already; leave one of them out");
  const std::int64_t most = engine.get_int("max_total_tokens", {page, kPoolTokensMax});
  if (most >= tokens) return tokens;
  memory.num_gpu_blocks_override = most / page;
  return most / page * page;
}

/// Eviction parameters of tlru alone.
sglang::TlruSettings read_tlru(Config& engine, const std::string& policy) {
  if (policy != "tlru") return {};
  Config tlru = engine.child("tlru");
  sglang::TlruSettings settings;
  settings.threshold = tlru.get_int("threshold", {0, kStepTokensMax});
  settings.next_prompt_estimate = tlru.get_int("next_prompt_estimate", {0, kStepTokensMax});
  return settings;
}

SglangSettings read_settings(Config& engine, const Deployment& deployment, std::int64_t pool_tokens,
                             std::int64_t page) {
  const MemoryOptions& memory = deployment.memory;
  SglangSettings settings;
  const std::string policy = engine.get_string("schedule_policy", "fcfs");
  settings.schedule_policy = sglang_policy_catalog().find(policy, engine.where("schedule_policy")).make;
  settings.new_token_ratio =
      NewTokenRatio::of(engine.get_real("schedule_conservativeness", {0.01, 100}, 1.0));
  settings.max_prefill_tokens = read_max_prefill_tokens(engine);
  settings.chunked_prefill_size.reset();
  if (memory.enable_chunked_prefill.value_or(false)) {
    settings.chunked_prefill_size = memory.max_num_batched_tokens;
    if (memory.max_num_batched_tokens % page != 0)
      engine.fail(sglang_key(engine, "chunked_prefill_size", "max_num_batched_tokens"),
                  fmt::format("must be a multiple of the page size {}", page));
  }
  settings.enable_mixed_chunk = engine.get_bool("enable_mixed_chunk", false);
  if (settings.enable_mixed_chunk && !settings.chunked_prefill_size)
    engine.fail("enable_mixed_chunk", "true needs chunked prefill, which is switched off");
  settings.max_running_requests =
      sglang_max_running_requests(pool_tokens, deployment.max_model_len, memory.max_num_seqs);
  settings.overlap_schedule = memory.async_scheduling.value_or(true);
  settings.disable_radix_cache = !memory.enable_prefix_caching.value_or(true);
  settings.radix_eviction_policy = engine.get_string("radix_eviction_policy", settings.radix_eviction_policy);
  (void)sglang::eviction_catalog().find(settings.radix_eviction_policy,
                                        engine.where("radix_eviction_policy"));
  settings.tlru = read_tlru(engine, settings.radix_eviction_policy);
  settings.ignore_eos = engine.get_bool("ignore_eos", false);
  settings.output_segment = [](const Request& request) {
    const bool named = request.details != nullptr && request.details->output_segment != 0;
    return named ? request.details->output_segment : kOwnOutputs | to_number(request.id);
  };
  return settings;
}

}  // namespace

const char* sglang_key(const Config& engine, const char* own, const char* common) {
  if (!contains(engine, common)) return own;
  if (contains(engine, own))
    engine.fail(common, std::string("is the same as ") + own + "; leave one of them out");
  return common;
}

void read_sglang_sizes(Config& engine, const GpuSpec& gpu, Deployment& deployment) {
  MemoryOptions& memory = deployment.memory;
  memory.enforce_eager = engine.get_bool(sglang_key(engine, "disable_cuda_graph", "enforce_eager"), false);
  read_chunks(engine, memory);
  const SglangMachine machine = machine_of(gpu, deployment);
  const double fraction = sglang_mem_fraction_static(machine, memory.max_num_batched_tokens);
  memory.gpu_memory_utilization = engine.get_real(
      sglang_key(engine, "mem_fraction_static", "gpu_memory_utilization"), {0.01, 1.0}, fraction);
  const char* running = sglang_key(engine, "max_running_requests", "max_num_seqs");
  if (engine.has(running)) memory.max_num_seqs = engine.get_int(running, {1, kRequestsMax});
  memory.enable_prefix_caching = read_inverted(engine, "disable_radix_cache", "enable_prefix_caching",
                                               memory.profile.enable_prefix_caching);
  memory.async_scheduling =
      read_inverted(engine, "disable_overlap_schedule", "async_scheduling", memory.profile.async_scheduling);
}

void read_sglang_engine(Config& engine, Scenario& scenario) {
  Deployment& deployment = scenario.deployment;
  MemoryOptions& memory = deployment.memory;
  const std::int64_t page = deployment.report
                                ? deployment.report->kv.block_size
                                : std::max<std::int64_t>(memory.block_size, memory.profile.block_size);
  memory.block_size = page;
  const std::int64_t pool_tokens = read_pool_tokens(engine, deployment, page);
  scenario.sglang = read_settings(engine, deployment, pool_tokens, page);
  scenario.policy = engine.get_string("schedule_policy", "fcfs");
  scenario.allocator = engine.get_choice("allocator", {"paged"}, "paged");
  if (memory.max_num_seqs == 0)
    engine.note("max_running_requests", std::to_string(scenario.sglang->max_running_requests),
                Origin::derived);
  memory.max_num_seqs = scenario.sglang->max_running_requests;
  scenario.engine.make = make_sglang_engine(*scenario.sglang);
  scenario.engine.max_model_len = Tokens{deployment.max_model_len};
  const std::string path = engine.get_choice("step_path", {"closed_form", "step_by_step"}, "closed_form");
  scenario.engine.path = path == "step_by_step" ? StepPath::step_by_step : StepPath::closed_form;
}

std::string describe_sglang(const Scenario& scenario, std::int64_t page) {
  const Deployment& deployment = scenario.deployment;
  const SglangSettings& settings = *scenario.sglang;
  std::string text = fmt::format("{}, scheduler {}, {}, pages of {}", deployment.memory.profile.name,
                                 deployment.scheduler, scenario.policy, page);
  if (deployment.report) text += ", KV in " + describe_kv_dtype(*deployment.model, deployment.report->kv);
  text += settings.disable_radix_cache ? ", no radix cache"
                                       : ", radix cache (" + settings.radix_eviction_policy + ")";
  text += settings.overlap_schedule ? ", overlap loop" : ", normal loop";
  text += settings.chunked_prefill_size
              ? ", chunked_prefill_size " + grouped(*settings.chunked_prefill_size)
              : ", no chunks, max_prefill_tokens " + grouped(settings.max_prefill_tokens);
  if (settings.enable_mixed_chunk) text += ", mixed chunks";
  return text + fmt::format(", max_running_requests {}, context_length {}",
                            grouped(settings.max_running_requests), grouped(deployment.max_model_len));
}

}  // namespace kvcast
