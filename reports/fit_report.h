/// What a calibration measured and how well its fit forecasts: the HTML report of kvcast calibrate.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/metrics/forecast.h"

namespace kvcast {

/// One measured shape of one kernel.
struct FitPoint {
  std::string kernel;
  double us = 0;        // measured
  double forecast = 0;  // us
  double bytes = 0;     // 0: unknown
  double flop = 0;
  bool held_out = false;
};

/// Errors of held-out points of a kernel in one decade of time; fractions.
struct FitRow {
  std::string kernel, decade;
  std::int64_t points = 0;
  double median = 0, p90 = 0, p99 = 0;
};

struct FitReport {
  std::string title;     // "Calibration of cpu"
  std::string sub;       // the device, the suite
  std::string verdict;   // one sentence
  std::string held_out;  // how the points were chosen that the fit is judged by
  std::vector<FitRow> rows;
  std::vector<FitPoint> points;  // empty: the single measurements were not kept
  std::vector<std::string> notes;
  std::vector<InputHash> inputs;
  std::string seed;
  std::string command;
  std::string version;
};

/// The hold-out table as text, for a terminal.
[[nodiscard]] std::string hold_out_text(const std::vector<FitRow>& rows);

/// One page below 1 MB: the hold-out table, the roofline with every measured shape, the residuals over time.
[[nodiscard]] std::string to_html(const FitReport& report);

}  // namespace kvcast
