#include "sim/app/scenario_speculation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/acceptance_file.h"
#include "sim/base/file.h"

namespace kvcast {
namespace {

constexpr std::int64_t kDraftsMax = 64;
constexpr double kLookupNsPerToken = 1;  // a compiled search over one sequence's tokens

bool given(const Config& section, std::string_view key) { return section.contains(key); }

DraftMethod method_of(const std::string& name) {
  for (const DraftMethod method : {DraftMethod::draft_model, DraftMethod::ngram, DraftMethod::eagle,
                                   DraftMethod::eagle3, DraftMethod::medusa}) {
    if (name == to_string(method)) return method;
  }
  return name == "draft" ? DraftMethod::draft_model : DraftMethod::mtp;
}

/// A rate for every draft, rates by position, or a file of a real engine.
void read_acceptance(Config& speculative, const std::string& folder, SpeculationPlan& plan) {
  constexpr std::size_t kFileBytesMax = std::size_t{64} << 20;
  DrawnSpeculationSettings& drawn = plan.drawn;
  if (!speculative.is_mapping("acceptance")) {
    const double rate = speculative.get_real("acceptance", {0, 1});
    drawn.acceptance = {rate};
    plan.acceptance_source = fmt::format("{:g} for every draft", rate);
    return;
  }
  Config acceptance = speculative.child("acceptance");
  if (given(acceptance, "file")) {
    const std::string path = locate(acceptance.get_string("file"), folder);
    drawn.acceptance = parse_acceptance(read_file(path, kFileBytesMax, ExitCode::bad_data), path);
    plan.acceptance_source = plan.acceptance_path = path;
  } else {
    const std::vector<double> rates = acceptance.get_reals("per_position", {0, 1});
    if (rates.empty()) acceptance.fail("per_position", "is empty; write for example [0.8, 0.6, 0.45]");
    drawn.acceptance = conditional_acceptance(rates, acceptance.where("per_position"));
    plan.acceptance_source = "given by position";
  }
  // Beyond the last position that is known nothing is: drafts there are taken to fare like the last.
  if (static_cast<std::int64_t>(drawn.acceptance.size()) > drawn.num_speculative_tokens)
    drawn.acceptance.resize(static_cast<std::size_t>(drawn.num_speculative_tokens));
}

void read_draft_model(Config& speculative, const std::string& folder, const MemoryOptions& memory,
                      SpeculationPlan& plan) {
  if (plan.method == DraftMethod::draft_model) {
    const bool common = given(speculative, "model");
    if (common && given(speculative, "draft_model"))
      speculative.fail("draft_model", "is there beside model; leave one out");
    const char* key = common ? "model" : "draft_model";
    if (given(speculative, key) || !plan.pass) {
      const std::string name = speculative.get_string(key);
      plan.draft_model =
          std::make_shared<const ModelSpec>(load_model(locate(name, folder), {}, speculative.where(key)));
    }
  }
  plan.draft_tensor_parallel_size =
      speculative.get_int("draft_tensor_parallel_size", {1, 4096}, memory.tensor_parallel_size);
  if (plan.draft_tensor_parallel_size != 1 && plan.draft_tensor_parallel_size != memory.tensor_parallel_size)
    speculative.fail(
        "draft_tensor_parallel_size",
        fmt::format("must be 1 or tensor_parallel_size ({}), as in vLLM", memory.tensor_parallel_size));
}

void read_cost(Config& speculative, const std::string& folder, const MemoryOptions& memory,
               SpeculationPlan& plan) {
  constexpr RealRange kMicroseconds{0, 1e9};
  if (given(speculative, "draft_step_time")) {
    if (!(plan.with_target() || plan.method == DraftMethod::medusa))
      speculative.fail("draft_step_time", "has no meaning for ngram, which runs no network");
    Config affine = speculative.child("draft_step_time").child("affine");
    plan.pass = AffineTime{affine.get_real("base_us", kMicroseconds, 0),
                           affine.get_real("per_token_us", kMicroseconds, 0),
                           affine.get_real("per_context_token_us", kMicroseconds, 0)};
  }
  if (plan.with_target()) {
    read_draft_model(speculative, folder, memory, plan);
    plan.overhead_us = speculative.get_real("draft_overhead_us", kMicroseconds, 0);
  }
  if (plan.method != DraftMethod::ngram) return;
  plan.lookup_ns_per_token = speculative.get_real("prompt_lookup_ns_per_token", {0, 1e9}, kLookupNsPerToken);
  plan.drawn.proposal_rate = speculative.get_real("proposal_rate", {0, 1}, 1);
}

FineDuration fine(double ns) {
  return FineDuration{std::llround(ns * static_cast<double>(std::int64_t{1} << kFineBits))};
}

std::unique_ptr<StepTimer> pass_timer(const Deployment& deployment, const SpeculationPlan& plan) {
  if (plan.pass) return make_affine_timer(*plan.pass);
  KVCAST_CHECK(deployment.model && deployment.gpu);
  TimerOptions options;
  options.tensor_parallel_size = plan.draft_tensor_parallel_size;
  options.kv_cache_dtype = deployment.memory.kv_cache_dtype;
  return make_roofline_timer(draft_pass_model(plan.method, *deployment.model, plan.draft_model.get()),
                             *deployment.gpu, options);
}

}  // namespace

void read_speculation(Config& engine, const std::string& folder, ReadFor use, Deployment& deployment) {
  const bool common = engine.has("speculative");
  if (!common && !given(engine, "speculative_config")) return;
  if (common && given(engine, "speculative_config"))
    engine.fail("speculative", "is there beside speculative_config; leave one out");
  Config speculative = engine.child(common ? "speculative" : "speculative_config");
  SpeculationPlan plan;
  plan.method = method_of(speculative.get_choice(
      "method", {"draft_model", "draft", "ngram", "eagle", "eagle3", "medusa", "mtp"}, "draft_model"));
  DrawnSpeculationSettings& drawn = plan.drawn;
  drawn.num_speculative_tokens = speculative.get_int("num_speculative_tokens", {1, kDraftsMax});
  drawn.with_target = plan.with_target();
  if (speculative.has("acceptance")) {
    read_acceptance(speculative, folder, plan);
  } else if (use == ReadFor::simulate) {
    speculative.fail(
        "acceptance",
        "is missing: how drafts fare decides everything and depends on model and text; give a rate "
        "for every draft (0.7), {per_position: [0.8, 0.6]} or {file: a /metrics scrape}");
  }
  drawn.disable_by_batch_size = speculative.get_int("disable_by_batch_size", {0, 1 << 20}, 0);
  const std::string length =
      speculative.get_choice("num_speculative_tokens_schedule", {"constant", "heuristic"}, "constant");
  drawn.length = length == "heuristic" ? DraftLength::heuristic : DraftLength::constant;
  read_cost(speculative, folder, deployment.memory, plan);
  MemoryOptions& memory = deployment.memory;
  memory.spec_method = to_string(plan.method);
  memory.num_speculative_tokens = drawn.num_speculative_tokens;
  memory.draft_model = plan.draft_model;
  memory.draft_tensor_parallel_size = plan.draft_tensor_parallel_size;
  const bool timed = plan.pass || plan.method == DraftMethod::ngram || (deployment.model && deployment.gpu);
  if (!timed)
    speculative.fail("method", fmt::format("{} needs a model to time its drafts by, or draft_step_time",
                                           to_string(plan.method)));
  if (plan.method == DraftMethod::mtp && deployment.model && deployment.model->draft_layers.empty())
    speculative.fail("method", "mtp: " + deployment.model->name + " has no prediction layers");
  deployment.speculation = std::move(plan);
}

void check_speculation(const Config& engine, const Scenario& scenario) {
  const Deployment& deployment = scenario.deployment;
  if (!deployment.speculation) return;
  const char* key = given(engine, "speculative") ? "speculative" : "speculative_config";
  const MemoryOptions& memory = deployment.memory;
  if (deployment.scheduler != "vllm-v1")
    engine.fail(key, "speculation is simulated with the scheduler vllm-v1, not with " + deployment.scheduler);
  if (!deployment.enable_kv_cache) engine.fail(key, "speculation needs enable_kv_cache: true");
  if (memory.pipeline_parallel_size > 1)
    engine.fail(key, "speculation is not possible with pipeline parallelism, as in vLLM");
  if (memory.data_parallel_size > 1)
    engine.fail(key, "speculation is not modelled with data-parallel ranks that step together");
  if (memory.async_scheduling.value_or(false) && !deployment.speculation->with_target())
    engine.fail("async_scheduling", fmt::format("true is not possible with {} drafts, as in vLLM",
                                                to_string(deployment.speculation->method)));
}

std::unique_ptr<StepTimer> with_drafting(const Deployment& deployment, std::unique_ptr<StepTimer> timer) {
  if (!deployment.speculation) return timer;
  const SpeculationPlan& plan = *deployment.speculation;
  std::unique_ptr<Drafter> drafter;
  if (plan.method == DraftMethod::ngram) {
    drafter = make_lookup_drafter(fine(plan.lookup_ns_per_token));
  } else if (plan.method == DraftMethod::medusa && !plan.pass) {
    drafter = make_head_drafter(*deployment.model, *deployment.gpu, plan.drawn.num_speculative_tokens,
                                deployment.memory.tensor_parallel_size);
  } else {
    drafter = make_model_drafter(pass_timer(deployment, plan), fine(plan.overhead_us * 1e3));
  }
  return make_speculative_timer(std::move(timer), std::move(drafter));
}

std::vector<std::string> speculation_assumptions(const Deployment& deployment) {
  if (!deployment.speculation) return {};
  const SpeculationPlan& plan = *deployment.speculation;
  std::vector<std::string> texts = {fmt::format(
      "{} drafts by {} are verified at once; a draft is accepted by chance, independently of the text: {}",
      plan.drawn.num_speculative_tokens, to_string(plan.method), plan.acceptance_source)};
  if (plan.method == DraftMethod::ngram) {
    texts.push_back(
        fmt::format("The host looks n-grams up in {:g} ns a token of each sequence while the GPU waits",
                    plan.lookup_ns_per_token));
  } else if (!plan.pass) {
    texts.push_back(
        "Drafting passes take what the datasheet's roofline says of their layers, one after the "
        "other, whatever times the target's steps");
  }
  return texts;
}

SpeculationFacts speculation_facts(const SpeculationPlan& plan, const StepTimer& timer, std::int64_t context,
                                   std::int64_t max_num_seqs) {
  SpeculationFacts facts;
  facts.method = to_string(plan.method);
  const std::int64_t drafts = facts.num_speculative_tokens = plan.drawn.num_speculative_tokens;
  // Where the drafter finds nothing to propose, a step is a plain one.
  const double rate = plan.drawn.proposal_rate;
  facts.expected_tokens = rate * expected_tokens(plan.drawn.acceptance, drafts) + 1 - rate;
  facts.context = context;
  facts.speedup_alone = speculation_point(timer, 1, context, drafts, facts.expected_tokens).speedup();
  facts.batch_max = max_num_seqs;
  facts.paying_batch = largest_paying_batch(timer, context, drafts, facts.expected_tokens, max_num_seqs);
  return facts;
}

}  // namespace kvcast
