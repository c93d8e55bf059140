/// Two benchmark executables, measured side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/app/regress_records.h"

namespace kvcast {

struct BenchRun {
  std::string base_bench, new_bench;  // executables with kvcast-bench's options
  std::string device = "cuda";        // or "cpu"
  std::string suite = "quick";
  std::string only;     // a regular expression; empty: all kernels
  std::string samples;  // of each kernel in one block; empty: the benchmark's own number
  std::int64_t blocks = 20;
  std::uint64_t seed = 1;
};

struct BenchResult {
  TimingSuite base, candidate;  // block i of both ran next to each other
};

/// Runs base, new, new, base, base, new, ... so that a drift of the device falls on both alike; both get the
/// same options and, in each block, the same seed. \param progress is told of every finished process: done,
/// total \throws InputError (exit code 4) where a benchmark cannot be started, fails, or writes no records
[[nodiscard]] BenchResult run_benches(const BenchRun& run,
                                      const std::function<void(std::int64_t, std::int64_t)>& progress);

/// What a process wrote to its standard output; its standard error is ours.
/// \throws InputError (exit code 4) where it cannot be started or does not end with exit code 0
[[nodiscard]] std::string output_of(const std::vector<std::string>& command);

}  // namespace kvcast
