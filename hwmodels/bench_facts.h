/// What a device can do at most, from the records of kvcast-bench: sustained bandwidths, rates, launches,
/// copies, overlap.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/measurement_record.h"

namespace kvcast {

struct BenchFact {
  std::string key;  // "memory_read_gb_per_s", a member of the calibration's header
  double value = 0;
  std::string text;  // "memory read: 3,012 GB/s"
};

/// In a fixed order; without what the records do not tell. An overlap is the time of both at once over the
/// time of the longer one alone: 1 is perfect.
[[nodiscard]] std::vector<BenchFact> bench_facts(const std::vector<MeasurementRecord>& records);

/// {"memory_read_gb_per_s": 3012, ...}
[[nodiscard]] std::string format_bench_facts(const std::vector<BenchFact>& facts);

}  // namespace kvcast
