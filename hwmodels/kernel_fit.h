/// Fits kernel forms and their residuals to tables of timings, and says how well they predict rows that were
/// kept aside.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/kernel_tables.h"

namespace kvcast {

/// Errors |log(forecast / measured)| of held-out rows.
struct HoldoutError {
  std::size_t rows = 0;
  double median = 0, p90 = 0, p99 = 0;
};

/// One line of the report: all classes of one kind of kernel in one decade of time.
struct HoldoutLine {
  std::string kernel;  // "gemm", "gemm, whole sites", ...
  int decade = 0;      // of microseconds: 1 is 10 to 100 us; kAllDecades: all
  HoldoutError error;
  HoldoutError seen;  // of the rows that the fit was made of, where HoldoutOptions::judge_seen

  static constexpr int kAllDecades = -100;
};

struct FittedKernel {
  KernelFit fit;
  HoldoutError holdout;
};

/// One row beside its forecast.
struct JudgedRow {
  std::string kernel;  // as HoldoutLine has it
  double us = 0;       // measured
  double forecast_us = 0;
  bool held_out = false;
};

struct KernelFits {
  std::vector<FittedKernel> kernels;  // in the order of the tables
  std::vector<HoldoutLine> report;
  std::vector<JudgedRow> rows;  // where HoldoutOptions::judge_seen
};

struct HoldoutOptions {
  std::uint64_t seed = 1;
  double share = 0.15;      // of the rows of each class and decade of time
  bool judge_seen = false;  // also say how well the fit gives the rows that it was made of
};

/// Fits every class to the rows that are not held out. The rows held out are drawn by class and decade of
/// time. Where the residual is in curves, "whole sites" are held out besides, in a fit of their own: a share
/// of the sites is then judged by the others.
[[nodiscard]] KernelFits fit_kernels(const std::vector<KernelSamples>& samples,
                                     const HoldoutOptions& options);

/// {"rows": 120, "median": 0.03, "p90": 0.1, "p99": 0.2}
[[nodiscard]] std::string format_holdout(const HoldoutError& error);

}  // namespace kvcast
