// kvcast plan: the cheapest cluster that meets an SLO.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "hwmodels/gpu_spec.h"
#include "reports/plan_report.h"
#include "reports/progress.h"
#include "reports/report.h"
#include "sim/app/commands.h"
#include "sim/app/experiments.h"
#include "sim/app/grid.h"
#include "sim/app/planner.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

struct Options {
  std::string scenario;
  std::string model, trace;
  std::string ttft_p99, tpot_p99, e2el_p99;
  std::string gpus, tensor_parallel_size, kv_cache_dtype, goal, max_gpus, growth, relative_error;
  std::vector<std::string> prices;
  std::string journal;
  std::vector<std::string> vary;
  bool exhaustive = false;
  ReportOptions report;
};

/// "2s", "50ms", "1.5s": milliseconds.
double parse_latency(const std::string& option, const std::string& text) {
  const bool ms = text.ends_with("ms");
  const bool s = !ms && text.ends_with("s");
  const std::optional<double> value = parse_real(text.substr(0, text.size() - (ms ? 2 : s ? 1 : 0)));
  if (!value || (!ms && !s) || *value <= 0)
    throw InputError(
        fmt::format("{}: {} is given, a time such as 2s or 50ms is needed", option, kvcast::quoted(text)));
  return ms ? *value : *value * 1e3;
}

double parse_positive(const std::string& option, const std::string& text, double max) {
  const std::optional<double> value = parse_real(text);
  if (!value || *value <= 0 || *value > max)
    throw InputError(fmt::format("{}: {} is given, a number above 0 and at most {} is needed", option,
                                 kvcast::quoted(text), max));
  return *value;
}

std::vector<std::string> parse_list(const std::string& option, const std::string& text) {
  std::vector<std::string> values(1);
  for (const char c : text) {
    if (c == ',') {
      values.emplace_back();
    } else {
      values.back() += c;
    }
  }
  for (const std::string& value : values) {
    if (value.empty())
      throw InputError(fmt::format("{}: {} has an empty entry", option, kvcast::quoted(text)));
    if (std::count(values.begin(), values.end(), value) > 1)
      throw InputError(fmt::format("{}: {} is given twice", option, kvcast::quoted(value)));
  }
  return values;
}

/// --slo-... as the setting of the whole `slo` section; nothing where none is given.
std::optional<Setting> slo_setting(const Options& options) {
  std::string terms;
  const auto add = [&](const char* option, const char* key, const std::string& text) {
    if (!text.empty())
      terms += fmt::format("{}{}: {{p99: {}}}", terms.empty() ? "" : ", ", key, parse_latency(option, text));
  };
  add("--slo-ttft-p99", "ttft_ms", options.ttft_p99);
  add("--slo-tpot-p99", "tpot_ms", options.tpot_p99);
  add("--slo-e2el-p99", "e2el_ms", options.e2el_p99);
  if (terms.empty()) return std::nullopt;
  return Setting{"slo", "{" + terms + "}"};
}

std::vector<Setting> scenario_settings(const Options& options) {
  std::vector<Setting> settings;
  if (!options.model.empty()) settings.push_back({"model", yaml_scalar(options.model)});
  if (!options.trace.empty())
    settings.push_back({"workload", "{trace: {path: " + yaml_scalar(options.trace) + "}}"});
  if (const std::optional<Setting> slo = slo_setting(options)) settings.push_back(*slo);
  for (const Setting& setting : settings_of(options.report)) settings.push_back(setting);
  return settings;
}

void read_prices(const Options& options, PlanSpace& space) {
  for (const std::string& text : options.prices) {
    for (const std::string& entry : parse_list("--price", text)) {
      const std::size_t equals = entry.find('=');
      if (equals == std::string::npos)
        throw InputError("--price " + entry +
                         ": a price reads gpu=USD per hour, for example --price h100-sxm=2.5");
      const std::string gpu = entry.substr(0, equals);
      (void)find_gpu(gpu, "--price");
      space.prices[gpu] = parse_positive("--price " + gpu, entry.substr(equals + 1), 1e6);
    }
  }
}

PlanGoal parse_goal(const std::string& text) {
  for (const PlanGoal goal : {PlanGoal::cost, PlanGoal::goodput, PlanGoal::rate}) {
    if (to_string(goal) == text) return goal;
  }
  throw InputError("--goal: unknown goal " + kvcast::quoted(text) +
                   known_names(text, {"cost", "goodput", "rate"}));
}

/// What the file says, and what the command line changes of it.
PlanSpace read_space(const Options& options, const std::string& scenario,
                     const std::vector<Setting>& settings) {
  ScenarioText text = open_scenario(scenario, settings);
  PlanSpace space = read_scenario(text).plan;
  if (!options.gpus.empty()) {
    space.gpus = parse_list("--gpu", options.gpus);
    for (const std::string& gpu : space.gpus) (void)find_gpu(gpu, "--gpu");
  }
  if (!options.tensor_parallel_size.empty()) {
    space.tensor_parallel_size = parse_list("--tp", options.tensor_parallel_size);
    for (const std::string& size : space.tensor_parallel_size) (void)parse_integer("--tp", size, 1, 4096);
  }
  if (!options.kv_cache_dtype.empty())
    space.kv_cache_dtype = parse_list("--kv-cache-dtype", options.kv_cache_dtype);
  for (const Variation& variation : parse_variations(options.vary)) {
    refuse_fixed_path("--vary " + variation.path, variation.path);
    space.vary.insert_or_assign(variation.path, variation.values);
  }
  if (!options.max_gpus.empty()) space.max_gpus = parse_integer("--max-gpus", options.max_gpus, 1, 1 << 16);
  if (!options.growth.empty()) space.growth = parse_positive("--growth", options.growth, 1e3);
  if (!options.goal.empty()) space.goal = parse_goal(options.goal);
  read_prices(options, space);
  return space;
}

ExitCode plan(const Options& options) {
  PlanQuestion question;
  question.scenario = options.scenario.empty() ? "plan" : options.scenario;
  question.settings = scenario_settings(options);
  question.space = read_space(options, question.scenario, question.settings);
  question.exhaustive = options.exhaustive;
  question.journal = options.journal;
  question.threads = threads_of(options.report);
  if (!options.relative_error.empty())
    question.relative_error = parse_positive("--target-relative-error", options.relative_error, 1);
  Progress progress(options.report.quiet ? ProgressMode::off : parse_progress(options.report.progress), 0,
                    "requests");
  question.progress = [&](double done, double expected) {
    progress.update(std::llround(done), std::llround(expected));
  };
  ReportFiles files(options.report);
  PlanResult result = make_plan(question);
  progress.clear();
  result.command = options.report.command;
  write_report(files.json.get(), to_json(result));
  write_report(files.csv.get(), to_csv(result));
  write_report(files.markdown.get(), to_markdown(result));
  write_report(files.report.get(), to_html(result));
  if (files.table) fmt::print("{}", to_table(result, color_wanted(stdout)));
  return result.feasible ? ExitCode::fine : ExitCode::infeasible;
}

}  // namespace

Command add_plan(CommandParser root, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->report.command = command;
  const CommandParser app = root.add_subcommand(
      "plan", "The cheapest cluster that meets the SLO, how sure that is, and what binds");
  app.add_option("scenario", options->scenario,
                 "Scenario with traffic, SLO and, perhaps, a plan: section (docs/planning.md); default: the "
                 "built-in plan")
      .type_name("FILE");
  const auto text = [&](const char* name, std::string& value, const char* help, const char* type) {
    app.add_option(name, value, help).type_name(type);
  };
  text("--model", options->model, "Model: a name of kvcast list models, a config.json or its folder", "M");
  text("--trace", options->trace, "Traffic: a trace of any known format", "FILE");
  text("--slo-ttft-p99", options->ttft_p99, "Largest p99 time to first token: 2s, 500ms", "TIME");
  text("--slo-tpot-p99", options->tpot_p99, "Largest p99 time per output token: 50ms", "TIME");
  text("--slo-e2el-p99", options->e2el_p99, "Largest p99 end-to-end latency: 30s", "TIME");
  text("--gpu", options->gpus, "GPUs to choose from, of kvcast list gpus", "A,B");
  text("--tp", options->tensor_parallel_size, "Tensor-parallel sizes to choose from (default: 1,2,4,8)",
       "A,B");
  text("--kv-cache-dtype", options->kv_cache_dtype, "KV cache dtypes to choose from: auto,fp8", "A,B");
  text("--max-gpus", options->max_gpus, "GPUs of the largest cluster (default: 32)", "N");
  text("--growth", options->growth, "Plan for the traffic coming so many times as fast", "X");
  text("--target-relative-error", options->relative_error,
       "Synthetic traffic: draw it again until the mean of every term of the winner's SLO is known to this "
       "share, as "
       "half of its 90 % interval: 0.02",
       "X");
  text("--journal", options->journal,
       "Keep every finished run in this file, so that the same plan, killed and started again, goes on where "
       "it was; the answer is the same",
       "FILE");
  text("--goal", options->goal, "cost (default), or, on max-gpus: goodput, rate", "GOAL");
  app.add_option("--price", options->prices,
                 "Prices in USD per GPU and hour: h100-sxm=2.5,h200=3 (default: the catalogue's)")
      .type_name("GPU=USD")
      .expected(1)
      .take_all();
  app.add_option("--vary", options->vary,
                 "Choose from these values of any path of the scenario, too: "
                 "cluster.pipeline_parallel_size=1,2; repeatable")
      .type_name("PATH=A,B")
      .expected(1)
      .take_all();
  app.add_flag(
      "--exhaustive", options->exhaustive,
      "Simulate every point that could win on the whole traffic instead of searching; what the search is "
      "checked against");
  add_report_options(app, options->report);
  return {app, [options] { return plan(*options); }, {}};
}

}  // namespace kvcast
