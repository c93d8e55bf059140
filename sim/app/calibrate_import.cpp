// kvcast calibrate import TABLES...: step times from tables of kernel timings.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hwmodels/gpu_spec.h"
#include "hwmodels/kernel_fit.h"
#include "hwmodels/layer_profile.h"
#include "hwmodels/parquet.h"
#include "reports/fit_report.h"
#include "sim/app/calibrate.h"
#include "sim/app/options.h"
#include "sim/app/outputs.h"
#include "sim/app/result_files.h"
#include "sim/base/config.h"
#include "sim/base/file.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"
#include "workloads/lines.h"

namespace kvcast {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> tables;
  std::string out;
  std::string device;
  std::string source;
  std::string seed;
  ResultPaths results;
  std::string command;
};

constexpr std::size_t kParquetBytesMax = std::size_t{1} << 30;

bool is_parquet(const std::string& path) { return path.ends_with(".parquet"); }

bool is_table(const std::string& path) {
  return path.ends_with(".csv") || path.ends_with(".csv.gz") || is_parquet(path);
}

/// The files themselves; of a folder, its tables in order of name.
std::vector<std::string> table_files(const std::vector<std::string>& arguments) {
  std::vector<std::string> files;
  for (const std::string& path : arguments) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    const std::size_t before = files.size();
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      if (is_table(entry.path().string())) files.push_back(entry.path().string());
    }
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
    if (files.size() == before)
      throw InputError(path + ": holds no table (.csv, .csv.gz, .parquet)", ExitCode::bad_data);
  }
  return files;
}

/// \param rows_max 0: all
void read_parquet(const std::string& path, KernelTables& tables, std::int64_t rows_max) {
  const ParquetTable table(path, read_file(path, kParquetBytesMax, ExitCode::bad_data));
  tables.begin_columns(path, table.columns());
  std::int64_t rows = 0;
  table.each([&](const std::vector<std::string_view>& cells, std::int64_t number) {
    tables.row_cells(cells, number);
    return ++rows != rows_max;
  });
  if (rows == 0) throw InputError(path + ": the table has no rows", ExitCode::bad_data);
}

void read_table(const std::string& path, KernelTables& tables) {
  if (is_parquet(path)) return read_parquet(path, tables, 0);
  LineReader reader(file_on_disk(path));
  if (!reader.next())
    throw InputError(path + ":1:1: the file is empty; a table begins with a header", ExitCode::bad_data);
  tables.begin(path, reader.text());
  while (reader.next()) tables.row(reader.text(), reader.number());
}

/// The catalogue's name of a device as its driver names it.
std::string device_named(const std::string& device, const std::string& where) {
  if (const std::optional<GpuSpec> gpu = gpu_of_device(device)) return gpu->name;
  throw InputError(fmt::format("{}: no GPU of the catalogue is known to be {}: name it with --device", where,
                               kvcast::quoted(device)));
}

std::string device_of(const KernelTables& tables, const std::string& where) {
  if (tables.devices().size() > 1)
    throw InputError(
        fmt::format("the tables are of several devices ({}); import them apart", joined(tables.devices())),
        ExitCode::bad_data);
  return device_named(tables.devices().front(), where);
}

/// The GPU as far as it must be known before the tables are read: its SMs.
GpuSpec gpu_before(const Options& options, const std::vector<std::string>& files) {
  if (!options.device.empty()) return find_gpu(options.device, "--device");
  KernelTables first(1);
  if (is_parquet(files.front())) {
    read_parquet(files.front(), first, 1);
    return find_gpu(device_of(first, files.front()), files.front());
  }
  LineReader reader(file_on_disk(files.front()));
  if (reader.next()) first.begin(files.front(), reader.text());
  if (!reader.next()) throw InputError(files.front() + ":2:1: the table has no rows", ExitCode::bad_data);
  first.row(reader.text(), reader.number());
  return find_gpu(device_of(first, files.front()), files.front());
}

std::string duration_range(int decade) {
  if (decade == HoldoutLine::kAllDecades) return "all";
  static const std::vector<std::string> names = {"1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s"};
  const auto at = static_cast<std::size_t>(std::max(decade, 0));
  if (decade < 0) return "below 1 us";
  return at + 1 < names.size() ? names[at] + " to " + names[at + 1] : "above " + names.back();
}

/// What is printed of the fit: the errors on held-out rows. \param out standard output, or standard error
/// where another output goes to standard output
void print_report(const KernelFits& fits, std::FILE* out) {
  fmt::print(out, "{:<26} {:<18} {:>7} {:>9} {:>8} {:>8}\n", "Held-out rows", "measured time", "rows",
             "median %", "p90 %", "p99 %");
  for (const HoldoutLine& line : fits.report) {
    if (line.error.rows == 0) continue;
    fmt::print(out, "{:<26} {:<18} {:>7} {:>9.1f} {:>8.1f} {:>8.1f}\n", line.kernel,
               duration_range(line.decade), line.error.rows, 100 * line.error.median, 100 * line.error.p90,
               100 * line.error.p99);
  }
}

/// The kernel whose held-out rows are off the most, and how the others do.
std::string verdict_of(const KernelFits& fits) {
  const HoldoutLine* best = nullptr;
  const HoldoutLine* worst = nullptr;
  std::size_t rows = 0;
  for (const HoldoutLine& line : fits.report) {
    if (line.decade != HoldoutLine::kAllDecades || line.error.rows == 0) continue;
    rows += line.error.rows;
    if (best == nullptr || line.error.median < best->error.median) best = &line;
    if (worst == nullptr || line.error.median > worst->error.median) worst = &line;
  }
  if (best == nullptr)
    return fmt::format("{} kernels fitted, none of them with rows to spare for a judgement",
                       fits.kernels.size());
  return fmt::format(
      "{} kernel{} fitted; {} held-out rows are off by a median of {:.1f} % ({}) to {:.1f} % ({})",
      fits.kernels.size(), fits.kernels.size() == 1 ? "" : "s", rows, 100 * best->error.median, best->kernel,
      100 * worst->error.median, worst->kernel);
}

FitReport report_of(const Options& options, const KernelFits& fits, const CalibrationHeader& header,
                    const HoldoutOptions& holdout, const std::vector<std::string>& files) {
  FitReport report;
  report.title = "Calibration of " + header.device;
  report.sub = header.source + "; " + header.engine;
  report.verdict = verdict_of(fits);
  report.held_out = fmt::format(
      "{:.0f} % of the rows of each kernel and decade of time were kept from the fit that is judged here; of "
      "\"whole "
      "sites\" all rows of a shape were.",
      100 * holdout.share);
  report.log_errors = true;
  for (const HoldoutLine& line : fits.report)
    report.rows.push_back({line.kernel, duration_range(line.decade),
                           static_cast<std::int64_t>(line.error.rows), line.error.median, line.error.p90,
                           line.error.p99, static_cast<std::int64_t>(line.seen.rows), line.seen.median,
                           line.seen.p90});
  for (const JudgedRow& row : fits.rows)
    report.points.push_back({row.kernel, row.us, row.forecast_us, 0, 0, row.held_out});
  for (const std::string& path : files) report.inputs.push_back({path, file_hash(path)});
  std::sort(report.inputs.begin(), report.inputs.end(),
            [](const InputHash& x, const InputHash& y) { return x.path < y.path; });
  report.seed = fmt::format("{}", holdout.seed);
  report.command = options.command;
  report.version = KVCAST_VERSION;
  return report;
}

std::string report_json(const KernelFits& fits) {
  std::string text;
  for (const HoldoutLine& line : fits.report) {
    if (line.decade != HoldoutLine::kAllDecades) continue;
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", "\"" + line.kernel + "\"",
                        format_holdout(line.error));
  }
  return "{" + text + "}";
}

/// The folders tp1, tp2, ... of a layer profile; empty: the folder is none.
std::map<std::int64_t, fs::path> profile_folders(const std::string& path) {
  std::map<std::int64_t, fs::path> folders;
  std::error_code error;
  if (!fs::is_directory(path, error)) return folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("tp") || !fs::exists(entry.path() / "dense.csv", error)) continue;
    folders[parse_integer(entry.path().string(), name.substr(2), 1, 4096)] = entry.path();
  }
  return folders;
}

/// Profiles of whole layers, as LLMServingSim's profiler writes them: FOLDER/meta.yaml and FOLDER/tpN/*.csv.
ExitCode import_layers(const Options& options, const std::string& folder,
                       const std::map<std::int64_t, fs::path>& sizes) {
  Config meta = Config::from_file((fs::path(folder) / "meta.yaml").string());
  const std::string model = meta.get_string("model");
  const std::string device = meta.get_string("gpu");
  CalibrationHeader header;
  header.kind = "layers";
  header.device = options.device.empty() ? device_named(device, meta.where("gpu"))
                                         : find_gpu(options.device, "--device").name;
  header.engine = "vllm " + meta.get_string("vllm_version");
  header.source = options.source.empty() ? "layer profile of " + model + " on " + device : options.source;
  header.created_by = std::string("kvcast ") + KVCAST_VERSION + " calibrate import";
  OutputFile out(options.out);
  out.write(format_calibration_header(header) + "\n");
  for (const auto& [size, path] : sizes) {
    LayerTables tables(model, size);
    for (const char* table : {"dense", "per_sequence", "attention", "skew"}) {
      const std::string name = (path / (std::string(table) + ".csv")).string();
      std::error_code error;
      if (std::string_view(table) == "skew" && !fs::exists(name, error)) continue;  // some profiles have none
      LineReader reader(file_on_disk(name));
      if (!reader.next()) throw InputError(name + ":1:1: the file is empty", ExitCode::bad_data);
      tables.begin(name, table, reader.text());
      while (reader.next()) tables.row(reader.text(), reader.number());
    }
    const LayerProfile profile = tables.finish();
    out.write(format_layer_profile(profile));
    fmt::print(
        "{} at tensor-parallel size {}: {} layers; attention of up to {} sequences, {} tokens of context, "
        "chunks of {}\n",
        model, size, profile.layers.size(), profile.decode.x.back(), profile.decode.y.back(),
        profile.prefill.x.back());
  }
  out.commit();
  return ExitCode::fine;
}

/// A layer profile is kept as it is: there is no fit whose error could be told.
void refuse_reports(const Options& options) {
  for (const auto& [name, path] : {std::pair{"--json", &options.results.json},
                                   {"--report", &options.results.report},
                                   {"--csv", &options.results.csv},
                                   {"--markdown", &options.results.markdown}}) {
    if (!path->empty())
      throw InputError(std::string(name) +
                       " tells how well a fit does; a layer profile is imported without one");
  }
}

ExitCode import(const Options& options) {
  if (options.tables.empty())
    throw InputError("kvcast calibrate import needs TABLES...; see kvcast calibrate import --help");
  if (options.out.empty()) throw InputError("kvcast calibrate import needs --out FILE");
  if (const auto sizes = profile_folders(options.tables.front()); !sizes.empty()) {
    refuse_reports(options);
    if (options.tables.size() > 1) throw InputError("a layer profile is imported by itself: name one folder");
    return import_layers(options, options.tables.front(), sizes);
  }
  HoldoutOptions holdout;
  if (!options.seed.empty())
    holdout.seed = static_cast<std::uint64_t>(
        parse_integer("--seed", options.seed, 0, std::numeric_limits<std::int64_t>::max()));
  ResultFiles results(options.results, {options.out});
  holdout.judge_seen = results.any();
  const std::vector<std::string> files = table_files(options.tables);
  const GpuSpec gpu = gpu_before(options, files);
  KernelTables tables(gpu.sm_count);
  for (const std::string& path : files) read_table(path, tables);
  if (options.device.empty()) (void)device_of(tables, files.front());
  const KernelFits fits = fit_kernels(tables.samples(), holdout);
  CalibrationHeader header;
  header.kind = "kernels";
  header.device = gpu.name;
  header.engine = joined(tables.engines());
  header.source = options.source.empty() ? "tables of " + joined(tables.devices()) : options.source;
  header.created_by = std::string("kvcast ") + KVCAST_VERSION + " calibrate import";
  OutputFile out(options.out);
  out.write(format_calibration_header(
                header, fmt::format(", \"holdout\": {{\"seed\": {}, \"share\": {}, \"errors\": {}}}",
                                    holdout.seed, holdout.share, report_json(fits))) +
            "\n");
  for (const FittedKernel& kernel : fits.kernels)
    out.write(format_kernel_fit(kernel.fit, format_holdout(kernel.holdout)) + "\n");
  out.commit();
  if (results.any()) results.write(report_of(options, fits, header, holdout, files));
  print_report(fits, results.to_stdout() ? stderr : stdout);
  return ExitCode::fine;
}

}  // namespace

Command add_calibrate_import(CommandParser calibrate, const std::string& command) {
  const CommandParser app =
      calibrate.add_subcommand("import", "Fit a calibration to tables of kernel timings");
  auto options = std::make_shared<Options>();
  options->command = command;
  app.add_option("tables", options->tables,
                 "Tables as NVIDIA's aiconfigurator publishes them, as Parquet or CSV, plain or compressed, "
                 "or folders "
                 "that hold them; or a layer profile of LLMServingSim (the folder of its meta.yaml)")
      .type_name("TABLES...");
  app.add_option("--out", options->out, "The calibration to write").type_name("FILE");
  app.add_option("--device", options->device, "The GPU, by its name in kvcast list gpus").type_name("NAME");
  app.add_option("--source", options->source, "Where the tables come from, for the file's header")
      .type_name("TEXT");
  app.add_option("--seed", options->seed, "Seed of the rows that are held out (default 1)").type_name("N");
  declare_results(app, options->results, "the errors of the fit", "a row for each kernel and decade of time");
  return {app, [options] { return import(*options); }, {}};
}

}  // namespace kvcast
