#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <ostream>
#include <sstream>

#include "reports/csv_text.h"
#include "reports/format.h"
#include "sim/app/commands.h"
#include "sim/app/options.h"
#include "sim/app/trace_workload.h"
#include "sim/base/text.h"
#include "workloads/trace_fit.h"
#include "workloads/trace_stats.h"

namespace kvcast {
namespace {

struct Options : TraceChoice {
  std::string out = "-";
  std::string bands, profile_window;
  bool json = false, csv = false;
};

ExitCode stats(const Options& options) {
  const WorkloadSetup setup = open_workload(options);
  const TraceStats stats = trace_stats(*setup.make_source());
  if (options.json && options.csv) throw InputError("kvcast trace stats: --json and --csv; choose one");
  write_to(options.out, [&](std::ostream& out) {
    if (options.csv) {
      std::ostringstream json;
      write_stats_json(stats, name_of(options), json);
      out << csv_of_json(json.str());
      return;
    }
    options.json ? write_stats_json(stats, name_of(options), out) : write_stats(stats, name_of(options), out);
  });
  return ExitCode::fine;
}

ExitCode fit(const Options& options) {
  FitOptions fit_options;
  if (!options.bands.empty()) {
    fit_options.bands = static_cast<std::size_t>(parse_integer("--bands", options.bands, 1, 1000));
  }
  if (!options.profile_window.empty()) {
    const std::optional<double> window = parse_real(options.profile_window);
    if (!window || *window < 1e-3) {
      throw InputError("--profile-window: " + kvcast::quoted(options.profile_window) +
                       " is given, a number of seconds of at least 0.001 is needed");
    }
    fit_options.profile_window_s = *window;
  }
  const WorkloadSetup setup = open_workload(options);
  const WorkloadFit result = fit_workload(setup, fit_options);
  write_to(options.out, [&](std::ostream& out) { write_fit(result, setup, out); });
  return ExitCode::fine;
}

ExitCode write_as_trace(const WorkloadSetup& setup, const Options& options) {
  std::int64_t requests = 0;
  write_to(options.out, [&](std::ostream& out) { requests = write_requests(*setup.make_source(), out); });
  std::fprintf(stderr, "kvcast: %s requests written\n", grouped(requests).c_str());
  return ExitCode::fine;
}

void add_file(CommandParser app, const std::shared_ptr<Options>& options, const char* help) {
  app.add_option("file", options->file, help).type_name("FILE");
}

void add_out(CommandParser app, const std::shared_ptr<Options>& options, const char* what) {
  app.add_option("--out", options->out,
                 std::string("Where to write ") + what + " (default: -, standard output)")
      .type_name("FILE");
}

/// The command's function once the file is known to be named.
std::function<ExitCode()> with_file(const std::shared_ptr<Options>& options, const char* command,
                                    ExitCode (*run)(const Options&)) {
  return [options, command, run] {
    if (options->file.empty())
      throw InputError(
          fmt::format("kvcast trace {} needs a FILE; see kvcast trace {} --help", command, command));
    return run(*options);
  };
}

Command add_stats(CommandParser parent) {
  auto options = std::make_shared<Options>();
  const CommandParser app =
      parent.add_subcommand("stats", "Lengths, arrivals, sessions and shared prefixes of a trace");
  add_file(app, options, "A trace (plain, .gz or .zst), or a YAML file with a workload: section");
  add_trace_options(app, options);
  app.add_flag("--json", options->json, "As one JSON object");
  app.add_flag("--csv", options->csv, "As CSV: a header and one row");
  add_out(app, options, "them");
  return {app, with_file(options, "stats", stats), {}};
}

Command add_fit(CommandParser parent) {
  auto options = std::make_shared<Options>();
  const CommandParser app =
      parent.add_subcommand("fit", "Fit quantile tables and an arrival process; writes a workload: section");
  add_file(app, options, "A trace (plain, .gz or .zst), or a YAML file with a workload: section");
  add_trace_options(app, options);
  app.add_option("--bands", options->bands,
                 "Bands of input lengths, each with its own output lengths (default: 20; 1: independent)")
      .type_name("N");
  app.add_option("--profile-window", options->profile_window,
                 "Fit the rate by windows of this length (default: one rate)")
      .type_name("SECONDS");
  add_out(app, options, "the YAML");
  return {app, with_file(options, "fit", fit), {}};
}

Command add_convert(CommandParser parent) {
  auto options = std::make_shared<Options>();
  const CommandParser app = parent.add_subcommand("convert", "Rewrite a trace as kvcast's own JSON lines");
  add_file(app, options, "A trace (plain, .gz or .zst)");
  add_trace_options(app, options);
  add_out(app, options, "the requests");
  return {app,
          with_file(options, "convert", [](const Options& o) { return write_as_trace(open_trace(o), o); }),
          {}};
}

Command add_generate(CommandParser parent) {
  auto options = std::make_shared<Options>();
  options->file = "default";
  const CommandParser app = parent.add_subcommand(
      "generate", "Write the requests of a scenario's workload: section as kvcast's own JSON lines");
  add_file(app, options,
           "A scenario, what kvcast trace fit wrote, or a built-in scenario (default: default)");
  app.add_option("--set", options->settings,
                 "Change a value, as path=value: --set workload.synthetic.requests=100 (repeatable)")
      .type_name("A.B=C")
      .expected(1)
      .take_all();
  app.add_option("--seed", options->seed, "Seed of all randomness (default: the scenario's, else 1)")
      .type_name("N");
  add_out(app, options, "the requests");
  return {app, [options] { return write_as_trace(open_section(*options), *options); }, {}};
}

}  // namespace

Command add_trace(CommandParser root) {
  const CommandParser app =
      root.add_subcommand("trace", "Look at request traces, fit them, convert them, make them");
  return {app, {}, {add_stats(app), add_fit(app), add_convert(app), add_generate(app), add_trace_cache(app)}};
}

}  // namespace kvcast
