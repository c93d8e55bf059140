/// A small statistical model of a trace: `kvcast trace fit`.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <vector>

#include "workloads/quantile_table.h"
#include "workloads/workload.h"

namespace kvcast {

struct FitOptions {
  std::size_t bands = 20;    // of inputs, each with its own output table; 1: outputs independent of inputs
  std::size_t points = 201;  // quantiles of the input, and of the output where there is one band
  std::size_t band_points = 41;  // quantiles of the output in a band
  double profile_window_s = 0;   // arrivals by windows of this length; 0: one rate
};

/// Parameters of a synthetic workload, and how far its distribution functions are from the trace's at most
/// (Kolmogorov-Smirnov).
struct WorkloadFit {
  std::int64_t requests = 0;
  double duration_s = 0;
  double rate = 0;  // 0: all requests came at once
  double cv = 0;    // of the gaps; with a profile: of the gaps in units of the expected number of requests
  std::vector<double> rates;  // the profile; empty: none
  double window_s = 0;
  QuantileTable input;
  std::vector<QuantileTable> outputs;  // by band of the input
  double distance_input = 0;
  double distance_output = 0;
  double distance_gaps = 0;     // of gamma gaps
  double distance_poisson = 0;  // of exponential gaps of the same mean
};

/// Reads the workload's stream two or three times, in constant memory.
/// \throws InputError (bad_data) if it has no request
[[nodiscard]] WorkloadFit fit_workload(const WorkloadSetup& setup, const FitOptions& options);

/// A `workload:` section in YAML that `kvcast simulate` reads, with the source, its credit and the distances
/// as comments.
void write_fit(const WorkloadFit& fit, const WorkloadSetup& setup, std::ostream& out);

}  // namespace kvcast
