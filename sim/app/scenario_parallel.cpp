#include "sim/app/scenario_parallel.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/app/scheduler_features.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr IntRange kSizes{1, 4096};

bool has_experts(const ModelSpec& model) {
  return std::any_of(model.layers.begin(), model.layers.end(),
                     [](const LayerSpec& layer) { return layer.mlp.experts > 0; });
}

/// How often experts are chosen: uniform, or {zipf: 1.0, placement: balanced}, or {max_over_mean: 1.3}.
ExpertLoad read_expert_load(Config& engine) {
  ExpertLoad load;
  if (!engine.has("expert_load")) return load;
  if (!engine.is_mapping("expert_load")) {
    (void)engine.get_choice("expert_load", {"uniform"}, "uniform");
    return load;
  }
  Config section = engine.child("expert_load");
  if (section.has("zipf") == section.has("max_over_mean"))
    section.fail("", "needs one of zipf (an exponent) and max_over_mean (of the ranks' loads)");
  if (section.has("max_over_mean")) {
    load.popularity = ExpertLoad::Popularity::given;
    load.max_over_mean = section.get_real("max_over_mean", {1, 4096});
    return load;
  }
  load.popularity = ExpertLoad::Popularity::zipf;
  load.exponent = section.get_real("zipf", {0, 10});
  const std::string placement = section.get_choice("placement", {"by_number", "balanced"}, "by_number");
  if (placement == "balanced") load.placement = ExpertLoad::Placement::balanced;
  return load;
}

/// Of the layers with most experts.
double skew_of(const ExpertLoad& load, const ModelSpec& model, std::int64_t ranks) {
  std::int64_t experts = 1;
  for (const LayerSpec& layer : model.layers) experts = std::max(experts, layer.mlp.experts);
  return expert_skew(load, experts, ranks);
}

void read_experts(Config& engine, Deployment& deployment) {
  MemoryOptions& memory = deployment.memory;
  SpreadOptions& spread = deployment.spread;
  memory.enable_expert_parallel = engine.get_bool("enable_expert_parallel", false);
  spread.expert_parallel = memory.enable_expert_parallel;
  const bool has_load = engine.has("expert_load");
  const ExpertLoad load = read_expert_load(engine);
  if (!memory.enable_expert_parallel) {
    if (has_load) engine.fail("expert_load", "has a meaning only with enable_expert_parallel: true");
    if (engine.has("all2all_backend"))
      engine.fail("all2all_backend", "has a meaning only with enable_expert_parallel: true");
    return;
  }
  if (deployment.model && !has_experts(*deployment.model))
    engine.fail("enable_expert_parallel", "the model " + deployment.model->name + " has no experts");
  const ParallelShape shape = shape_of(memory);
  const std::int64_t ranks = spread.expert_ranks(shape.tensor);
  if (deployment.model) spread.expert_skew = skew_of(load, *deployment.model, ranks);
  if (!engine.has("all2all_backend")) return;
  const std::string backend = engine.get_choice(
      "all2all_backend", {"allgather_reducescatter", "deepep_low_latency", "deepep_high_throughput"},
      "allgather_reducescatter");
  if (!spread.exchanges())
    engine.fail("all2all_backend",
                "no tokens travel: data_parallel_size and context_parallel_size are 1, so that "
                "every rank has all tokens");
  if (backend != "allgather_reducescatter") spread.exchange = ExpertExchange::all_to_all;
}

void read_context(Config& engine, Config& cluster, Deployment& deployment) {
  MemoryOptions& memory = deployment.memory;
  SpreadOptions& spread = deployment.spread;
  spread.context_parallel = memory.context_parallel_size;
  spread.decode_context_parallel = memory.decode_context_parallel_size;
  if (cluster.has("context_parallel_order")) {
    if (spread.context_parallel == 1)
      cluster.fail("context_parallel_order", "has a meaning only with a context_parallel_size above 1");
    const std::string order =
        cluster.get_choice("context_parallel_order", {"zigzag", "contiguous"}, "zigzag");
    spread.ring = order == "zigzag" ? RingOrder::zigzag : RingOrder::contiguous;
  }
  if (spread.context_parallel == 1) return;
  if (spread.decode_context_parallel > 1)
    engine.fail("decode_context_parallel_size",
                "is not modelled beside a context_parallel_size above 1, which "
                "spreads the cache too");
  if (!deployment.model) return;
  for (const LayerSpec& layer : deployment.model->layers) {
    if (layer.kind == LayerKind::full_attention || layer.kind == LayerKind::no_attention) continue;
    cluster.fail("context_parallel_size",
                 fmt::format("the ring is modelled for full attention alone, and {} has "
                             "layers of kind {}",
                             deployment.model->name, to_string(layer.kind)));
  }
}

/// Engines and schedulers that run several steps or ranks at once.
void check_engine(Config& engine, Config& cluster, Deployment& deployment) {
  const MemoryOptions& memory = deployment.memory;
  const ParallelShape shape = shape_of(memory);
  const bool spread =
      shape.gpus() > shape.tensor || memory.decode_context_parallel_size > 1 || memory.enable_expert_parallel;
  if (!spread) return;
  const StepTime& time = deployment.step_time;
  const char* key = shape.pipeline > 1  ? "pipeline_parallel_size"
                    : shape.data > 1    ? "data_parallel_size"
                    : shape.context > 1 ? "context_parallel_size"
                                        : nullptr;
  const auto fail = [&](const std::string& message) {
    if (key != nullptr) cluster.fail(key, message);
    engine.fail(memory.enable_expert_parallel ? "enable_expert_parallel" : "decode_context_parallel_size",
                message);
  };
  if (is_sglang(memory.profile)) fail("SGLang's engine is simulated with tensor parallelism alone");
  if (time.steps || time.own_kernels || time.layers)
    fail(
        "step times of whole steps, of layers and of kvcast's own kernels cannot be spread so; use kernel "
        "tables, "
        "the data sheet (step_time: {roofline: true}) or, for a pipeline, a formula");
  if (time.affine && (shape.gpus() > shape.tensor * shape.pipeline || key == nullptr))
    fail("a formula for the step time can be divided over the stages of a pipeline, and in no other way");
  if (shape.pipeline > 1) {
    constexpr std::string_view kPipelined[] = {"vllm-v1", "sarathi", "tensorrt-llm", "continuous"};
    if (std::find(std::begin(kPipelined), std::end(kPipelined), deployment.scheduler) == std::end(kPipelined))
      fail("the scheduler " + deployment.scheduler +
           " keeps one step under way; a pipeline needs vllm-v1, sarathi, tensorrt-llm or continuous");
  }
  if (shape.data > 1 && deployment.scheduler != "vllm-v1")
    fail("ranks that step together are vLLM's: the scheduler must be vllm-v1");
}

void check_pipeline(Config& cluster, const Deployment& deployment) {
  const std::int64_t stages = deployment.memory.pipeline_parallel_size;
  if (!deployment.model) return;
  const auto layers = static_cast<std::int64_t>(deployment.model->layers.size());
  if (stages > layers) {
    cluster.fail("pipeline_parallel_size", fmt::format("{} stages are more than the {} layers of {}", stages,
                                                       layers, deployment.model->name));
  }
}

void read_data_parallelism(Config& cluster, Deployment& deployment) {
  MemoryOptions& memory = deployment.memory;
  if (!cluster.has("data_parallel_size")) return;
  memory.data_parallel_size = cluster.get_int("data_parallel_size", kSizes);
  deployment.spread.data_parallel = memory.data_parallel_size;
  if (memory.data_parallel_size > 1 && memory.pipeline_parallel_size > 1)
    cluster.fail("data_parallel_size", "is not modelled beside a pipeline_parallel_size above 1");
}

void read_node_and_fit(Config& cluster, Deployment& deployment) {
  const ParallelShape shape = shape_of(deployment.memory);
  if (!deployment.gpu) {
    if (cluster.has("node"))
      cluster.fail("node", "has no meaning without a model: steps are timed by formula");
    return;
  }
  if (!cluster.has("node") && shape.gpus() == 1) return;
  deployment.spread.node = read_node(cluster, "node", *deployment.gpu);
  if (const std::string reason = why_not(*deployment.spread.node, shape); !reason.empty())
    cluster.fail(shape.pipeline > 1 ? "pipeline_parallel_size" : "tensor_parallel_size", reason);
}

}  // namespace

ParallelShape shape_of(const MemoryOptions& memory) {
  return {memory.tensor_parallel_size, memory.pipeline_parallel_size, memory.data_parallel_size,
          memory.context_parallel_size};
}

std::int64_t cache_parts(const MemoryOptions& memory) {
  return memory.decode_context_parallel_size * memory.context_parallel_size;
}

std::string describe_parallelism(const Deployment& deployment) {
  const MemoryOptions& memory = deployment.memory;
  std::string text = describe(shape_of(memory));
  if (memory.decode_context_parallel_size > 1)
    text += fmt::format(", DCP {}", memory.decode_context_parallel_size);
  if (memory.enable_expert_parallel)
    text += fmt::format(", EP {}", deployment.spread.expert_ranks(memory.tensor_parallel_size));
  return text;
}

void check_spread_engine(const Config& engine, const Scenario& scenario) {
  const MemoryOptions& memory = scenario.deployment.memory;
  const bool pipeline = memory.pipeline_parallel_size > 1;
  if (!pipeline && memory.data_parallel_size == 1 && cache_parts(memory) == 1) return;
  const char* const what = pipeline                        ? "a pipeline"
                           : memory.data_parallel_size > 1 ? "data-parallel ranks"
                                                           : "caches that ranks share";
  const std::string with = std::string("is not modelled with ") + what;
  if (scenario.engine.tiers) engine.fail("kv_offload", with);
  if (scenario.engine.batch.swap) engine.fail("preemption", "swap " + with);
  if (scenario.engine.batch.forks) engine.fail("parallel_sampling", "copy_on_write " + with);
  if (scenario.allocator != "paged") engine.fail("allocator", scenario.allocator + " " + with);
}

void read_parallelism(Config& engine, Config& cluster, ReadFor use, Deployment& deployment) {
  MemoryOptions& memory = deployment.memory;
  memory.tensor_parallel_size = cluster.get_int("tensor_parallel_size", kSizes, 1);
  if (cluster.get_int("expert_parallel_size", kSizes, 1) > 1)
    cluster.fail("expert_parallel_size",
                 "experts are spread over all ranks of a replica, as in vLLM: leave the key "
                 "out and set engine.enable_expert_parallel");
  memory.context_parallel_size = cluster.get_int("context_parallel_size", {1, 256}, 1);
  memory.pipeline_parallel_size = cluster.get_int("pipeline_parallel_size", kSizes, 1);
  memory.decode_context_parallel_size = engine.get_int("decode_context_parallel_size", kSizes, 1);
  read_data_parallelism(cluster, deployment);
  read_experts(engine, deployment);
  if (memory.data_parallel_size > 1 && !memory.enable_expert_parallel)
    cluster.fail("data_parallel_size",
                 "without engine.enable_expert_parallel the ranks share nothing: give "
                 "cluster.replicas instead");
  read_context(engine, cluster, deployment);
  check_pipeline(cluster, deployment);
  read_node_and_fit(cluster, deployment);
  if (use == ReadFor::memory) return;
  if (engine.has("communication_overlap")) {
    deployment.communication_overlap = engine.get_real("communication_overlap", {0, 1});
    if (deployment.step_time.by_formula() || deployment.step_time.own_kernels || deployment.step_time.layers)
      engine.fail("communication_overlap",
                  "needs step times of kernel tables or the data sheet, which know what "
                  "communicates");
  }
  check_engine(engine, cluster, deployment);
}

std::vector<std::string> parallel_assumptions(const Deployment& deployment) {
  const MemoryOptions& memory = deployment.memory;
  const SpreadOptions& spread = deployment.spread;
  std::vector<std::string> texts;
  if (memory.pipeline_parallel_size > 1) {
    texts.push_back(
        fmt::format("{} stages with as many steps under way; the next is planned with the output of the "
                    "oldest, and a request "
                    "waits for its own last token. Stages run beside each other's host work",
                    memory.pipeline_parallel_size));
  }
  if (spread.data_parallel > 1) {
    texts.push_back(
        fmt::format("{} data-parallel ranks step together, the slowest sets the pace; ranks without work run "
                    "a dummy token. A "
                    "request goes to the rank with the least 4 x waiting + running",
                    spread.data_parallel));
  }
  if (spread.expert_parallel) {
    texts.push_back(fmt::format("The busiest of {} expert-parallel ranks has {:.3g} times the mean's tokens",
                                spread.expert_ranks(memory.tensor_parallel_size), spread.expert_skew));
  }
  if (spread.context_parallel > 1) {
    texts.push_back(
        fmt::format("Prompts' tokens lie {} over {} ranks, keys and values go round in a ring; caches are "
                    "spread over the ranks, "
                    "which all compute decoding tokens",
                    spread.ring == RingOrder::zigzag ? "zigzag" : "contiguously", spread.context_parallel));
  }
  if (deployment.communication_overlap > 0) {
    texts.push_back(fmt::format("{:.3g} % of the communication may run beside computation",
                                100 * deployment.communication_overlap));
  }
  return texts;
}

}  // namespace kvcast
