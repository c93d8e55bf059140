/// One kernel at one shape on one device, timed: the {"record": {...}} line of calibration files and
/// benchmark outputs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hwmodels/json_document.h"

namespace kvcast {

/// What n samples of one quantity came to. Only n and the median are always known.
struct SampleSummary {
  std::int64_t n = 0;
  double median = 0;
  std::optional<double> min, p5, q1, q3, p95;
  std::optional<double> mad;  // median of |sample - median|, not scaled
};

/// \returns all of a SampleSummary; quantiles linear between order statistics, as numpy's
/// \param samples at least one
[[nodiscard]] SampleSummary summarize(std::vector<double> samples);

struct MeasurementDevice {
  std::string name;  // a name of kvcast list gpus, "cpu", or what the driver calls it
  std::string uuid;  // empty: unknown
  JsonValue raw;     // the object with all that it says: driver, power limit, memory, ...
};

struct MeasurementRecord {
  std::string op;      // "decode_attention", "gemm", ...
  std::string kernel;  // variant, tile and library; may be empty
  JsonValue shape;     // an object of numbers, strings and booleans
  std::string dtype;
  bool sentinel = false;  // a fixed workload, repeated to tell changes of the device from those of a kernel
  MeasurementDevice device;
  bool imported = false;                // from someone else's table ("source": "imported"), not measured here
  SampleSummary ns;                     // time of one execution
  std::optional<SampleSummary> cycles;  // of the compute clock, for one execution
  std::vector<double> samples_ns;       // may be empty; in the order of measurement
  std::vector<double> samples_cycles;   // the same
  double bytes = 0;                     // moved to and from memory by one execution; 0: unknown
  double flop = 0;                      // 0: unknown
  std::vector<std::pair<std::string, JsonValue>> more;  // clocks, temperatures, ...: kept as they are
  int line = 0;                                         // in its file

  /// "b=64 hkv=8 hq=32": the shape's members in order of name.
  [[nodiscard]] std::string shape_text() const;
  /// Equal for records of the same kernel, shape and dtype: "decode_attention fa3 b=64 hkv=8 hq=32 bf16".
  [[nodiscard]] std::string key() const;
};

/// Reads the object inside "record".
/// \param device_default the file's device (its header's), for records that name none; empty: they must
/// \throws InputError (exit code 4) "name:line:column: key: what": a missing key, another type, a time that
/// is not positive, quantiles out of order
[[nodiscard]] MeasurementRecord read_measurement_record(const JsonValue& object, const std::string& name,
                                                        const std::string& device_default = {});

/// All records of a file of JSON lines: a benchmark's output (records alone) or a calibration, whose header
/// and fits are passed over. \throws InputError (exit code 4) as above, and where a line is none of these
[[nodiscard]] std::vector<MeasurementRecord> parse_measurement_records(std::string_view text,
                                                                       const std::string& name);

/// The record as one line, without its end; reads back equal.
[[nodiscard]] std::string format_measurement_record(const MeasurementRecord& record);

}  // namespace kvcast
