/// The loads whose intervals are checked: a deployment and its traffic, from which as many samples can be
/// drawn as anybody wants, so that what the intervals should hold is known.
#pragma once

#include <string>
#include <vector>

#include "sim/app/plan_runs.h"

namespace kvcast::coverage {

struct Load {
  std::string name;
  std::string what;               // one line for the table
  std::vector<Setting> settings;  // of the built-in scenario common-load; no seed, no SLO
  std::vector<Setting> other;     // of the cell that compare sets against it
  bool kept_aside = false;        // never looked at while the estimators were made
};

[[nodiscard]] const std::vector<Load>& loads();

/// Limits of p99 TTFT and p99 TPOT, milliseconds.
struct Limits {
  double ttft_ms = 1000;
  double tpot_ms = 100;
};

/// One sample of a load as `kvcast plan` has it. \param trace a file that holds the sample, which is then all
/// that the bench knows of the traffic; empty: the synthetic traffic itself
[[nodiscard]] PlanBench bench_of(const Load& load, std::uint64_t seed, const Limits& limits,
                                 const std::string& trace = {});

/// The only design of such a bench.
[[nodiscard]] Design design_of(const PlanBench& bench);

/// The numbers whose coverage is counted: those of a plan that have a truth in every load.
using Figure = PlanFigureKind;
[[nodiscard]] const std::vector<Figure>& figures();

/// The larger of value / limit of p99 TTFT and p99 TPOT.
[[nodiscard]] double strain_of(const Metrics& metrics, const Limits& limits);

}  // namespace kvcast::coverage
