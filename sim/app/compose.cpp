#include "sim/app/compose.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"
#include "sim/app/compose_pools.h"
#include "sim/app/compose_timer.h"
#include "sim/app/describe.h"
#include "sim/app/own_calibrations.h"
#include "sim/app/scenario_elasticity.h"
#include "sim/app/scenario_parallel.h"
#include "sim/app/scenario_retention.h"
#include "sim/app/scenario_sglang.h"
#include "sim/app/scenario_speculation.h"
#include "sim/base/embedded.h"
#include "sim/base/error.h"
#include "sim/base/hash.h"
#include "sim/cluster/data_parallel.h"

namespace kvcast {
namespace {

constexpr std::int64_t kDefaultBlockSize = 16;

/// \throws InputError (infeasible) where the pool follows from the GPU and does not fit
void check_fits(const Deployment& deployment) {
  if (!deployment.report || deployment.memory.num_gpu_blocks_override) return;
  const MemoryReport& report = *deployment.report;
  if (report.status == MemoryStatus::ok) return;
  if (!deployment.enable_kv_cache && report.available_kv_bytes > 0) return;
  throw InputError(
      fmt::format("{} does not fit: {}",
                  describe_title(*deployment.model, *deployment.gpu, deployment.memory.tensor_parallel_size),
                  report.message),
      ExitCode::infeasible);
}

/// Every layer keeps every token.
bool keeps_all(const KvReport& kv) {
  return kv.bytes_per_token > 0 &&
         std::all_of(kv.groups.begin(), kv.groups.end(), [](const KvGroupReport& group) {
           return group.window == 0 && group.kind != "recurrent";
         });
}

/// Blocks of the first group's size; groups draw from one pool. Ranks that share a cache hold a part each of
/// what counts as one block.
std::int64_t block_size_of(const Deployment& deployment) {
  const std::int64_t parts = cache_parts(deployment.memory);
  if (deployment.report && deployment.report->kv.block_size > 0)
    return deployment.report->kv.block_size * parts;
  return deployment.memory.block_size > 0 ? deployment.memory.block_size : kDefaultBlockSize;
}

PoolSize make_pool(const Scenario& scenario) {
  const Deployment& deployment = scenario.deployment;
  const MemoryOptions& memory = deployment.memory;
  if (!deployment.enable_kv_cache) return {};
  const Tokens block_size{block_size_of(deployment)};
  if (memory.num_gpu_blocks_override) {
    const std::int64_t null_blocks = memory.profile.null_block ? 1 : 0;
    return {Blocks{std::max<std::int64_t>(*memory.num_gpu_blocks_override - null_blocks, 0)}, block_size};
  }
  const MemoryReport& report = *deployment.report;
  if (scenario.allocator != "contiguous") return {Blocks{report.kv.blocks_usable}, block_size};
  if (!keeps_all(report.kv)) {
    throw InputError(
        scenario.path +
        ": engine.allocator: contiguous needs a model whose layers all keep every token; use paged for " +
        deployment.model->name);
  }
  return {Blocks{report.available_kv_bytes / report.kv.bytes_per_token}, Tokens{1}};
}

void fill_facts(const Scenario& scenario, const PoolSize& pool, DeploymentFacts& facts) {
  const Deployment& deployment = scenario.deployment;
  const std::optional<MemoryReport>& report = deployment.report;
  facts.replicas =
      scenario.replicas_max * deployment.memory.data_parallel_size;  // that have a pool of their own
  facts.gpus = scenario.replicas_max * shape_of(deployment.memory).gpus();
  facts.stages = deployment.memory.pipeline_parallel_size;
  const bool by_slots = scenario.allocator == "contiguous";
  facts.blocks_total = by_slots ? pool.blocks.value * pool.block_size.value : pool.blocks.value;
  facts.block_size = by_slots ? 1 : pool.block_size.value;
  if (report) facts.kv_bytes_per_token = report->kv.bytes_per_token;
  if (report && !by_slots && report->kv.groups.size() > 1) {
    facts.groups = static_cast<std::int64_t>(report->kv.groups.size());
    if (!deployment.memory.num_gpu_blocks_override) facts.tokens_capacity = report->kv.tokens_capacity;
  }
  if (deployment.gpu && !deployment.step_time.by_formula()) {
    facts.hbm_bytes_per_s = deployment.gpu->bytes_per_s();
    facts.flop_per_s = deployment.gpu->flop_per_s(short_dtype(deployment.model->dtype));
  }
}

/// A request is good when it is within the loosest bound of each metric: percentiles bound the crowd, not the
/// single request.
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

std::string engine_line(const Scenario& scenario, const PoolSize& pool) {
  const MemoryOptions& memory = scenario.deployment.memory;
  const std::optional<MemoryReport>& report = scenario.deployment.report;
  if (scenario.sglang) return describe_sglang(scenario, pool.block_size.value);
  std::string text = fmt::format("{}, scheduler {}, {}, ", memory.profile.name, scenario.deployment.scheduler,
                                 scenario.policy);
  if (!scenario.deployment.enable_kv_cache) return text + "no KV cache: every step recomputes everything";
  text += scenario.allocator == "paged" ? fmt::format("paged blocks of {}", pool.block_size.value)
          : scenario.allocator == "contiguous"
              ? "contiguous allocation"
              : fmt::format("{}, blocks of {}", describe_retention(scenario.deployment.retention),
                            pool.block_size.value);
  if (report) text += ", KV in " + describe_kv_dtype(*scenario.deployment.model, report->kv);
  if (memory.enable_prefix_caching.value_or(false)) text += ", prefix caching";
  if (memory.async_scheduling.value_or(false)) text += ", asynchronous";
  return text + fmt::format(", max_num_seqs {}, max_num_batched_tokens {}, max_model_len {}",
                            grouped(memory.max_num_seqs), grouped(memory.max_num_batched_tokens),
                            grouped(scenario.deployment.max_model_len));
}

std::string sources_of(const std::vector<std::string>& sources, const std::string& otherwise) {
  std::string text;
  for (const std::string& source : sources) text += (text.empty() ? "" : "; ") + source;
  return text.empty() ? otherwise : text;
}

/// What top-k and top-p sampling adds to greedy sampling.
void assume_sort(const Deployment& deployment, Forecast& frame) {
  const EngineProfile& profile = deployment.memory.profile;
  if (profile.sort_ns_per_logit > 0 && deployment.model) {
    const auto vocabulary = static_cast<double>(deployment.model->vocab_size);
    frame.assumptions.push_back(
        {fmt::format("Top-k and top-p sampling sorts {} logits for each token: {:.3g} us",
                     grouped(deployment.model->vocab_size), 1e-3 * profile.sort_ns_per_logit * vocabulary),
         profile.sort_source});
  } else {
    frame.assumptions.push_back(
        {"Top-k and top-p sampling takes as long as greedy sampling in this engine's fused kernel",
         "vLLM pull request 11394: 47.2 requests/s with it, 47.4 without"});
  }
}

void assume_engine(const Scenario& scenario, Forecast& frame) {
  const EngineProfile& profile = scenario.deployment.memory.profile;
  const std::string sources = sources_of(profile.sources, "configs/engines/" + profile.name + ".yaml");
  frame.assumptions.push_back(
      {fmt::format("What the scenario leaves open is as {} sets it; --dump-resolved shows every value",
                   profile.name),
       sources});
  if (!scenario.deployment.step_time.by_formula()) {
    frame.assumptions.push_back(
        {fmt::format("The host adds {} us to each step", profile.host_overhead_us),
         profile.host_overhead_source.empty() ? sources : profile.host_overhead_source});
    if (scenario.deployment.top_k_top_p) assume_sort(scenario.deployment, frame);
  }
}

void assume_frontend(const Scenario& scenario, Forecast& frame) {
  if (scenario.frontend.none()) return;
  constexpr double kNsPerUs = 1e3;
  const FrontendDelays& delays = scenario.frontend;
  const double per_token_us =
      static_cast<double>(delays.per_input_token.count()) / (1 << kFineBits) / kNsPerUs;
  frame.assumptions.push_back(
      {fmt::format(
           "Between client and engine pass {:g} us and {:g} us per prompt token before, {:g} us after",
           static_cast<double>(delays.before.count()) / kNsPerUs, per_token_us,
           static_cast<double>(delays.after.count()) / kNsPerUs),
       scenario.deployment.memory.profile.frontend.source});
}

void fill_price(const Scenario& scenario, Forecast& frame) {
  if (scenario.price_per_gpu_hour) {
    frame.price = Price{.per_gpu_hour = *scenario.price_per_gpu_hour,
                        .source = "cluster.price_per_gpu_hour of the scenario"};
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
  const auto file =
      std::find_if(files.begin(), files.end(), [&](const EmbeddedFile& f) { return f.path == path; });
  KVCAST_CHECK(file != files.end());
  return {path, content_hash(file->text)};
}

void note_override(const Scenario& scenario, const MemoryReport& report, Forecast& frame) {
  const auto& blocks = scenario.deployment.memory.num_gpu_blocks_override;
  if (!blocks) return;
  const std::int64_t needed = *blocks * report.kv.bytes_per_block;
  if (needed <= report.available_kv_bytes) return;
  frame.notes.push_back(
      fmt::format("num_gpu_blocks_override asks for {} of KV cache, but this GPU has {} left for it: a real "
                  "engine would run out of memory",
                  bytes(needed), bytes(std::max<std::int64_t>(report.available_kv_bytes, 0))));
}

void note_length(const Scenario& scenario, Forecast& frame) {
  const Deployment& deployment = scenario.deployment;
  const std::int64_t made_for = deployment.model->max_position_embeddings;
  if (made_for == 0 || deployment.max_model_len <= made_for) return;
  const Retention& kept = deployment.retention.each;  // positions inside the cache never pass its size
  if (kept.form == RetentionForm::sinks && deployment.retention.layers.empty() &&
      kept.attended_max() <= made_for)
    return;
  frame.notes.push_back(
      fmt::format("max_model_len {} is beyond the model's max_position_embeddings {}: engines refuse it "
                  "unless rope scaling extends the model",
                  grouped(deployment.max_model_len), grouped(made_for)));
}

void fill_texts(const Scenario& scenario, const PoolSize& pool, Forecast& frame) {
  const Deployment& deployment = scenario.deployment;
  const std::optional<MemoryReport>& report = deployment.report;
  frame.scenario = scenario.name;
  frame.engine = engine_line(scenario, pool);
  frame.cluster =
      fmt::format("{} replica{}{}, {}, router {}", grouped(scenario.replicas),
                  scenario.replicas == 1 ? "" : "s", scenario.fleet ? describe_fleet(*scenario.fleet) : "",
                  describe_parallelism(deployment), scenario.router);
  if (scenario.admission) frame.cluster += ", admission: " + describe(*scenario.admission);
  frame.workload = scenario.workload.description;
  frame.seed = scenario.seed;
  frame.version = KVCAST_VERSION;
  frame.title = deployment.step_time.steps ? "step times of a step log" : "step times by formula";
  if (deployment.model) {
    frame.title = describe_title(*deployment.model, *deployment.gpu, frame.facts.gpus);
    frame.model = describe_model(*deployment.model);
    frame.gpu = describe_gpu(*deployment.gpu, deployment.model->dtype);
  }
  if (std::string note = quality_note(deployment.retention.each.form); !note.empty())
    frame.notes.push_back(std::move(note));
  assume_engine(scenario, frame);
  assume_frontend(scenario, frame);
  for (const std::string& text : speculation_assumptions(deployment))
    frame.assumptions.push_back({text, std::string("kvcast ") + KVCAST_VERSION});
  for (const std::string& text : scenario.assumptions)
    frame.assumptions.push_back({text, std::string("kvcast ") + KVCAST_VERSION});
  for (const std::string& text : scenario.workload.assumptions)
    frame.assumptions.push_back({text, "workload"});
  fill_price(scenario, frame);
  frame.inputs = input_files(scenario);
  if (!report) return;
  if (!deployment.memory.num_gpu_blocks_override) frame.budget = budget_lines(*report);
  for (const std::string& warning : report->warnings) frame.notes.push_back(warning);
  note_length(scenario, frame);
  note_override(scenario, *report, frame);
}

/// The calibration that step times come from, where it is a file.
std::optional<std::string> calibration_path(const StepTime& time) {
  if (time.steps) return time.steps->path;
  if (time.own_kernels && !time.own_kernels->embedded) return time.own_kernels->path;
  if (time.kernels && !time.kernels->embedded) return time.kernels->path;
  if (time.layers) return time.layers->path;
  return std::nullopt;
}

}  // namespace

std::vector<InputHash> input_files(const Scenario& scenario) {
  std::vector<InputHash> inputs = {{scenario.path, scenario.hash}};
  if (scenario.deployment.model) inputs.push_back(hash_of(*scenario.deployment.model));
  if (const auto& speculation = scenario.deployment.speculation) {
    if (speculation->draft_model) inputs.push_back(hash_of(*speculation->draft_model));
    if (const std::string& path = speculation->acceptance_path; !path.empty())
      inputs.push_back({path, file_hash(path)});
  }
  for (const InputFile& file : scenario.workload.inputs) inputs.push_back({file.path, file.hash});
  if (const auto path = calibration_path(scenario.deployment.step_time))
    inputs.push_back({*path, file_hash(*path)});
  for (const std::string& path :
       own_calibration_files(scenario.deployment.step_time, scenario.deployment.gpu))
    inputs.push_back({path, file_hash(path)});
  for (const Scenario& pool : scenario.further_pools) {
    for (const InputHash& input : input_files(pool)) {
      const bool there = std::any_of(inputs.begin(), inputs.end(),
                                     [&](const InputHash& other) { return other.path == input.path; });
      if (!there) inputs.push_back(input);
    }
  }
  std::sort(inputs.begin(), inputs.end(),
            [](const InputHash& a, const InputHash& b) { return a.path < b.path; });
  return inputs;
}

Experiment compose(Scenario scenario) {
  Experiment experiment;
  check_fits(scenario.deployment);
  const PoolSize pool = make_pool(scenario);
  Forecast& frame = experiment.frame;
  ComposedTimer timer = compose_timer(scenario, frame);
  experiment.timer = std::move(timer.timer);
  experiment.timer_note = std::move(timer.note);
  fill_facts(scenario, pool, frame.facts);
  frame.facts.slo = limits_of(scenario.slo);
  fill_texts(scenario, pool, frame);

  ClusterSetup& cluster = experiment.cluster;
  cluster.engine = std::move(scenario.engine);
  cluster.engine.pool = pool;
  experiment.speculation = scenario.deployment.speculation;
  if (experiment.speculation) {
    DrawnSpeculationSettings drawn = experiment.speculation->drawn;
    drawn.seed = scenario.seed;
    cluster.engine.speculation = make_drawn_speculation(drawn);
    cluster.engine.batch.speculation = cluster.engine.speculation.get();
    experiment.max_num_seqs = scenario.deployment.memory.max_num_seqs;
  }
  cluster.engine.stages = scenario.deployment.memory.pipeline_parallel_size;
  cluster.engine.ranks = scenario.deployment.memory.data_parallel_size;
  if (cluster.engine.ranks > 1) cluster.engine.make = make_data_parallel(cluster.engine.ranks);
  cluster.replicas = scenario.replicas_max;
  if (scenario.fleet) {
    scenario.fleet->seed = scenario.seed;
    cluster.fleet = std::move(scenario.fleet);
  }
  cluster.router = std::move(scenario.make_router);
  cluster.admission = std::move(scenario.admission);
  frame.facts.admission = cluster.admission != nullptr;
  cluster.disaggregation = std::move(scenario.disaggregation);
  cluster.seed = scenario.seed;
  cluster.sim_time_max = scenario.sim_time_max;
  cluster.slo = frame.facts.slo;
  cluster.delay_after = scenario.frontend.after;
  experiment.sglang = std::move(scenario.sglang);
  experiment.workload = std::move(scenario.workload);
  experiment.clients = experiment.workload.make_source;
  experiment.frontend = scenario.frontend;
  if (!scenario.frontend.none())
    experiment.workload.make_source = with_frontend(experiment.clients, scenario.frontend);
  const EngineProfile& profile = scenario.deployment.memory.profile;
  experiment.frontend_error = profile.frontend.relative_error;
  if (!scenario.deployment.step_time.by_formula()) experiment.model_error = profile.step_time_error;
  experiment.slo = std::move(scenario.slo);
  experiment.resolved_pools = std::move(scenario.resolved_pools);
  if (scenario.further_pools.empty()) return experiment;
  std::vector<std::pair<std::string, Experiment>> pools;
  for (Scenario& further : scenario.further_pools) {
    further.seed = scenario.seed;
    further.slo = experiment.slo;
    std::string name = further.pool_name;
    pools.emplace_back(std::move(name), compose(std::move(further)));
  }
  add_pools(experiment, scenario.pool_name, std::move(pools));
  return experiment;
}

Forecast finish_forecast(const Experiment& experiment, const RunRecord& record) {
  Forecast forecast = experiment.frame;
  forecast.record = &record;
  forecast.metrics = reduce(record, forecast.facts);
  finish_pools(record, forecast);
  if (experiment.timer_note) {
    if (const std::string note = experiment.timer_note(); !note.empty()) forecast.notes.push_back(note);
  }
  if (experiment.speculation && forecast.metrics.completed > 0) {
    const Metrics& m = forecast.metrics;
    const std::int64_t context =
        std::max<std::int64_t>(1, (m.total_input_tokens + m.total_output_tokens / 2) / m.completed);
    const std::int64_t fit = std::max<std::int64_t>(1, forecast.facts.tokens_total() / context);
    forecast.speculation = speculation_facts(*experiment.speculation, *experiment.timer, context,
                                             std::min(experiment.max_num_seqs, fit));
  }
  for (const SloBound& bound : experiment.slo) {
    forecast.slo.push_back(judge_slo(forecast.metrics, bound.metric, bound.statistic, bound.limit_ms));
  }
  if (forecast.metrics.stuck) {
    forecast.notes.push_back(
        fmt::format("the engine would hang: request {} blocks the queue because, even alone, the scheduler "
                    "cannot admit it into a pool of {} blocks of {} tokens",
                    forecast.metrics.stuck_request, grouped(forecast.facts.blocks_total),
                    forecast.facts.tokens_per_block()));
  }
  return forecast;
}

}  // namespace kvcast
