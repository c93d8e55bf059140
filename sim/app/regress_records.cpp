#include "sim/app/regress_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "hwmodels/gpu_spec.h"
#include "sim/base/error.h"
#include "workloads/bytes.h"

namespace kvcast {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1} << 30;
constexpr double kRidgeUnknown = 100;  // FLOP per byte; data centre GPUs lie at 100 to 300 in bf16

/// What tells one device of a name from another: the UUID of a GPU, the model of a CPU.
std::string identity_of(const MeasurementDevice& device) {
  if (!device.uuid.empty()) return device.uuid;
  const JsonValue* model = device.raw.find("model");
  return model != nullptr && model->type == JsonValue::Type::string ? model->text : std::string();
}

/// A record's dtype as the catalogue spells rates; others run at bf16's.
std::string rate_dtype(const std::string& dtype) {
  constexpr std::pair<std::string_view, const char*> kSpellings[] = {
      {"float32", "fp32"}, {"fp32", "fp32"}, {"tf32", "tf32"}, {"float16", "fp16"}, {"fp16", "fp16"},
      {"fp8", "fp8"},      {"int8", "int8"}, {"e4m3", "fp8"},  {"e5m2", "fp8"},     {"fp8_e4m3", "fp8"},
      {"fp8_e5m2", "fp8"}, {"fp4", "fp4"},   {"nvfp4", "fp4"}};
  for (const auto& [spelling, name] : kSpellings) {
    if (dtype == spelling) return name;
  }
  return "bf16";
}

/// Attention computes in the dtype of queries and keys, whatever the cache holds.
double flop_rate(const GpuSpec& gpu, const MeasurementRecord& record) {
  const bool attention = record.op.find("attention") != std::string::npos;
  return gpu.flop_per_s(attention ? "bf16" : rate_dtype(record.dtype));
}

TimingBlock block_of(const SampleSummary& summary, const std::vector<double>& samples) {
  TimingBlock block;
  block.samples = samples;
  block.n = samples.empty() ? summary.n : static_cast<std::int64_t>(samples.size());
  block.median = samples.empty() ? summary.median : median(samples);
  // Of a normal population: 1.4826 MAD, or the quartiles' distance over 1.349.
  if (!samples.empty()) {
    block.deviation = robust_deviation(samples);
  } else if (summary.mad) {
    block.deviation = 1.4826 * *summary.mad;
  } else if (summary.q1 && summary.q3) {
    block.deviation = (*summary.q3 - *summary.q1) / 1.349;
  }
  return block;
}

/// Cycles were often kept as a summary beside samples of time; then each sample is turned into cycles at the
/// median clock, which keeps the samples' spread and takes the clock of the run out.
TimingBlock cycles_of(const MeasurementRecord& record) {
  if (!record.samples_cycles.empty() || record.samples_ns.empty())
    return block_of(*record.cycles, record.samples_cycles);
  const double clock = record.cycles->median / record.ns.median;
  std::vector<double> samples = record.samples_ns;
  for (double& sample : samples) sample *= clock;
  return block_of(*record.cycles, samples);
}

void describe(KernelTiming& timing, const MeasurementRecord& record, const std::optional<GpuSpec>& gpu) {
  timing.name = record.key();
  timing.sentinel = record.sentinel;
  const double ridge = gpu ? flop_rate(*gpu, record) / gpu->bytes_per_s() : kRidgeUnknown;
  timing.compute_bound = record.flop > 0 && record.flop > ridge * record.bytes;
  if (gpu && (record.flop > 0 || record.bytes > 0))
    timing.bound_ns =
        1e9 * std::max(record.flop / flop_rate(*gpu, record), record.bytes / gpu->bytes_per_s());
}

}  // namespace

TimingSuite timing_suite(const std::vector<MeasurementRecord>& records, const std::string& name) {
  if (records.empty())
    throw InputError(name + ":1:1: the file holds no measurement: regress compares lines {\"record\": {...}}",
                     ExitCode::bad_data);
  TimingSuite suite;
  suite.name = name;
  suite.device = records.front().device.name;
  suite.identity = identity_of(records.front().device);
  const std::optional<GpuSpec> gpu = gpu_of_device(suite.device);
  std::map<std::string, std::size_t> index;
  for (const MeasurementRecord& record : records) {
    if (record.device.name != suite.device || identity_of(record.device) != suite.identity)
      throw InputError(fmt::format("{}:{}:1: a record of {} {} in a file of {} {}: one file is of one device",
                                   name, record.line, record.device.name, identity_of(record.device),
                                   suite.device, suite.identity),
                       ExitCode::bad_data);
    const auto [at, added] = index.emplace(record.key(), suite.kernels.size());
    if (added) {
      suite.kernels.emplace_back();
      describe(suite.kernels.back(), record, gpu);
    }
    KernelTiming& timing = suite.kernels[at->second];
    timing.sentinel = timing.sentinel || record.sentinel;
    timing.ns.push_back(block_of(record.ns, record.samples_ns));
    if (record.cycles) timing.cycles.push_back(cycles_of(record));
  }
  for (KernelTiming& timing : suite.kernels) {
    if (timing.cycles.size() != timing.ns.size()) timing.cycles.clear();
  }
  return suite;
}

std::vector<MeasurementRecord> read_records(const std::string& path) {
  return parse_measurement_records(content_of(file_on_disk(path), kFileBytesMax), path);
}

bool same_device(const TimingSuite& base, const TimingSuite& candidate) {
  const bool told = !base.identity.empty() && !candidate.identity.empty();
  return base.device == candidate.device && (!told || base.identity == candidate.identity);
}

}  // namespace kvcast
