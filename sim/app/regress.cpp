// kvcast regress BASE NEW: are the kernels slower than the baseline? The rule: sim/regress,
// docs/regression.md.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <regex>

#include "reports/regression.h"
#include "reports/report.h"
#include "sim/app/commands.h"
#include "sim/app/options.h"
#include "sim/app/outputs.h"
#include "sim/app/regress_records.h"
#include "sim/app/regress_run.h"
#include "sim/app/result_files.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

struct Options {
  std::vector<std::string> files;  // BASE NEW
  bool run = false;
  BenchRun bench;
  std::string blocks;
  std::string seed;
  std::vector<std::string> efficiency;  // REGEX=FRACTION
  ResultPaths results;
  std::string junit;
  bool quiet = false;
  std::string command;
};

struct EfficiencyFloor {
  std::regex pattern;
  double fraction = 0;
  std::string text;
  bool matched = false;
};

std::vector<EfficiencyFloor> parse_floors(const std::vector<std::string>& texts) {
  std::vector<EfficiencyFloor> floors;
  for (const std::string& text : texts) {
    const std::size_t equals = text.rfind('=');
    const std::optional<double> fraction =
        equals == std::string::npos ? std::nullopt : parse_real(text.substr(equals + 1));
    if (!fraction || !(*fraction > 0) || *fraction > 1)
      throw InputError("--min-efficiency " + text +
                       ": write it as REGEX=FRACTION with a fraction in (0, 1], for example "
                       "decode_attention.*context_sum=5242880=0.8");
    try {
      floors.push_back({std::regex(text.substr(0, equals)), *fraction, text, false});
    } catch (const std::regex_error& error) {
      throw InputError("--min-efficiency " + text + ": no regular expression: " + error.what());
    }
  }
  return floors;
}

/// Later floors win, so that a general one can come before its exceptions.
void apply_floors(std::vector<EfficiencyFloor> floors, Regression& regression) {
  for (KernelChange& change : regression.kernels) {
    for (EfficiencyFloor& floor : floors) {
      if (!std::regex_search(change.name, floor.pattern)) continue;
      floor.matched = true;
      change.efficiency_min = floor.fraction;
    }
  }
  for (const EfficiencyFloor& floor : floors) {
    if (!floor.matched) throw InputError("--min-efficiency " + floor.text + ": no kernel matches");
  }
}

Regression compare(const TimingSuite& base, const TimingSuite& candidate, bool paired, std::uint64_t seed) {
  RegressionOptions options;
  options.same_device = same_device(base, candidate);
  options.paired = paired;
  options.seed = seed;
  Regression regression = compare_timings(base.kernels, candidate.kernels, options);
  regression.base_name = base.name;
  regression.new_name = candidate.name;
  regression.base_device = base.device;
  regression.new_device = candidate.device;
  if (!options.same_device && base.device == candidate.device) {
    regression.base_device += " " + base.identity;
    regression.new_device += " " + candidate.identity;
  }
  regression.version = KVCAST_VERSION;
  return regression;
}

/// The benchmark that was built with this program lies beside it.
std::string bench_beside_program() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path bench = self.parent_path() / "kvcast-bench";
  if (error || !std::filesystem::exists(bench))
    throw InputError("--new-bench is missing, and there is no kvcast-bench beside kvcast");
  return bench.string();
}

Regression measure_and_compare(const BenchRun& run, bool quiet) {
  const bool show = !quiet && isatty(STDERR_FILENO) != 0;
  const BenchResult result = run_benches(run, [show](std::int64_t done, std::int64_t total) {
    if (show) fmt::print(stderr, "\r{} of {} benchmark runs{}", done, total, done == total ? "\n" : "");
  });
  return compare(result.base, result.candidate, true, run.seed);
}

Regression run_and_compare(const Options& options) {
  BenchRun run = options.bench;
  if (run.base_bench.empty())
    throw InputError("kvcast regress --run needs --base-bench PATH; see kvcast regress --help");
  if (run.new_bench.empty()) run.new_bench = bench_beside_program();
  if (!run.samples.empty()) (void)parse_integer("--samples", run.samples, 1, 10'000);
  if (!options.blocks.empty()) run.blocks = parse_integer("--blocks", options.blocks, kPairsMin, 1000);
  Regression first = measure_and_compare(run, options.quiet);
  if (!first.fails()) return first;
  if (!options.quiet) fmt::print(stderr, "kvcast: {}; measuring once more\n", verdict_of(first));
  run.seed += static_cast<std::uint64_t>(run.blocks);
  return confirmed(std::move(first), measure_and_compare(run, options.quiet));
}

std::uint64_t seed_of(const Options& options) {
  if (options.seed.empty()) return 1;
  return static_cast<std::uint64_t>(parse_integer("--seed", options.seed, 0, std::int64_t{1} << 52));
}

Regression regression_of(const Options& options) {
  if (options.run) {
    if (!options.files.empty()) throw InputError("kvcast regress takes either BASE NEW or --run");
    return run_and_compare(options);
  }
  if (!options.bench.base_bench.empty() || !options.bench.new_bench.empty())
    throw InputError("--base-bench and --new-bench belong to kvcast regress --run");
  if (options.files.size() != 2)
    throw InputError("kvcast regress needs two files, BASE and NEW, or --run; see kvcast regress --help");
  const TimingSuite base = timing_suite(read_records(options.files[0]), options.files[0]);
  const TimingSuite candidate = timing_suite(read_records(options.files[1]), options.files[1]);
  Regression regression = compare(base, candidate, false, seed_of(options));
  regression.base_hash = file_hash(options.files[0]);
  regression.new_hash = file_hash(options.files[1]);
  return regression;
}

ExitCode regress(Options options) {
  options.bench.seed = seed_of(options);
  const std::vector<EfficiencyFloor> floors = parse_floors(options.efficiency);
  ResultFiles files(options.results, {options.junit});
  const std::unique_ptr<OutputFile> junit =
      options.junit.empty() ? nullptr : std::make_unique<OutputFile>(options.junit);
  Regression regression = regression_of(options);
  apply_floors(floors, regression);
  regression.seed = fmt::format("{}", seed_of(options));
  regression.command = options.command;
  files.write(regression);
  if (junit) {
    junit->write(to_junit(regression));
    junit->commit();
  }
  if (!options.quiet && !files.to_stdout()) fmt::print("{}", to_table(regression, color_wanted(stdout)));
  return regression.fails() ? ExitCode::gate_not_met : ExitCode::fine;
}

}  // namespace

Command add_regress(CommandParser root, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->command = command;
  const CommandParser app = root.add_subcommand(
      "regress", "Are the kernels slower than before? Compares two files of timings, or two benchmarks");
  app.add_option("files", options->files,
                 "BASE and NEW: calibrations or outputs of kvcast-bench, plain or compressed")
      .type_name("BASE NEW")
      .expected(0, 2);
  app.add_flag("--run", options->run, "Measure two benchmark executables now, side by side (A-B-B-A)");
  app.add_option("--base-bench", options->bench.base_bench, "With --run: the kvcast-bench to compare with")
      .type_name("PATH");
  app.add_option("--new-bench", options->bench.new_bench,
                 "With --run: the kvcast-bench to judge (default: the one beside kvcast)")
      .type_name("PATH");
  app.add_option("--device", options->bench.device, "With --run: cpu or cuda (default: cuda)")
      .type_name("NAME");
  app.add_option("--suite", options->bench.suite, "With --run: quick or full (default: quick)")
      .type_name("NAME");
  app.add_option("--only", options->bench.only, "With --run: kernels whose record matches")
      .type_name("REGEX");
  app.add_option("--samples", options->bench.samples, "With --run: samples of each kernel in one block")
      .type_name("N");
  app.add_option("--blocks", options->blocks, "With --run: blocks of each side, at least 10 (default: 20)")
      .type_name("N");
  app.add_option("--seed", options->seed, "Seed of the bootstrap, and of the benchmarks' orders (default: 1)")
      .type_name("N");
  app.add_option("--min-efficiency", options->efficiency,
                 "Fail too where a kernel reaches less than this part of the data sheet's bound (repeatable)")
      .type_name("REGEX=FRACTION")
      .expected(1)
      .take_all();
  declare_results(app, options->results, "the result", "a row for each kernel");
  app.add_option("--junit", options->junit, "Write JUnit XML for a CI server (-: standard output)")
      .type_name("FILE");
  app.add_flag("--quiet", options->quiet,
               "No table, no messages: only the files asked for and the exit code");
  app.footer("Exit code 1: a kernel is slower, or below the efficiency asked for. See docs/regression.md.");
  return {app, [options] { return regress(*options); }, {}};
}

}  // namespace kvcast
