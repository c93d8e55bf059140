/// From measurement records to the timings that sim/regress compares.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/measurement_record.h"
#include "sim/regress/regression.h"

namespace kvcast {

/// One side of a comparison.
struct TimingSuite {
  std::string name;      // file, or what was run
  std::string device;    // as the records name it
  std::string identity;  // its UUID, else its model; empty: unknown
  std::vector<KernelTiming> kernels;
};

/// Records of the same kernel, shape and dtype become blocks of one timing, in their order. A kernel is
/// compute-bound where its FLOP per byte lie beyond the device's ridge (its catalogue entry, by dtype; 100
/// for a device that is in no catalogue). \throws InputError (exit code 4) where there is no record, or
/// records are of more than one device
[[nodiscard]] TimingSuite timing_suite(const std::vector<MeasurementRecord>& records,
                                       const std::string& name);

/// Reads a calibration or a benchmark's output, plain or compressed.
/// \throws InputError (exit code 4)
[[nodiscard]] std::vector<MeasurementRecord> read_records(const std::string& path);

/// By name, and by UUID or model where both sides tell it.
[[nodiscard]] bool same_device(const TimingSuite& base, const TimingSuite& candidate);

}  // namespace kvcast
