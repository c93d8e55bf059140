#include "sim/app/plan_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hwmodels/gpu_spec.h"
#include "reports/format.h"
#include "sim/app/scheduler_features.h"
#include "sim/app/uncertainty.h"
#include "sim/base/error.h"
#include "sim/plan/least_attention.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

/// Stands in for the scenario's workload while a design is read: its own was read once and is kept in memory.
constexpr const char* kNoWorkload =
    "{synthetic: {requests: 1, arrivals: {process: constant, rate: 1}, input: {fixed: 1}, output: {fixed: "
    "1}}}";

/// One thing to choose.
struct Dimension {
  std::string key;
  std::vector<std::string> values;
};

std::vector<Dimension> dimensions_of(const PlanSpace& space) {
  std::vector<std::string> sizes = space.tensor_parallel_size;
  if (sizes.empty()) {
    for (std::int64_t size = 1; size <= std::min<std::int64_t>(8, space.max_gpus); size *= 2)
      sizes.push_back(std::to_string(size));
  }
  std::vector<Dimension> all = {{"cluster.gpu", space.gpus},
                                {"cluster.tensor_parallel_size", sizes},
                                {"engine.kv_cache_dtype", space.kv_cache_dtype},
                                {"engine.block_size", space.block_size},
                                {"engine.max_num_seqs", space.max_num_seqs},
                                {"engine.max_num_batched_tokens", space.max_num_batched_tokens},
                                {"engine.enable_prefix_caching", space.enable_prefix_caching},
                                {"cluster.router", space.router}};
  for (const auto& [path, values] : space.vary) {
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const Dimension& dimension) { return dimension.key == path; });
    if (known == all.end()) {
      all.push_back({path, values});
    } else {
      known->values = values;
    }
  }
  std::erase_if(all, [](const Dimension& dimension) { return dimension.values.empty(); });
  return all;
}

std::vector<Design> combinations(const std::vector<Dimension>& dimensions) {
  constexpr std::size_t kDesignsMax = 20'000;
  std::vector<Design> designs(1);
  for (const Dimension& dimension : dimensions) {
    std::vector<Design> longer;
    for (const Design& design : designs) {
      for (const std::string& value : dimension.values) {
        longer.push_back(design);
        longer.back().choices.push_back({dimension.key, value});
        longer.back().settings.push_back({dimension.key, value});
      }
    }
    designs = std::move(longer);
    if (designs.size() > kDesignsMax)
      throw InputError(fmt::format("plan: more than {} combinations; shorten the lists", kDesignsMax));
  }
  return designs;
}

std::string last_key(const std::string& path) { return path.substr(path.rfind('.') + 1); }

/// Prompts that others may share parts of.
bool has_content(const Traffic& traffic) {
  if (traffic == nullptr) return true;
  return std::any_of(traffic->begin(), traffic->end(), [](const Request& request) {
    return request.details != nullptr && !request.details->content.empty();
  });
}

/// Whether the bounds know how such an engine works: one step at a time, a token a sequence and step.
bool has_bounds(const Scenario& scenario) {
  const MemoryOptions& memory = scenario.deployment.memory;
  return memory.pipeline_parallel_size == 1 && memory.data_parallel_size == 1 &&
         memory.context_parallel_size == 1 && memory.decode_context_parallel_size == 1 &&
         !memory.enable_expert_parallel && !scenario.deployment.speculation;
}

}  // namespace

EngineLimits engine_limits(const Scenario& scenario, const DeploymentFacts& facts, const Traffic& traffic) {
  constexpr std::int64_t kStepTokensMax = std::int64_t{1} << 24;
  const Deployment& deployment = scenario.deployment;
  const MemoryOptions& memory = deployment.memory;
  EngineLimits limits;
  limits.max_model_len = deployment.max_model_len > 0 ? deployment.max_model_len : kStepTokensMax;
  limits.seqs_max = std::max<std::int64_t>(memory.max_num_seqs, 1);
  const SchedulerFeatures features = features_of(deployment.scheduler);
  // The token budget counts prompts and decodes alike, but only vLLM's own scheduler keeps to it in every
  // step.
  limits.step_tokens_max = deployment.scheduler == "vllm-v1" ? memory.max_num_batched_tokens : kStepTokensMax;
  limits.decodes_by_token = deployment.enable_kv_cache;
  limits.reuses_prefixes = (features.caches_prefixes || scenario.sglang.has_value()) &&
                           (scenario.sglang.has_value() || memory.enable_prefix_caching.value_or(false));
  limits.pool_tokens = facts.blocks_total > 0 ? facts.tokens_total() : 0;
  const bool whole = deployment.report && deployment.report->kv.groups.size() == 1 &&
                     deployment.report->kv.groups.front().window == 0 &&
                     deployment.report->kv.groups.front().kind != "recurrent";
  const bool shared = limits.reuses_prefixes && has_content(traffic);
  const Int128 of_seqs = static_cast<Int128>(limits.seqs_max) * limits.max_model_len;
  std::int64_t context =
      of_seqs > kStepTokensMax * 64 ? kStepTokensMax * 64 : static_cast<std::int64_t>(of_seqs);
  if (whole && !shared && limits.pool_tokens > 0)
    context = std::min(context, limits.pool_tokens + limits.seqs_max);
  limits.decode_context_max = context;
  // Who reserves room to a request's end refuses it where that end does not fit, however short it turns out
  // to be.
  const bool by_need = deployment.scheduler == "vllm-v1" || deployment.scheduler == "vllm-v0" ||
                       deployment.scheduler == "sarathi" || scenario.sglang.has_value();
  if (!(by_need && scenario.allocator != "contiguous") && limits.pool_tokens < limits.max_model_len)
    limits.pool_tokens = std::min<std::int64_t>(limits.pool_tokens, 1);
  return limits;
}

std::vector<LatencyLimit> latency_limits(const std::vector<SloBound>& slo) {
  using Kind = LatencyLimit::Kind;
  std::vector<LatencyLimit> limits;
  for (const SloBound& bound : slo) {
    const bool known = bound.metric == "ttft" || bound.metric == "tpot" || bound.metric == "e2el";
    if (!known || bound.statistic == "mean") continue;
    const double share = bound.statistic == "median" ? 0.5 : std::stod(bound.statistic.substr(1)) / 100;
    const Kind kind = bound.metric == "ttft" ? Kind::ttft : bound.metric == "tpot" ? Kind::tpot : Kind::e2el;
    limits.push_back({kind, share, bound.limit_ms / 1e3});
  }
  return limits;
}

PlanBench::PlanBench(std::string scenario, std::vector<Setting> settings, PlanSpace space)
    : path_(std::move(scenario)), settings_(std::move(settings)), space_(std::move(space)) {
  read_base();
}

void PlanBench::read_base() {
  ScenarioText text = open_scenario(path_, settings_);
  const bool length_given = text.config.child("engine").has("max_model_len");
  const bool synthetic = !text.config.child("workload").has("trace");
  base_ = read_scenario(text);
  if (base_.fleet)
    throw InputError(
        path_ +
        ": cluster.elasticity: a plan looks for a fixed number of replicas; leave it out and compare "
        "autoscaled runs with kvcast compare --vary");
  if (!base_.pool_name.empty())
    throw InputError(base_.path + ": a plan searches over replicas of one shape; leave cluster.pools out");
  if (base_.slo.empty())
    throw InputError(
        path_ + ": slo: a plan needs an SLO, for example slo: {ttft_ms: {p99: 2000}, tpot_ms: {p99: 50}}");
  if (base_.sim_time_max)
    throw InputError(path_ +
                     ": limits.sim_time_s: a plan simulates its traffic to the end; use plan.requests_max");
  if (base_.workload.has_feedback) {
    if (space_.growth != 1)
      throw InputError(
          path_ +
          ": plan.growth: the traffic waits for the server (closed loop or sessions), so that its "
          "rate cannot be scaled");
    if (space_.goal == PlanGoal::rate)
      throw InputError(path_ + ": plan.goal: rate is not possible for traffic that waits for the server");
    requests_ = static_cast<std::size_t>(base_.workload.requests_max > 0
                                             ? std::min(base_.workload.requests_max, space_.requests_max)
                                             : space_.requests_max);
    return;
  }
  const auto source = base_.workload.make_source();
  traffic_ = read_traffic(*source, static_cast<std::size_t>(space_.requests_max));
  if (traffic_->empty())
    throw InputError("the workload holds no request: " + base_.workload.description, ExitCode::bad_data);
  if (source->next_arrival()) {
    notes_.push_back(
        fmt::format("The traffic is longer than plan.requests_max: the first {} requests are planned for",
                    grouped(space_.requests_max)));
  }
  requests_ = traffic_->size();
  if (space_.growth != 1) {
    traffic_ = changed(traffic_, {.rate = space_.growth});
    notes_.push_back(fmt::format("The traffic comes {} times as fast as given (growth)", space_.growth));
  }
  fit_max_model_len(length_given);
  if (!synthetic) resampler_.emplace(traffic_, base_.seed);
}

/// Where the scenario leaves the longest context open, the traffic decides: the model's own may need more
/// memory than any request does.
void PlanBench::fit_max_model_len(bool given) {
  if (given || base_.sglang) return;
  std::int64_t longest = 0;
  for (const Request& request : *traffic_)
    longest = std::max(longest, request.input.value + request.output.value);
  constexpr std::int64_t kStep = 1024;
  const std::int64_t rounded = ceil_div(longest + 1, kStep) * kStep;
  if (rounded >= base_.deployment.max_model_len) return;
  settings_.push_back({"engine.max_model_len", std::to_string(rounded)});
  notes_.push_back(
      fmt::format("max_model_len is {}: the longest request has {} tokens; set engine.max_model_len for more",
                  grouped(rounded), grouped(longest)));
}

double PlanBench::rate() const {
  if (traffic_ == nullptr || traffic_->size() < 2) return 0;
  const auto span =
      static_cast<double>((traffic_->back().arrival - traffic_->front().arrival).count()) * 1e-9;
  return span > 0 ? static_cast<double>(traffic_->size() - 1) / span : 0;
}

void PlanBench::set_price(Design& design) const {
  const auto given = space_.prices.find(design.gpu);
  if (given != space_.prices.end()) {
    design.price_per_gpu_hour = given->second;
    design.settings.push_back({"cluster.price_per_gpu_hour", fmt::format("{}", given->second)});
    return;
  }
  if (base_.price_per_gpu_hour) {
    if (space_.gpus.size() > 1)
      throw InputError(path_ +
                       ": cluster.price_per_gpu_hour: is one price for several GPUs; use plan.prices");
    design.price_per_gpu_hour = *base_.price_per_gpu_hour;
    return;
  }
  const GpuSpec gpu =
      space_.gpus.empty() && base_.deployment.gpu ? *base_.deployment.gpu : find_gpu(design.gpu, path_);
  design.price_per_gpu_hour = gpu.price_per_hour;
  if (design.price_per_gpu_hour > 0) return;
  const char* give = gpu.from_catalogue ? "--price " : "--set cluster.price_per_gpu_hour=2.5";
  throw InputError(fmt::format("{}: no price of {} is known; give one: {}{}", path_, design.gpu, give,
                               gpu.from_catalogue ? design.gpu + "=2.5" : ""));
}

std::vector<Design> PlanBench::designs(unsigned threads) const {
  std::vector<Design> designs = combinations(dimensions_of(space_));
  std::vector<char> by_engine(designs.size(), 0);
  for (Design& design : designs) {
    design.gpu = base_.deployment.gpu ? base_.deployment.gpu->name : "the GPU";
    for (const PlanChoice& choice : design.choices) {
      if (choice.key == "cluster.gpu") design.gpu = choice.value;
    }
    set_price(design);
  }
  for_each_parallel(designs.size(), threads, [&](std::size_t i) {
    Design& design = designs[i];
    try {
      Scenario read = scenario(design, Variant{});
      design.tensor_parallel_size = read.deployment.memory.tensor_parallel_size;
      const Experiment composed = compose(std::move(read));
      design.gpus_per_replica = composed.frame.facts.gpus;
      design.calibrated = composed.frame.calibrated;
    } catch (const InputError& error) {
      if (error.code() == ExitCode::bad_data) throw;
      design.refusal = error.what();
      by_engine[i] = error.code() == ExitCode::usage ? 1 : 0;
    }
    if (design.refusal.empty() && design.gpus_per_replica > space_.max_gpus)
      design.refusal = fmt::format("one replica needs {} GPUs, more than max_gpus", design.gpus_per_replica);
  });
  // A value that no combination accepts is a mistake of the user.
  for (std::size_t i = 0; i < designs.size(); ++i) {
    if (by_engine[i] == 0) continue;
    for (std::size_t c = 0; c < designs[i].choices.size(); ++c) {
      bool accepted = false;
      for (std::size_t k = 0; k < designs.size() && !accepted; ++k)
        accepted = by_engine[k] == 0 && designs[k].choices[c].value == designs[i].choices[c].value;
      // Sizes that divide no model are left out of the default list without a word.
      const bool by_default =
          designs[i].choices[c].key == "cluster.tensor_parallel_size" && space_.tensor_parallel_size.empty();
      if (!accepted && !by_default) throw InputError(designs[i].refusal);
    }
  }
  return designs;
}

Scenario PlanBench::scenario(const Design& design, const Variant& variant) const {
  std::vector<Setting> settings;
  for (const Setting& setting : settings_) {
    if (!setting.path.starts_with("workload")) settings.push_back(setting);
  }
  settings.insert(settings.end(), design.settings.begin(), design.settings.end());
  settings.insert(settings.end(), variant.settings.begin(), variant.settings.end());
  settings.push_back({"cluster.replicas", std::to_string(variant.replicas)});
  settings.push_back({"workload", kNoWorkload});
  ScenarioText text = open_scenario(path_, settings);
  Scenario scenario = read_scenario(text);
  scenario.workload = base_.workload;
  const std::size_t requests = variant.requests == 0 ? requests_ : variant.requests;
  const Traffic& traffic = variant.traffic != nullptr ? variant.traffic : traffic_;
  if (traffic != nullptr) {
    scenario.workload.make_source = traffic_source(traffic, requests);
  } else {
    scenario.workload.make_source = [make = base_.workload.make_source, requests] {
      return first_of(make(), requests);
    };
  }
  return scenario;
}

Experiment PlanBench::experiment(const Design& design, const Variant& variant) const {
  Experiment experiment = compose(scenario(design, variant));
  if (variant.pool_factor != 1) {
    std::int64_t& blocks = experiment.cluster.engine.pool.blocks.value;
    blocks = std::max<std::int64_t>(1, std::llround(static_cast<double>(blocks) * variant.pool_factor));
    experiment.frame.facts.blocks_total = blocks;
  }
  return experiment;
}

RanExperiment PlanBench::run(const Design& design, const Variant& variant) const {
  Experiment composed = experiment(design, variant);
  OutcomeRecorder recorder(composed.cluster.slo);
  RunHooks hooks;
  hooks.requests = &recorder;
  const RunRecord record = run_scaled(composed, variant.step_factor, variant.frontend_factor, 0, hooks, 1);
  RanExperiment ran{finish_forecast(composed, record), recorder.take()};
  ran.forecast.record = nullptr;
  return ran;
}

Forecast PlanBench::forecast(const Design& design, const Variant& variant) const {
  Experiment composed = experiment(design, variant);
  const RunRecord record =
      variant.step_factor == 1 && variant.frontend_factor == 1
          ? kvcast::run(composed.cluster, composed.workload.make_source, *composed.timer, {})
          : run_scaled(composed, variant.step_factor, variant.frontend_factor, 0, {}, 1);
  Forecast forecast = finish_forecast(composed, record);
  forecast.record = nullptr;
  return forecast;
}

Score PlanBench::score(const Forecast& forecast) const {
  const Metrics& metrics = forecast.metrics;
  Score score;
  // Refused for their length alone: every design refuses the same requests, and more GPUs do not change it.
  const bool left_behind = metrics.unfinished > 0 || metrics.rejected_never_fits > 0 ||
                           metrics.rejected_rate_limit > 0 || metrics.rejected_overload > 0 || metrics.stuck;
  score.met = slo_met(forecast) && !left_behind;
  score.goodput = metrics.request_goodput;
  const auto arrived = static_cast<double>(std::max<std::int64_t>(metrics.completed + metrics.failed, 1));
  score.good_share = metrics.request_goodput * metrics.duration_s / arrived;
  for (const SloTerm& term : forecast.slo)
    score.strain = std::max(score.strain, term.value_ms / term.limit_ms);
  if (left_behind || metrics.completed == 0) score.strain = std::numeric_limits<double>::infinity();
  return score;
}

Replicating PlanBench::replicating() const {
  if (traffic_ == nullptr) return Replicating::by_outcomes;
  return resampler_ ? Replicating::by_blocks : Replicating::by_seed;
}

Traffic PlanBench::replication(std::size_t index) const {
  KVCAST_CHECK(traffic_ != nullptr);
  if (resampler_) return resampler_->sample(index);
  constexpr std::uint64_t kStride = 1'000'003;  // seeds that nobody types next to each other
  std::vector<Setting> settings = settings_;
  settings.push_back(
      {"seed", std::to_string((base_.seed + kStride * (index + 1)) % (std::uint64_t{1} << 62))});
  ScenarioText text = open_scenario(path_, settings);
  const auto source = read_scenario(text).workload.make_source();
  const Traffic traffic = read_traffic(*source, requests_);
  return space_.growth == 1 ? traffic : changed(traffic, {.rate = space_.growth});
}

PlanBench::Floor PlanBench::floor(const Design& design, const Traffic& traffic) const {
  if (traffic == nullptr) return {};
  const Scenario read = scenario(design, Variant{});
  if (!has_bounds(read)) return {};
  const Experiment composed = experiment(design, Variant{});
  const EngineLimits limits = engine_limits(read, composed.frame.facts, traffic);
  const std::vector<RequestDemand> demands = demands_of(*traffic, limits);
  const LeastAttention least(*composed.timer);
  const bool bounded = composed.cluster.engine.batch.reach.on();
  const StepTimer& timer = bounded ? static_cast<const StepTimer&>(least) : *composed.timer;
  const StepBounds bounds = step_bounds(timer, limits, demands);
  const std::vector<LatencyFloors> floors = latency_floors(timer, limits, bounds, demands);
  const std::optional<std::int64_t> fewest = replicas_min(bounds, demands, floors, latency_limits(base_.slo));
  return fewest ? Floor{*fewest, false} : Floor{1, true};
}

std::string PlanBench::label(const Design& design, std::int64_t replicas) const {
  const std::int64_t gpus = design.gpus_per_replica;
  std::string text = fmt::format("{} x {}", replicas * gpus, design.gpu);
  if (replicas > 1 || gpus > 1)
    text += fmt::format(": {} replica{} of {}{}", replicas, replicas == 1 ? "" : "s",
                        design.tensor_parallel_size == gpus ? "TP " : "", gpus) +
            (design.tensor_parallel_size == gpus ? ""
                                                 : fmt::format(" GPUs (TP {})", design.tensor_parallel_size));
  for (const PlanChoice& choice : design.choices) {
    if (choice.key == "cluster.gpu" || choice.key == "cluster.tensor_parallel_size") continue;
    text += fmt::format(", {}={}", last_key(choice.key), choice.value);
  }
  return text;
}

}  // namespace kvcast
