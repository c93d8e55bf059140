// kvcast calibrate: times kvcast's own kernels on this machine, fits them, and says how far the fit can be
// trusted.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "hwmodels/bench_facts.h"
#include "hwmodels/bench_model.h"
#include "hwmodels/gpu_spec.h"
#include "kernels/bench/bench.h"
#include "reports/fit_report.h"
#include "sim/app/calibrate.h"
#include "sim/app/options.h"
#include "sim/app/outputs.h"
#include "sim/app/result_files.h"
#include "sim/base/file.h"
#include "sim/base/hash.h"

namespace kvcast {
namespace {

constexpr std::size_t kBytesMax = std::size_t{1} << 30;

struct Options {
  std::string device = "cuda";
  bool quick = false;
  std::string out, from;
  ResultPaths results;
  std::string command;
  std::string seed, threads, steps;
  bool resume = false;
  std::string progress = "auto";
};

struct Numbers {
  std::uint64_t seed = 1;
  int threads = 1;
  int steps = 0;
};

Numbers read_numbers(const Options& options) {
  Numbers numbers;
  if (!options.seed.empty())
    numbers.seed =
        static_cast<std::uint64_t>(parse_integer("--seed", options.seed, 0, std::int64_t{1} << 53));
  if (!options.threads.empty())
    numbers.threads = static_cast<int>(parse_integer("--threads", options.threads, 1, 1024));
  if (!options.steps.empty())
    numbers.steps = static_cast<int>(parse_integer("--steps", options.steps, 1, 100'000));
  return numbers;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

/// The lines of a file that are records.
std::vector<std::string> record_lines(const std::string& path) {
  std::vector<std::string> lines = lines_of(read_file(path, kBytesMax, ExitCode::bad_data));
  std::erase_if(lines, [](const std::string& line) { return line.rfind("{\"record\"", 0) != 0; });
  return lines;
}

/// Runs the benchmark. Records go to OUT.partial as they come, from which --resume goes on.
std::vector<std::string> measure(const Options& options, const Numbers& numbers) {
  const std::string partial = options.out + ".partial";
  std::vector<std::string> lines;
  std::error_code error;
  if (options.resume && std::filesystem::exists(partial, error)) lines = record_lines(partial);
  const std::unique_ptr<bench::Device> device =
      bench::make_device(options.device, numbers.threads, numbers.seed);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(partial.c_str(), options.resume ? "a" : "w"), &std::fclose);
  if (file == nullptr) throw InputError(partial + ": cannot be written");
  bench::BenchOptions bench;
  bench.suite = options.quick ? bench::Suite::quick : bench::Suite::full;
  bench.seed = numbers.seed;
  const std::vector<std::string> finished = lines;
  const std::size_t cases = device->suite(bench.suite).size();
  const auto total = static_cast<std::int64_t>(cases - std::min(finished.size(), cases));
  Progress progress(parse_progress(options.progress), total, "kernels");
  std::int64_t skipped = 0;
  run_bench(
      *device, bench, finished,
      [&](const std::string& line, bench::BenchProgress done) {
        std::fprintf(file.get(), "%s\n", line.c_str());
        std::fflush(file.get());
        lines.push_back(line);
        progress.update(static_cast<std::int64_t>(done.done));
      },
      [&skipped](const std::string&) { ++skipped; });
  progress.clear();
  if (skipped > 0) fmt::print(stderr, "{} shapes do not fit this device and were left out\n", skipped);
  return lines;
}

StepShape shape_of(const bench::TimedStep& step) {
  StepShape shape;
  for (const bench::Scheduled& part : step.scheduled) {
    shape.tokens += part.tokens;
    if (part.samples) ++shape.sampled;
    if (part.tokens == 1 && part.computed > 0) {
      ++shape.decode_seqs;
      shape.decode_context += part.computed + 1;
    } else {
      ++shape.prefill_seqs;
      shape.prefill_context += part.computed + part.tokens;
      shape.prefill_pairs += part.tokens * part.computed + part.tokens * (part.tokens + 1) / 2;
    }
  }
  return shape;
}

double quantile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  const double at = fraction * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

/// Whole steps of the small model, run here and now, beside their forecasts.
struct StepsCheck {
  std::size_t steps = 0;
  double median = 0, p90 = 0, bias = 0;  // of forecast / measured - 1
};

StepsCheck check_steps(const std::vector<BenchFit>& fits, const Numbers& numbers) {
  bench::StepsOptions options;
  options.steps = numbers.steps;
  options.threads = numbers.threads;
  options.seed = numbers.seed;
  ModelSpec model = parse_model(bench::small_model_config({}), "the small model");
  set_dtype(model, "float32");
  const std::unique_ptr<StepTimer> timer = make_bench_timer(fits, model, 1, model.dtype);
  std::vector<double> errors, sizes;
  for (const bench::TimedStep& step : bench::time_steps(options).steps) {
    const double forecast =
        static_cast<double>(timer->step(shape_of(step)).time.count()) / (1e3 * (1 << kFineBits));
    errors.push_back(forecast / step.us - 1);
    sizes.push_back(std::abs(errors.back()));
  }
  return {errors.size(), quantile(sizes, 0.5), quantile(sizes, 0.9), quantile(errors, 0.5)};
}

std::string sentence(const StepsCheck& check) {
  return fmt::format(
      "{} random steps of a small model, run on the same device: median |error| {:.1f} %, p90 {:.1f} %, "
      "median error "
      "{:+.1f} %",
      check.steps, 100 * check.median, 100 * check.p90, 100 * check.bias);
}

CalibrationHeader header_of(const std::vector<MeasurementRecord>& records, const Options& options) {
  CalibrationHeader header;
  header.kind = "kernels";
  const std::string& device = records.front().device.name;
  const std::optional<GpuSpec> gpu = gpu_of_device(device);
  header.device = gpu ? gpu->name : device;  // a GPU of no catalogue entry keeps its driver's name
  header.source = "kernels of kvcast, timed on this device";
  header.created_by = fmt::format("kvcast {} calibrate{}{}", KVCAST_VERSION,
                                  options.from.empty() ? " --device " + options.device : " --from",
                                  options.quick ? " --quick" : "");
  return header;
}

std::vector<FitRow> rows_of(const BenchCalibration& calibration) {
  std::vector<FitRow> rows;
  for (const BenchHoldOutRow& row : calibration.hold_out) {
    if (row.errors.points > 0)
      rows.push_back(
          {row.op, row.decade, row.errors.points, row.errors.median, row.errors.p90, row.errors.p99});
  }
  return rows;
}

FitReport report_of(const Options& options, const Numbers& numbers, const CalibrationHeader& header,
                    const BenchCalibration& calibration, const std::vector<BenchFact>& facts,
                    const std::string& verdict) {
  FitReport report;
  report.title = "Calibration of " + header.device;
  report.sub = header.source + "; " + header.created_by;
  report.verdict = verdict;
  report.held_out = "A seventh of the shapes of each kernel was kept from the fit that is judged here.";
  report.version = KVCAST_VERSION;
  report.rows = rows_of(calibration);
  for (const BenchFact& fact : facts) report.notes.push_back(fact.text);
  for (const BenchPoint& point : calibration.points)
    report.points.push_back({point.op, point.us, point.forecast, point.bytes, point.flop, point.held_out});
  report.command = options.command;
  // Records that were read are an input; records that were measured just now are in the calibration itself.
  if (options.from.empty() || numbers.steps > 0) report.seed = fmt::format("{}", numbers.seed);
  const std::string& records = options.from.empty() ? options.out : options.from;
  std::error_code error;
  if (std::filesystem::is_regular_file(records, error))
    report.inputs.push_back({records, file_hash(records)});
  return report;
}

void write_calibration(const Options& options, const CalibrationHeader& header, const std::string& extra,
                       const BenchCalibration& calibration, const std::vector<std::string>& records) {
  OutputFile file(options.out);
  file.write(format_calibration_header(header, ", \"suite\": \"kvcast-bench\"" + extra) + "\n");
  for (const BenchFit& fit : calibration.fits) file.write(format_bench_fit(fit) + "\n");
  for (const std::string& line : records) file.write(line + "\n");
  file.commit();
}

ExitCode calibrate(const Options& options) {
  if (options.out.empty()) throw InputError("kvcast calibrate needs --out FILE; see kvcast calibrate --help");
  const Numbers numbers = read_numbers(options);
  ResultFiles results(options.results, {options.out});
  if (numbers.steps > 0 && options.device != "cpu")
    throw InputError("--steps judges the fit by steps that the CPU backend runs; it needs --device cpu");
  std::vector<std::string> lines;
  try {
    lines = options.from.empty() ? measure(options, numbers) : record_lines(options.from);
  } catch (const bench::BenchError& error) {
    throw InputError(error.what());
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  const std::string name = options.from.empty() ? "the benchmark's records" : options.from;
  const std::vector<MeasurementRecord> records = parse_measurement_records(text, name);
  const BenchCalibration calibration = fit_bench_records(records, name);
  if (calibration.fits.empty())
    throw InputError(name + ": hold no kernel of a step with enough shapes to fit", ExitCode::bad_data);

  const CalibrationHeader header = header_of(records, options);
  const std::vector<BenchFact> facts = bench_facts(records);
  std::string extra = ", \"device_measured\": " + format_bench_facts(facts),
              verdict =
                  fmt::format("{} kernels fitted to {} records", calibration.fits.size(), records.size());
  if (numbers.steps > 0) {
    const StepsCheck check = check_steps(calibration.fits, numbers);
    verdict = sentence(check);
    extra += fmt::format(
        ", \"steps_check\": {{\"steps\": {}, \"median\": {:.4f}, \"p90\": {:.4f}, \"bias\": {:.4f}}}",
        check.steps, check.median, check.p90, check.bias);
  }
  write_calibration(options, header, extra, calibration, lines);
  if (results.any()) results.write(report_of(options, numbers, header, calibration, facts, verdict));
  if (options.from.empty()) std::filesystem::remove(options.out + ".partial");
  std::FILE* to = results.to_stdout() ? stderr : stdout;
  for (const BenchFact& fact : facts) fmt::print(to, "{}\n", fact.text);
  fmt::print(to, "\n{}\n{}\n", hold_out_text(rows_of(calibration)), verdict);
  return ExitCode::fine;
}

}  // namespace

Command add_calibrate_run(CommandParser calibrate_app, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->command = command;
  const CommandParser app = calibrate_app;
  app.add_option("--device", options->device,
                 "cuda (this machine's GPU, the default) or cpu (the CPU backend)")
      .type_name("NAME");
  app.add_flag("--quick", options->quick, "Fewer shapes and samples: under a minute");
  app.add_option("--out", options->out, "The calibration to write").type_name("FILE");
  declare_results(app, options->results, "the errors of the fit", "a row for each kernel and decade of time");
  app.add_option("--from", options->from, "Fit the records of this file instead of measuring")
      .type_name("FILE");
  app.add_flag("--resume", options->resume,
               "Keep what an interrupted run left in FILE.partial, measure the rest");
  app.add_option("--steps", options->steps,
                 "Judge the fit by so many steps of a small model, run here (cpu only)")
      .type_name("N");
  app.add_option("--seed", options->seed, "Of the order, the data and the steps (default 1)").type_name("N");
  app.add_option("--threads", options->threads, "Of the CPU backend (default 1)").type_name("N");
  app.add_option("--progress", options->progress, "auto, on or off").type_name("MODE");
  return {app, [options] { return calibrate(*options); }, {}};
}

}  // namespace kvcast
