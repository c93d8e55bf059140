/// kvcast trace cache: what its two halves share.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sim/app/trace_workload.h"
#include "sim/base/error.h"

namespace kvcast {

struct CacheOptions : TraceChoice {
  std::string block_size = "16";
  std::vector<std::string> capacity_blocks;
  std::vector<std::string> evictions;  // empty: lru, and belady where there is one
  std::string reuse = "prefix";
  std::string positions;  // "": the model's, else rope
  std::string model;
  std::string recompute = "0.15";
  std::string out = "-";
  bool partial_blocks = false;
  bool json = false;
  bool csv = false;
};

/// "a,b" and "c" as a, b, c.
[[nodiscard]] std::vector<std::string> split_lists(const std::vector<std::string>& lists);
/// The sizes asked for, ascending, each once: "5000" blocks, "5%" of the distinct ones, "inf".
[[nodiscard]] std::vector<std::size_t> capacities_of(const CacheOptions& options, std::size_t distinct);

/// --reuse position-independent.
[[nodiscard]] ExitCode run_position_cache(const CacheOptions& options);

}  // namespace kvcast
