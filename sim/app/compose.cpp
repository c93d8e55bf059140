#include "sim/app/compose.h"

#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/roofline_timer.h"
#include "reports/format.h"
#include "sim/app/describe.h"
#include "sim/base/embedded.h"
#include "sim/base/error.h"
#include "sim/base/hash.h"

namespace kvcast {
namespace {

constexpr std::int64_t kDefaultBlockSize = 16;
constexpr std::int64_t kPeekedRequests = 1000;

/// memory_report() with the scenario named in what the engine refuses outright.
MemoryReport checked_report(const Scenario& scenario, const MemoryOptions& options) {
  try {
    return memory_report(*scenario.deployment.model, *scenario.deployment.gpu, options);
  } catch (const InputError& error) {
    throw InputError(scenario.path + ": " + error.what(), error.code());
  }
}

/// Sized, or the reason why it cannot be.
MemoryReport size_memory(const Scenario& scenario) {
  const Deployment& deployment = scenario.deployment;
  const bool pool_given = deployment.memory.num_gpu_blocks_override.has_value();
  MemoryOptions options = deployment.memory;
  options.num_gpu_blocks_override.reset();  // the GPU's own share is what an override is held against
  MemoryReport report = checked_report(scenario, options);
  if (report.status == MemoryStatus::ok || pool_given) return report;
  if (!deployment.enable_kv_cache && report.available_kv_bytes > 0) return report;
  throw InputError(fmt::format("{} does not fit: {}", describe_title(*deployment.model, *deployment.gpu, options.tensor_parallel_size), report.message),
                   ExitCode::infeasible);
}

/// Mean of input + output over the first requests, at least one block: how long "a request" is where layers keep unlike parts of it.
std::int64_t typical_length(const WorkloadSetup& workload) {
  const auto source = workload.make_source();
  std::int64_t tokens = 0;
  std::int64_t count = 0;
  for (; count < kPeekedRequests && source->next_arrival(); ++count) {
    const Request request = source->take();
    tokens += request.input.value + request.output.value;
  }
  return count == 0 ? 0 : ceil_div(tokens, count);
}

bool uniform_groups(const KvReport& kv) {
  return std::all_of(kv.groups.begin(), kv.groups.end(), [&](const KvGroupReport& group) {
    return group.kind != "recurrent" && group.window == 0 && group.block_size == kv.block_size;
  });
}

struct Pool {
  PoolSize size;
  std::string assumption;  // empty: exact
};

/// The share of layers that keep a window or a state differs with a request's length: count tokens as requests of the workload's mean length do.
Pool mixed_pool(const Scenario& scenario, const MemoryReport& report) {
  const Deployment& deployment = scenario.deployment;
  MemoryOptions options = deployment.memory;
  const std::int64_t typical = std::max(typical_length(scenario.workload), report.kv.block_size);
  options.max_model_len = std::min(deployment.max_model_len, typical);
  const MemoryReport sized = memory_report(*deployment.model, *deployment.gpu, options);
  const std::int64_t blocks = sized.kv.tokens_capacity / sized.kv.block_size;
  return {{Blocks{blocks}, Tokens{sized.kv.block_size}},
          fmt::format("Layers that keep a window or a state are counted as requests of {} tokens (this workload's mean) use them; "
                      "shorter requests hold more per token, longer ones less",
                      grouped(options.max_model_len))};
}

Pool own_pool(const Scenario& scenario, const MemoryReport& report) {
  const KvReport& kv = report.kv;
  if (!uniform_groups(kv)) return mixed_pool(scenario, report);
  if (scenario.allocator == "contiguous") {
    return {{Blocks{report.available_kv_bytes / kv.bytes_per_token}, Tokens{1}}, ""};
  }
  const auto groups = static_cast<std::int64_t>(std::max<std::size_t>(kv.groups.size(), 1));
  return {{Blocks{kv.blocks_usable / groups}, Tokens{kv.block_size}}, ""};
}

Pool make_pool(const Scenario& scenario, const std::optional<MemoryReport>& report) {
  const MemoryOptions& memory = scenario.deployment.memory;
  if (!scenario.deployment.enable_kv_cache) return {};
  if (!memory.num_gpu_blocks_override) return own_pool(scenario, *report);
  const std::int64_t null_blocks = memory.profile.null_block ? 1 : 0;
  std::int64_t block_size = report ? report->kv.block_size : memory.block_size;
  if (block_size == 0) block_size = kDefaultBlockSize;
  return {{Blocks{std::max<std::int64_t>(*memory.num_gpu_blocks_override - null_blocks, 0)}, Tokens{block_size}}, ""};
}

std::unique_ptr<StepTimer> make_timer(const Scenario& scenario, Forecast& frame) {
  if (scenario.deployment.affine) {
    const AffineTime& affine = *scenario.deployment.affine;
    frame.timer = fmt::format("the formula {} us + {} us per token + {} us per context token", affine.base_us, affine.per_token_us,
                              affine.per_context_token_us);
    return make_affine_timer(affine);
  }
  const Deployment& deployment = scenario.deployment;
  TimerOptions options;
  options.tensor_parallel_size = deployment.memory.tensor_parallel_size;
  options.kv_cache_dtype = deployment.memory.kv_cache_dtype;
  options.enable_kv_cache = deployment.enable_kv_cache;
  options.host_overhead_us = deployment.memory.profile.host_overhead_us;
  frame.timer = "the datasheet roofline of " + deployment.gpu->title;
  return make_roofline_timer(*deployment.model, *deployment.gpu, options);
}

void fill_facts(const Scenario& scenario, const PoolSize& pool, const std::optional<MemoryReport>& report, DeploymentFacts& facts) {
  const Deployment& deployment = scenario.deployment;
  facts.replicas = scenario.replicas;
  facts.gpus = scenario.replicas * deployment.memory.tensor_parallel_size;
  const bool by_slots = scenario.allocator == "contiguous";
  facts.blocks_total = by_slots ? pool.blocks.value * pool.block_size.value : pool.blocks.value;
  facts.block_size = by_slots ? 1 : pool.block_size.value;
  if (report) facts.kv_bytes_per_token = report->kv.bytes_per_token;
  if (deployment.gpu && !scenario.deployment.affine) {
    facts.hbm_bytes_per_s = deployment.gpu->bytes_per_s();
    facts.flop_per_s = deployment.gpu->flop_per_s(short_dtype(deployment.model->dtype));
  }
}

/// A request is good when it is within the loosest bound of each metric: percentiles bound the crowd, not the single request.
SloLimits limits_of(const std::vector<SloBound>& bounds) {
  SloLimits limits;
  const auto loosest = [&](const char* metric) {
    double limit_ms = 0;
    for (const SloBound& bound : bounds) {
      if (bound.metric == metric) limit_ms = std::max(limit_ms, bound.limit_ms);
    }
    return limit_ms == 0 ? SloLimits::kNoLimit : static_cast<std::int64_t>(limit_ms * 1e6);
  };
  limits.ttft_ns = loosest("ttft");
  limits.tpot_ns = loosest("tpot");
  limits.e2el_ns = loosest("e2el");
  return limits;
}

std::string engine_line(const Scenario& scenario, const PoolSize& pool, const std::optional<MemoryReport>& report) {
  const MemoryOptions& memory = scenario.deployment.memory;
  std::string text = fmt::format("{}, scheduler {}, {}, ", memory.profile.name, scenario.scheduler, scenario.policy);
  if (!scenario.deployment.enable_kv_cache) return text + "no KV cache: every step recomputes everything";
  text += scenario.allocator == "paged" ? fmt::format("paged blocks of {}", pool.block_size.value) : scenario.allocator + " allocation";
  if (report) text += ", KV in " + describe_kv_dtype(*scenario.deployment.model, report->kv);
  return text + fmt::format(", max_num_seqs {}, max_num_batched_tokens {}, max_model_len {}", grouped(memory.max_num_seqs),
                            grouped(memory.max_num_batched_tokens), grouped(scenario.deployment.max_model_len));
}

std::string sources_of(const std::vector<std::string>& sources, const std::string& otherwise) {
  std::string text;
  for (const std::string& source : sources) text += (text.empty() ? "" : "; ") + source;
  return text.empty() ? otherwise : text;
}

void assume_engine(const Scenario& scenario, Forecast& frame) {
  const EngineProfile& profile = scenario.deployment.memory.profile;
  const std::string sources = sources_of(profile.sources, "configs/engines/" + profile.name + ".yaml");
  frame.assumptions.push_back({fmt::format("What the scenario leaves open is as {} sets it; --dump-resolved shows every value", profile.name), sources});
  const std::string self = std::string("kvcast ") + KVCAST_VERSION;
  if (profile.enable_prefix_caching && !scenario.deployment.memory.enable_prefix_caching) {
    frame.assumptions.push_back({"Prefix caching, on by default in this engine, is not modelled: the hit rate counts as 0, so TTFT is an upper bound where prompts share beginnings", self});
  }
  if (profile.async_scheduling && !scenario.deployment.memory.async_scheduling) {
    frame.assumptions.push_back({"Asynchronous scheduling, on by default in this engine, is not modelled: each step is planned when the one before has ended", self});
  }
  if (!scenario.deployment.affine) {
    frame.assumptions.push_back({fmt::format("The host adds {} us to each step", profile.host_overhead_us),
                                 profile.host_overhead_source.empty() ? sources : profile.host_overhead_source});
  }
}

void fill_price(const Scenario& scenario, Forecast& frame) {
  if (scenario.price_per_gpu_hour) {
    frame.price = Price{.per_gpu_hour = *scenario.price_per_gpu_hour, .source = "cluster.price_per_gpu_hour of the scenario"};
  } else if (scenario.deployment.gpu && scenario.deployment.gpu->price_per_hour > 0) {
    const GpuSpec& gpu = *scenario.deployment.gpu;
    frame.price = Price{.per_gpu_hour = gpu.price_per_hour, .source = gpu.price_source};
  }
}

InputHash hash_of(const ModelSpec& model) {
  constexpr std::string_view kEmbedded = "embedded:";
  if (!model.source.starts_with(kEmbedded)) return {model.source, file_hash(model.source)};
  const std::string path = model.source.substr(kEmbedded.size());
  const auto files = embedded_files();
  const auto file = std::find_if(files.begin(), files.end(), [&](const EmbeddedFile& f) { return f.path == path; });
  KVCAST_CHECK(file != files.end());
  return {path, content_hash(file->text)};
}

void fill_inputs(const Scenario& scenario, Forecast& frame) {
  frame.inputs.push_back({scenario.path, scenario.hash});
  if (scenario.deployment.model) frame.inputs.push_back(hash_of(*scenario.deployment.model));
  for (const InputFile& file : scenario.workload.inputs) frame.inputs.push_back({file.path, file.hash});
  std::sort(frame.inputs.begin(), frame.inputs.end(), [](const InputHash& a, const InputHash& b) { return a.path < b.path; });
}

void note_override(const Scenario& scenario, const MemoryReport& report, Forecast& frame) {
  const auto& blocks = scenario.deployment.memory.num_gpu_blocks_override;
  if (!blocks) return;
  const std::int64_t needed = *blocks * report.kv.bytes_per_block;
  if (needed <= report.available_kv_bytes) return;
  frame.notes.push_back(fmt::format("num_gpu_blocks_override asks for {} of KV cache, but this GPU has {} left for it: a real engine would run out of memory",
                                    bytes(needed), bytes(std::max<std::int64_t>(report.available_kv_bytes, 0))));
}

void note_length(const Scenario& scenario, Forecast& frame) {
  const Deployment& deployment = scenario.deployment;
  const std::int64_t made_for = deployment.model->max_position_embeddings;
  if (made_for == 0 || deployment.max_model_len <= made_for) return;
  frame.notes.push_back(fmt::format("max_model_len {} is beyond the model's max_position_embeddings {}: engines refuse it unless rope scaling extends the model",
                                    grouped(deployment.max_model_len), grouped(made_for)));
}

void fill_texts(const Scenario& scenario, const Pool& pool, const std::optional<MemoryReport>& report, Forecast& frame) {
  const Deployment& deployment = scenario.deployment;
  frame.scenario = scenario.name;
  frame.engine = engine_line(scenario, pool.size, report);
  frame.cluster = fmt::format("{} replica{}, TP {}, router {}", grouped(scenario.replicas), scenario.replicas == 1 ? "" : "s",
                              deployment.memory.tensor_parallel_size, scenario.router);
  frame.workload = scenario.workload.description;
  frame.seed = scenario.seed;
  frame.version = KVCAST_VERSION;
  frame.title = "step times by formula";
  if (deployment.model) {
    frame.title = describe_title(*deployment.model, *deployment.gpu, frame.facts.gpus);
    frame.model = describe_model(*deployment.model);
    frame.gpu = describe_gpu(*deployment.gpu, deployment.model->dtype);
  }
  assume_engine(scenario, frame);
  if (!pool.assumption.empty()) frame.assumptions.push_back({pool.assumption, "kvcast default"});
  for (const std::string& text : scenario.workload.assumptions) frame.assumptions.push_back({text, "workload"});
  fill_price(scenario, frame);
  fill_inputs(scenario, frame);
  if (!report) return;
  if (!deployment.memory.num_gpu_blocks_override) frame.budget = budget_lines(*report);
  for (const std::string& warning : report->warnings) frame.notes.push_back(warning);
  note_length(scenario, frame);
  note_override(scenario, *report, frame);
}

}  // namespace

Experiment compose(Scenario scenario) {
  Experiment experiment;
  std::optional<MemoryReport> report;
  if (scenario.deployment.model) report = size_memory(scenario);
  const Pool pool = make_pool(scenario, report);
  Forecast& frame = experiment.frame;
  experiment.timer = make_timer(scenario, frame);
  fill_facts(scenario, pool.size, report, frame.facts);
  frame.facts.slo = limits_of(scenario.slo);
  fill_texts(scenario, pool, report, frame);

  ClusterSetup& cluster = experiment.cluster;
  cluster.engine = std::move(scenario.engine);
  cluster.engine.pool = pool.size;
  cluster.replicas = scenario.replicas;
  cluster.router = std::move(scenario.make_router);
  cluster.seed = scenario.seed;
  cluster.sim_time_max = scenario.sim_time_max;
  cluster.slo = frame.facts.slo;
  experiment.workload = std::move(scenario.workload);
  experiment.slo = std::move(scenario.slo);
  return experiment;
}

Forecast finish_forecast(const Experiment& experiment, const RunRecord& record) {
  Forecast forecast = experiment.frame;
  forecast.record = &record;
  forecast.metrics = reduce(record, forecast.facts);
  for (const SloBound& bound : experiment.slo) {
    forecast.slo.push_back(judge_slo(forecast.metrics, bound.metric, bound.statistic, bound.limit_ms));
  }
  if (forecast.metrics.stuck) {
    forecast.notes.push_back(fmt::format("the engine would hang: request {} blocks the queue because, even alone, the scheduler cannot admit it into a pool of {} blocks of {} tokens",
                                         forecast.metrics.stuck_request, grouped(forecast.facts.blocks_total), forecast.facts.tokens_per_block()));
  }
  return forecast;
}

}  // namespace kvcast
