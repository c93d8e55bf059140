/// What-if: runs on the same requests, and how sure one can be that they differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/metrics/forecast.h"
#include "sim/plan/bootstrap.h"
#include "sim/plan/replication.h"

namespace kvcast {

/// Which way is good.
enum class Better : std::uint8_t { lower, higher, neither };

/// One number that runs are compared by.
struct ComparedMetric {
  const char* key;    // as in the result JSON; "kv.usage_peak" below "kv"
  const char* title;  // "p99 TTFT"
  const char* unit;   // "ms", "req/s", ""
  Better better;
  bool sampled;  // it would be another for other requests of the same traffic: it has an interval
};
[[nodiscard]] const std::vector<ComparedMetric>& compared_metrics();
/// \throws check failure for an unknown key
[[nodiscard]] std::size_t metric_index(const std::string& key);

/// A run's numbers, in the order of compared_metrics(). NaN: not known.
struct MeasuredRun {
  std::vector<double> values;
  std::vector<std::vector<double>> replicates;         // by metric; empty where it is not sampled
  Replicating replicating = Replicating::by_outcomes;  // what the replicates are
  Resampled resampled;                                 // where they are by blocks of the traffic
};

/// A run's numbers in the order of compared_metrics(). NaN: not known.
[[nodiscard]] std::vector<double> compared_values(const Forecast& forecast);

/// \param outcomes of the run that `forecast` is of
/// \param stream see resample()
[[nodiscard]] MeasuredRun measure(const Forecast& forecast, const std::vector<RequestOutcome>& outcomes,
                                  const Resampling& resampling, const std::string& stream);

/// The same by runs of other samples of the traffic. \param others compared_values() of each, in an order
/// that is the same for all cells
[[nodiscard]] MeasuredRun measure_by_samples(const Forecast& forecast,
                                             const std::vector<std::vector<double>>& others,
                                             Replicating replicating, const Resampled& resampled = {});

/// One metric of a cell against the baseline's. Where samples of the traffic are independent (by seed) it is
/// the mean over all of them, with the one shown: few independent pairs know their mean much better than any
/// one of them does, and its error is nearly normal even where a single difference is not.
struct Difference {
  double absolute = 0;               // cell - baseline
  double relative = 0;               // of the baseline's value; NaN where that is 0 or unknown
  std::optional<Interval> interval;  // of `absolute`, 90 %; absent for what is not sampled
  std::optional<Interval>
      relative_interval;     // 90 % of cell / baseline - 1; absent likewise, and where the baseline is 0
  double p_value = 1;        // that there is no difference; 1 where there is no interval
  bool significant = false;  // with the false discovery rate of the whole comparison controlled
};

/// One deployment of a comparison.
struct ComparedCell {
  std::string label;    // "kv_cache_dtype=fp8", or the scenario's name
  std::string refusal;  // why it was not run; empty: it was
  std::string verdict;  // of its run, one sentence
  bool slo_met = false;
  Forecast forecast;  // record is null
  std::vector<double> values;
  std::vector<std::optional<Interval>> intervals;  // of the values, 90 %
  std::vector<Difference> differences;             // empty for the baseline and for what was not run
};

struct Comparison {
  static constexpr double kInterval = 0.9;
  static constexpr double kFalseDiscoveryRate = 0.1;

  std::vector<ComparedCell> cells;
  std::size_t baseline = 0;  // the first that was run
  bool paired = true;  // every cell saw the same number of requests, so that they are compared one by one
  bool has_slo = false;
  std::size_t requests = 0;  // of the baseline
  Replicating replicating = Replicating::by_outcomes;
  Resampling resampling;    // by outcomes
  std::size_t samples = 0;  // of the traffic beside the one shown; 0 by outcomes
  TrafficBlocks blocks;     // by blocks of the traffic
  std::uint64_t seed = 0;
  std::string version;
  std::string command;  // shown by the HTML report only
};

/// Fills values and intervals of a cell; differences too where a baseline is given.
void fill(ComparedCell& cell, const MeasuredRun& run, const MeasuredRun* baseline);

/// Marks the significant differences over all cells and sampled metrics (Benjamini & Hochberg).
void mark_significant(Comparison& comparison);

}  // namespace kvcast
