#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <thread>

#include "reports/format.h"
#include "reports/report.h"
#include "sim/app/commands.h"
#include "sim/app/compose.h"
#include "sim/app/decisions.h"
#include "sim/app/options.h"
#include "sim/app/outputs.h"
#include "sim/app/prometheus_output.h"
#include "sim/app/scheduler_features.h"
#include "sim/app/step_stretch.h"
#include "sim/app/uncertainty.h"
#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

constexpr const char* kDefaultScenario = "default";

struct Options {
  std::string scenario = kDefaultScenario;
  std::vector<std::string> settings;
  std::string seed, threads, speed_factor;
  std::string progress = "auto";
  std::string json, report, csv, markdown, requests, decisions, prometheus;
  bool quiet = false;
  bool dump_resolved = false;
  std::string command;
};

/// The result files that were asked for, opened before the run so that a wrong path fails at once.
struct Outputs {
  std::unique_ptr<OutputFile> json, report, csv, markdown, requests, decisions, prometheus;
};

std::unique_ptr<OutputFile> open_output(const std::string& path) {
  return path.empty() ? nullptr : std::make_unique<OutputFile>(path);
}

/// How many outputs go to standard output; the table is then left out.
int to_stdout(const Options& options) {
  int count = 0;
  for (const std::string* path : {&options.json, &options.report, &options.csv, &options.markdown,
                                  &options.requests, &options.decisions, &options.prometheus}) {
    count += *path == "-" ? 1 : 0;
  }
  return count;
}

Outputs open_outputs(const Options& options) {
  if (to_stdout(options) > 1) throw InputError("only one output can go to standard output (-)");
  Outputs outputs;
  outputs.json = open_output(options.json);
  outputs.report = open_output(options.report);
  outputs.csv = open_output(options.csv);
  outputs.markdown = open_output(options.markdown);
  outputs.requests = open_output(options.requests);
  outputs.decisions = open_output(options.decisions);
  outputs.prometheus = open_output(options.prometheus);
  return outputs;
}

void finish_output(OutputFile* output, const std::string& text) {
  if (output == nullptr) return;
  output->write(text);
  output->commit();
}

unsigned thread_count(const Options& options) {
  if (options.threads.empty()) return std::max(1U, std::thread::hardware_concurrency());
  return static_cast<unsigned>(parse_integer("--threads", options.threads, 1, 1024));
}

RunRecord run_watched(Experiment& experiment, const Options& options, Outputs& outputs,
                      PrometheusMetrics* metrics) {
  RunHooks hooks;
  hooks.ntpot = outputs.json || outputs.csv || outputs.markdown || outputs.report;
  Progress progress(options.quiet ? ProgressMode::off : parse_progress(options.progress),
                    experiment.workload.requests_max, "requests");
  hooks.progress = [&](std::int64_t arrived) { progress.update(arrived); };
  std::unique_ptr<RequestWriter> requests;
  RequestFanOut observers;
  if (outputs.requests) {
    requests = make_request_writer(outputs.requests->write_path());
    observers.add(*requests);
  }
  if (metrics != nullptr) {
    observers.add(*metrics);
    hooks.sizes = metrics;
  }
  if (!observers.empty()) hooks.requests = &observers;
  std::unique_ptr<DecisionWriter> decisions;
  if (outputs.decisions) decisions = watch_decisions(experiment, *outputs.decisions, hooks);
  const unsigned threads = thread_count(options);
  RunRecord record = run(experiment.cluster, experiment.workload.make_source, *experiment.timer, hooks,
                         decisions ? 1 : threads);
  if (decisions) decisions->end();
  progress.clear();
  if (requests) {
    requests->close();
    outputs.requests->commit();
  }
  if (outputs.decisions) outputs.decisions->commit();
  return record;
}

void say_speed(const RunRecord& record, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(record.arrived) / seconds : 0;
  std::fprintf(stderr, "kvcast: %s requests in %s s (%s requests/s, %s steps)\n",
               grouped(record.arrived).c_str(), fixed(seconds, 3).c_str(),
               grouped(static_cast<std::int64_t>(rate)).c_str(), grouped(record.steps.steps).c_str());
}

/// What composing found out, for the dump.
void note_derived(const Experiment& experiment, Config& root) {
  if (experiment.sglang || !experiment.resolved_pools.empty()) return;  // their sizes are read elsewhere
  Config engine = root.child("engine");
  const PoolSize& pool = experiment.cluster.engine.pool;
  if (engine.has("block_size") || experiment.frame.facts.block_size <= 1) return;
  engine.note("block_size", std::to_string(pool.block_size.value), Origin::derived);
}

ExitCode simulate(const Options& options) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  std::vector<Setting> settings = parse_settings(options.settings);
  if (!options.seed.empty()) {
    (void)parse_integer("--seed", options.seed, 0, std::numeric_limits<std::int64_t>::max());
    settings.push_back({"seed", options.seed});
  }
  if (!options.speed_factor.empty())
    settings.push_back({"engine.step_time.speed_factor", options.speed_factor});
  ScenarioText text = open_scenario(options.scenario, settings);
  Scenario scenario = read_scenario(text);
  CacheConfigLabels cache_config = cache_config_of(scenario);
  std::optional<Experiment> composed;
  try {
    composed = compose(std::move(scenario));
  } catch (const InputError&) {
    if (options.dump_resolved) std::fputs(text.config.dump().c_str(), stdout);
    throw;
  }
  Experiment& experiment = *composed;
  note_derived(experiment, text.config);
  experiment.frame.resolved = text.config.dump() + experiment.resolved_pools;
  if (options.dump_resolved) {
    std::fputs(experiment.frame.resolved.c_str(), stdout);
    return ExitCode::fine;
  }
  experiment.frame.command = options.command;
  Outputs outputs = open_outputs(options);
  const std::unique_ptr<PrometheusMetrics> metrics =
      outputs.prometheus ? watch_metrics(experiment, std::move(cache_config)) : nullptr;
  const RunRecord record = run_watched(experiment, options, outputs, metrics.get());
  if (record.arrived == 0)
    throw InputError("the workload holds no request: " + experiment.workload.description, ExitCode::bad_data);
  Forecast forecast = finish_forecast(experiment, record);
  forecast.uncertainty =
      find_uncertainty(experiment, forecast.metrics, record.arrived, thread_count(options));

  if (outputs.json) finish_output(outputs.json.get(), to_json(forecast));
  if (outputs.csv) finish_output(outputs.csv.get(), to_csv(forecast));
  if (metrics) finish_output(outputs.prometheus.get(), metrics->text(forecast));
  if (outputs.markdown) finish_output(outputs.markdown.get(), to_markdown(forecast));
  if (outputs.report) {
    forecast.steps = find_step_stretch(experiment, record);
    finish_output(outputs.report.get(), to_html(forecast));
  }
  if (!options.quiet && to_stdout(options) == 0) write_table(stdout, forecast, color_wanted(stdout));
  if (!options.quiet) say_speed(record, std::chrono::duration<double>(Clock::now() - start).count());
  return slo_met(forecast) ? ExitCode::fine : ExitCode::gate_not_met;
}

}  // namespace

Command add_simulate(CommandParser root, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->command = command;
  const CommandParser app = root.add_subcommand(
      "simulate", "Run one scenario: latency, throughput, KV use, and whether the SLO is met");
  app.add_option("scenario", options->scenario,
                 "Scenario file, or a built-in one of kvcast list scenarios (default: default)")
      .type_name("FILE");
  app.add_option("--set", options->settings,
                 "Change a value, as path=value: --set engine.block_size=32 (repeatable)")
      .type_name("A.B=C")
      .expected(1)
      .take_all();
  app.add_option("--seed", options->seed, "Seed of all randomness (default: the scenario's, else 1)")
      .type_name("N");
  app.add_option(
         "--speed-factor", options->speed_factor,
         "Multiply every step time: 1.05 for a machine that is 5 % slower than the one the times are of")
      .type_name("X");
  app.add_option("--threads", options->threads,
                 "Threads; results are equal for any number (default: all cores)")
      .type_name("N");
  app.add_option("--json", options->json,
                 "Write the result as JSON, keys as vllm bench serve has them (-: standard output)")
      .type_name("FILE");
  app.add_option("--report", options->report, "Write the report as one HTML file").type_name("FILE");
  app.add_option("--csv", options->csv, "Write the numbers of the result as CSV: a header and one row")
      .type_name("FILE");
  app.add_option("--markdown", options->markdown, "Write the result as Markdown").type_name("FILE");
  app.add_option("--requests", options->requests,
                 "Write one row a request: CSV where the name ends in .csv, else JSON lines")
      .type_name("FILE");
  app.add_option("--prometheus", options->prometheus,
                 "Write the metrics as vLLM serves them at /metrics: its names, labels and buckets")
      .type_name("FILE");
  app.add_option("--decisions", options->decisions,
                 "Write every scheduling decision, one JSON line a step (walks step by step: slower)")
      .type_name("FILE");
  app.add_flag("--dump-resolved", options->dump_resolved,
               "Print the scenario with every value in force and where it came from, and exit");
  app.add_option("--progress", options->progress, "Progress on standard error: auto, on, off (default: auto)")
      .type_name("MODE");
  app.add_flag("--quiet", options->quiet,
               "No table, no messages: only the files asked for and the exit code");
  app.footer("Names that a scenario may use:\n  engine.scheduler           " + joined(schedulers().names()) +
             "\n  engine.scheduling_policy   " + joined(queue_order_catalog().names()) +
             "\n  engine.allocator           " + joined(allocator_catalog().names()) +
             "\n  cluster.router             " + joined(router_catalog().names()) +
             "\nSee kvcast list for models, GPUs, engine profiles, trace formats and built-in scenarios.");
  return {app, [options] { return simulate(*options); }, {}};
}

}  // namespace kvcast
