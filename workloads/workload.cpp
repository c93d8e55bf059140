#include "workloads/workload.h"

#include <fmt/format.h>

#include <cmath>

#include "sim/base/error.h"
#include "workloads/inference_perf.h"
#include "workloads/inputs.h"
#include "workloads/modifiers.h"
#include "workloads/numbers.h"
#include "workloads/synthetic_config.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

/// A workload before what works on both kinds.
struct Base {
  WorkloadFactory make;
  std::string description;
  std::string credit;
  std::int64_t requests_max = 0;
  std::int64_t concurrency = 0;
  Duration think{};
  std::vector<StageWindow> stages;
};

constexpr double kSecondsMax = 3e8;

Duration seconds(double s) { return Duration{std::llround(s * 1e9)}; }

TraceChanges read_changes(Config& config, std::string& description) {
  TraceChanges changes;
  changes.from = seconds(config.get_real("from_s", {0, kSecondsMax}, 0));
  if (config.has("to_s")) changes.to = seconds(config.get_real("to_s", {0, kSecondsMax}));
  if (changes.to <= changes.from) config.fail("to_s", "it must be above from_s");
  changes.limit = config.has("limit") ? config.get_int("limit", {1, kRequestsMax}) : 0;
  changes.rate_scale = config.get_real("rate_scale", {1e-6, 1e6}, 1);
  changes.max = config.has("max") ? config.get_int("max", {2, 2 * kTokensMax}) : 0;
  if (changes.from > Duration{} || changes.to < Duration::max()) {
    description += fmt::format("; from {} s", static_cast<double>(changes.from.count()) * 1e-9);
    if (changes.to < Duration::max())
      description += fmt::format(" to {} s", static_cast<double>(changes.to.count()) * 1e-9);
  }
  if (changes.limit > 0) description += fmt::format("; first {} requests", changes.limit);
  if (changes.rate_scale != 1) description += fmt::format("; {} times as fast", changes.rate_scale);
  if (changes.max > 0) description += fmt::format("; cut to {} tokens", changes.max);
  return changes;
}

/// The format that the user named, or the one of the content.
const CatalogEntry<TraceFormat>& choose_format(const std::string& name, const std::string& where,
                                               const std::vector<TraceFile>& files) {
  const auto& entry = name == "auto" ? detect_format(files.front()) : trace_formats().find(name, where);
  if (files.size() > 1 && !entry.make.takes_folder) {
    throw InputError(files.front().name + ": a folder of several files is given, but a trace of format " +
                         entry.name + " is one file",
                     ExitCode::bad_data);
  }
  return entry;
}

Base read_trace(Config& config, std::uint64_t seed, InputFiles& inputs,
                std::vector<std::string>& assumptions) {
  const std::string path = config.get_string("path");
  const std::string format = config.get_string("format", "auto");
  std::string changed_by;
  const TraceChanges changes = read_changes(config, changed_by);
  const std::vector<TraceFile> files = inputs.open_all(path);
  const auto& entry = choose_format(format, config.where("format"), files);
  config.note("format", entry.name, format == "auto" ? Origin::derived : Origin::given);
  TraceInput input{files, config, seed, [&inputs](const std::string& beside) { return inputs.open(beside); },
                   assumptions};
  const WorkloadFactory make = entry.make.make(input);
  Base base;
  base.description = fmt::format("trace {} ({})", path, entry.name);
  base.credit = entry.make.credit;
  base.description += changed_by;
  const bool window = changes.from > Duration{} || changes.to < Duration::max();
  if (window && make()->has_feedback()) {
    config.fail(config.has("from_s") ? "from_s" : "to_s",
                "a closed-loop trace has no time window: when its requests come depends on the server");
  }
  base.make = [make, changes] { return changed(make(), changes); };
  base.requests_max = changes.limit;
  return base;
}

Base synthetic_base(const SyntheticPlan& plan, std::uint64_t seed) {
  Base base;
  base.make = [spec = plan.spec, seed] { return make_synthetic(spec, seed); };
  base.description = plan.description;
  base.requests_max = plan.spec.requests < kRequestsMax ? plan.spec.requests : 0;
  base.concurrency = plan.concurrency;
  base.think = plan.think;
  return base;
}

Base inference_perf_base(Config& config, std::uint64_t seed, std::vector<std::string>& assumptions) {
  const InferencePerfSpec spec = read_inference_perf(config);
  Base base;
  base.make = [spec, seed] { return make_inference_perf(spec, seed); };
  base.description = describe(spec);
  base.requests_max = spec.requests();
  base.stages = stage_windows(spec);
  if (spec.multi_turn) {
    assumptions.emplace_back(
        "enable_multi_turn_chat: every turn of a user sends the user's own prompt again, without the answers "
        "before it");
  }
  return base;
}

std::vector<double> read_weights(Config& config, std::string_view key) {
  if (!config.has(key)) return {};
  std::vector<double> weights = config.get_reals(key, {0, 1e9});
  double total = 0;
  for (const double weight : weights) total += weight;
  if (!(total > 0)) config.fail(key, "weights with a sum above 0 are needed");
  return weights;
}

/// slo_classes: {interactive: 0.7, batch: 0.3}
void read_slo_classes(Config& config, Decorations& decorations, std::string& description) {
  if (!config.has("slo_classes")) return;
  Config classes = config.child("slo_classes");
  double total = 0;
  for (const std::string& name : classes.names()) {
    decorations.slo_classes.push_back(name);
    decorations.slo_weights.push_back(classes.get_real(name, {0, 1e9}));
    total += decorations.slo_weights.back();
  }
  if (!(total > 0))
    config.fail("slo_classes", "weights with a sum above 0 are needed: {interactive: 0.7, batch: 0.3}");
  description += fmt::format("; {} SLO classes", decorations.slo_classes.size());
}

/// n, best_of, beam_width: of every request.
void read_answers(Config& config, Decorations& decorations, std::string& description) {
  const auto read = [&](std::string_view key) {
    return config.has(key) ? static_cast<std::int32_t>(config.get_int(key, {1, kAnswersMax})) : 0;
  };
  const std::int32_t n = read("n");
  const std::int32_t best_of = read("best_of");
  decorations.beams = read("beam_width");
  if (best_of > 0 && best_of < n) config.fail("best_of", "it must be at least n");
  decorations.samples = std::max(n, best_of);
  if (decorations.beams > 1) {
    if (decorations.samples > decorations.beams)
      config.fail("beam_width", "a search returns at most beam_width answers: n and best_of are above it");
    decorations.samples = 1;
    description += fmt::format("; beam searches of width {}", decorations.beams);
  } else if (decorations.samples > 1) {
    description += fmt::format("; {} samples of each answer", decorations.samples);
  }
}

Decorations read_decorations(Config& config, std::string& description) {
  Decorations decorations;
  if (config.has("predictor")) {
    Config predictor = config.child("predictor");
    decorations.predictor_cv = predictor.get_real("cv", {0, 100});
    description += fmt::format("; output lengths predicted with cv {}", *decorations.predictor_cv);
  }
  if (config.has("max_tokens")) {
    decorations.output_as_limit = config.get_choice("max_tokens", {"output", "none"}, "none") == "output";
    if (decorations.output_as_limit) description += "; max_tokens sent as the output length";
  }
  decorations.priority_weights = read_weights(config, "priorities");
  decorations.tenant_weights = read_weights(config, "tenants");
  if (!decorations.priority_weights.empty())
    description += fmt::format("; {} priorities", decorations.priority_weights.size());
  if (!decorations.tenant_weights.empty())
    description += fmt::format("; {} tenants", decorations.tenant_weights.size());
  read_slo_classes(config, decorations, description);
  read_answers(config, decorations, description);
  return decorations;
}

Base read_base(Config& config, std::uint64_t seed, InputFiles& inputs,
               std::vector<std::string>& assumptions) {
  if (config.has("trace") && config.has("synthetic")) {
    const bool set = config.where("trace").starts_with("--set") ||
                     (config.is_mapping("trace") && config.child("trace").where("path").starts_with("--set"));
    config.fail("synthetic",
                std::string("trace is given too; only one of them can be") +
                    (set ? "; --set 'workload={trace: {path: FILE}}' replaces the whole section" : ""));
  }
  if (config.has("inference_perf")) {
    if (config.has("trace") || config.has("synthetic"))
      config.fail("inference_perf", "trace or synthetic is given too; only one of them can be");
    Config section = config.child("inference_perf");
    return inference_perf_base(section, seed, assumptions);
  }
  if (config.has("trace")) {
    Config trace = config.child("trace");
    return read_trace(trace, seed, inputs, assumptions);
  }
  const bool given = config.has("synthetic");
  if (!given) {
    assumptions.push_back(std::string("no workload is given: the embedded profile ") + kDefaultProfile +
                          ", fitted to the Azure conversation trace of 2023, stands in for it");
  }
  Config synthetic = config.child("synthetic");
  return synthetic_base(read_synthetic(synthetic, given ? "" : kDefaultProfile, seed, inputs), seed);
}

}  // namespace

WorkloadSetup make_workload(Config& workload, std::uint64_t seed, const std::string& base_dir) {
  InputFiles inputs(base_dir);
  WorkloadSetup setup;
  Base base = read_base(workload, seed, inputs, setup.assumptions);
  std::string description = std::move(base.description);
  const Decorations decorations = read_decorations(workload, description);
  std::int64_t concurrency = base.concurrency;
  if (workload.has("max_concurrency")) {
    if (concurrency > 0) workload.fail("max_concurrency", "the closed loop has a concurrency of its own");
    concurrency = workload.get_int("max_concurrency", {1, 1'000'000});
    description += fmt::format("; at most {} in flight", concurrency);
  }
  const auto make = [make_base = base.make, decorations, seed, concurrency, think = base.think] {
    std::unique_ptr<WorkloadSource> source = decorated(make_base(), decorations, seed);
    if (concurrency > 0) source = limit_concurrency(std::move(source), concurrency, think);
    return source;
  };
  if (decorations.samples > 1)
    setup.assumptions.emplace_back("all samples of a request are as long as its answer in the workload");
  if (decorations.beams > 1) {
    setup.assumptions.emplace_back(
        "which beams go on is drawn, not computed from probabilities of tokens; all run to the end of the "
        "answer");
  }
  setup.has_feedback = make()->has_feedback();
  setup.make_source = make;
  setup.description = std::move(description);
  setup.inputs = inputs.files();
  setup.credit = base.credit;
  setup.requests_max = base.requests_max;
  setup.stages = std::move(base.stages);
  return setup;
}

WorkloadSetup make_trace_workload(const std::string& path, const std::string& format, std::uint64_t seed) {
  InputFiles inputs("");
  WorkloadSetup setup;
  const std::vector<TraceFile> files = inputs.open_all(path);
  const auto& entry = choose_format(format.empty() ? "auto" : format, "--format", files);
  Config options = Config::empty(path);
  TraceInput input{files, options, seed, [&inputs](const std::string& beside) { return inputs.open(beside); },
                   setup.assumptions};
  const WorkloadFactory make = entry.make.make(input);
  setup.has_feedback = make()->has_feedback();
  setup.make_source = make;
  setup.description = fmt::format("trace {} ({})", path, entry.name);
  setup.credit = entry.make.credit;
  setup.inputs = inputs.files();
  return setup;
}

WorkloadSetup make_lines_workload(const std::string& name, std::string lines, std::int64_t concurrency,
                                  std::uint64_t seed) {
  WorkloadSetup setup;
  const std::vector<TraceFile> files = {file_in_memory(name, std::move(lines))};
  Config options = Config::empty(name);
  TraceInput input{files, options, seed, {}, setup.assumptions};
  const WorkloadFactory make = trace_formats().find("kvcast", name).make.make(input);
  setup.make_source = [make, concurrency] {
    std::unique_ptr<WorkloadSource> source = make();
    if (concurrency > 0) source = limit_concurrency(std::move(source), concurrency, Duration{});
    return source;
  };
  setup.has_feedback = setup.make_source()->has_feedback();
  setup.description = "the requests of " + name;
  if (concurrency > 0) setup.description += fmt::format("; at most {} in flight", concurrency);
  return setup;
}

}  // namespace kvcast
