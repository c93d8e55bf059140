#include "sim/app/experiments.h"

#include <algorithm>
#include <limits>
#include <thread>

namespace kvcast {
namespace {

std::unique_ptr<OutputFile> open_file(const std::string& path) {
  return path.empty() ? nullptr : std::make_unique<OutputFile>(path);
}

}  // namespace

void add_report_options(CommandParser app, ReportOptions& options) {
  app.add_option("--set", options.settings,
                 "Change a value of every scenario, as path=value: --set cluster.replicas=2 (repeatable)")
      .type_name("A.B=C")
      .expected(1)
      .take_all();
  app.add_option("--seed", options.seed, "Seed of all randomness (default: the scenario's, else 1)")
      .type_name("N");
  app.add_option("--threads", options.threads,
                 "Threads; results are equal for any number (default: all cores)")
      .type_name("N");
  app.add_option("--json", options.json, "Write the result as JSON (-: standard output)").type_name("FILE");
  app.add_option("--report", options.report, "Write the report as one HTML file").type_name("FILE");
  app.add_option("--csv", options.csv, "Write the numbers as CSV").type_name("FILE");
  app.add_option("--markdown", options.markdown, "Write the result as Markdown").type_name("FILE");
  app.add_option("--progress", options.progress, "Progress on standard error: auto, on, off (default: auto)")
      .type_name("MODE");
  app.add_flag("--quiet", options.quiet, "No table, no messages: only the files asked for and the exit code");
}

std::vector<Setting> settings_of(const ReportOptions& options) {
  std::vector<Setting> settings = parse_settings(options.settings);
  if (!options.seed.empty()) {
    (void)parse_integer("--seed", options.seed, 0, std::numeric_limits<std::int64_t>::max());
    settings.push_back({"seed", options.seed});
  }
  return settings;
}

unsigned parse_threads(const std::string& text) {
  if (text.empty()) return std::max(1U, std::thread::hardware_concurrency());
  return static_cast<unsigned>(parse_integer("--threads", text, 1, 1024));
}

unsigned threads_of(const ReportOptions& options) { return parse_threads(options.threads); }

ReportFiles::ReportFiles(const ReportOptions& options) {
  const std::string* paths[] = {&options.json, &options.report, &options.csv, &options.markdown};
  const auto to_stdout =
      std::count_if(std::begin(paths), std::end(paths), [](const std::string* path) { return *path == "-"; });
  if (to_stdout > 1) throw InputError("only one output can go to standard output (-)");
  table = !options.quiet && to_stdout == 0;
  json = open_file(options.json);
  report = open_file(options.report);
  csv = open_file(options.csv);
  markdown = open_file(options.markdown);
}

void write_report(OutputFile* file, const std::string& text) {
  if (file == nullptr) return;
  file->write(text);
  file->commit();
}

RanExperiment run_experiment(Experiment& experiment) {
  OutcomeRecorder recorder(experiment.cluster.slo);
  RunHooks hooks;
  hooks.requests = &recorder;
  hooks.ntpot = true;
  const RunRecord record = run(experiment.cluster, experiment.workload.make_source, *experiment.timer, hooks);
  if (record.arrived == 0)
    throw InputError("the workload holds no request: " + experiment.workload.description, ExitCode::bad_data);
  RanExperiment ran{finish_forecast(experiment, record), recorder.take()};
  ran.forecast.record = nullptr;
  return ran;
}

}  // namespace kvcast
