/// What a calibration measured and how well its fit forecasts: the reports of kvcast calibrate, calibrate
/// import and calibrate steps.
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

/// Errors of a kernel in one decade of time; fractions.
struct FitRow {
  std::string kernel, decade;
  std::int64_t points = 0;  // held out
  double median = 0, p90 = 0, p99 = 0;
  std::int64_t seen_points = 0;  // that the fit was made of; 0: their errors are not known
  double seen_median = 0, seen_p90 = 0;
};

/// One term of a fit that is a sum.
struct FitTerm {
  std::string fit;   // which of several; empty where there is one
  std::string term;  // "decode_context"
  double us = 0;     // for each of it
  double us_error = 0;
};

/// One run of an engine, judged by a fit to all others.
struct FitRun {
  std::string fit, run;
  std::int64_t steps = 0;
  double median = 0, p90 = 0;
  double speed = 0;                          // of the run's machine against the fit's
  double scaled_median = 0, scaled_p90 = 0;  // once that speed is known
};

struct FitReport {
  std::string title;                // "Calibration of cpu"
  std::string sub;                  // the device, the suite
  std::string verdict;              // one sentence
  std::string held_out;             // how the points were chosen that the fit is judged by
  const char* row_name = "Kernel";  // what a row is of
  bool log_errors = false;          // errors are |log(forecast / measured)|, else |forecast / measured - 1|
  std::vector<FitRow> rows;
  std::vector<FitTerm> terms;
  std::vector<FitRun> runs;
  std::vector<FitPoint> points;  // empty: the single measurements were not kept
  std::vector<std::string> notes;
  std::vector<InputHash> inputs;  // in order of path
  std::string seed;               // empty: nothing was drawn
  std::string command;
  std::string version;
};

/// Rows of points by kernel and decade of time, in the order of the points; after a kernel's decades all of
/// them. Errors are |forecast / measured - 1|.
[[nodiscard]] std::vector<FitRow> fit_rows(const std::vector<FitPoint>& points);

/// The hold-out table as text, for a terminal.
[[nodiscard]] std::string hold_out_text(const std::vector<FitRow>& rows);

/// One page below 1 MB: the hold-out table, the roofline with every measured shape, the residuals over time.
[[nodiscard]] std::string to_html(const FitReport& report);
[[nodiscard]] std::string to_json(const FitReport& report);
/// One row for each kernel and decade of time.
[[nodiscard]] std::string to_csv(const FitReport& report);
[[nodiscard]] std::string to_markdown(const FitReport& report);

}  // namespace kvcast
