/// Step times from kvcast's own kernels: fits of what its benchmark measured (`kvcast calibrate`), added up
/// over the operators of a step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hwmodels/calibration_file.h"
#include "hwmodels/measurement_record.h"
#include "hwmodels/model_spec.h"
#include "sim/step_timer.h"

namespace kvcast {

/// Errors |forecast / measured - 1| on points that the fit had not seen.
struct BenchErrors {
  std::int64_t points = 0;
  double median = 0;
  double p90 = 0;
  double p99 = 0;
};

/// One line of a calibration. Two forms:
/// - "curve": the time over the rows of a matrix product of fixed n and k, straight between measured points;
/// - "sum": time = sum of us[i] * term[i], no coefficient negative, so that it never falls as a count rises.
struct BenchFit {
  std::string op;
  std::string variant;  // of the kernel, as in the records
  std::string dtype;
  std::string form;
  std::vector<std::pair<std::string, std::int64_t>>
      constants;                   // what all points have in common: heads, n, k, width
  std::vector<std::string> terms;  // of a sum; of a curve: {"rows"}
  std::vector<double> rows;        // of a curve: where it is known, ascending
  std::vector<double> us;          // microseconds: coefficients of a sum, values of a curve (ascending)
  std::vector<double> us_error;    // one standard error of each coefficient; of a sum
  std::vector<std::pair<double, double>> range;  // smallest and largest of each term that was measured
  double relative_error = 0;                     // one standard error of a time, relative; from the hold-out
  BenchErrors hold_out;

  /// \returns the constant, or 0 where there is none
  [[nodiscard]] std::int64_t constant(std::string_view name) const;
};

/// The terms of an operator's sum, in order: what its time grows with. Empty: no step has such an operator.
[[nodiscard]] std::vector<std::string> bench_terms(std::string_view op);

/// What was held out of one kernel and one decade of time.
struct BenchHoldOutRow {
  std::string op;
  std::string decade;  // "10-100 us"
  BenchErrors errors;
};

/// A point that the picture of the fit shows.
struct BenchPoint {
  std::string op;
  double us = 0;        // measured
  double forecast = 0;  // us, by a fit that had seen the point only where `held_out` is false
  double bytes = 0;
  double flop = 0;
  bool held_out = false;
};

struct BenchCalibration {
  std::vector<BenchFit> fits;
  std::vector<BenchHoldOutRow> hold_out;
  std::vector<BenchPoint> points;
};

/// Fits every kernel of the records. Every seventh point of a kernel in order of time is held out for the
/// errors; the fits that are returned have seen all points. Sentinels and operators that no step has are left
/// out. \param name stands for the records in messages \throws InputError where the records hold several
/// devices
[[nodiscard]] BenchCalibration fit_bench_records(const std::vector<MeasurementRecord>& records,
                                                 const std::string& name);

/// {"fit": {...}}, one line without its end.
[[nodiscard]] std::string format_bench_fit(const BenchFit& fit);

/// Whether a calibration of kind "kernels" holds fits of this form (and not of imported tables).
[[nodiscard]] bool is_bench_calibration(const CalibrationFile& file);

/// \throws InputError (exit code 4) "file:line:column: what" where a fit is malformed
[[nodiscard]] std::vector<BenchFit> parse_bench_fits(const CalibrationFile& file);

/// What an engine adds to the kernels.
struct BenchTimerOptions {
  double host_added_us = 0;  // of each step
  double host_hidden_us =
      0;  // a step takes at least so long: the host's work, where it runs beside the device's
  /// Batch sizes of captured CUDA graphs, ascending: a step of no more tokens than the largest is padded to
  /// the next.
  std::vector<std::int64_t> capture_sizes = {};
  bool pads_prompts = true;  // steps with prompt chunks too; else decode steps alone
};

class BenchTimer : public StepTimer {
 public:
  /// What was not measured as it runs, and how it was taken instead, as sentences.
  [[nodiscard]] virtual const std::vector<std::string>& notes() const = 0;
};

/// Adds the kernels of a step up: embedding; for each layer two norms, the matrix products, append, attention
/// and activation; the last norm, the head and the sampler. Latent attention (MLA) passes its absorbed
/// projections and attends in the latent space; routed experts are one product over the weights of the
/// distinct experts. A matrix product of other n and k than the fits' is taken from the sum over all of them;
/// a kernel over rows of another width by its bytes (bench_sizes.h). \param kv_dtype of the cache, as the
/// records name it 	hrows InputError where a layer is none of these, where the model is split over GPUs,
/// or where the calibration lacks a kernel for the model's shapes, naming the shapes that it has
[[nodiscard]] std::unique_ptr<BenchTimer> make_bench_timer(const std::vector<BenchFit>& fits,
                                                           const ModelSpec& model,
                                                           std::int64_t tensor_parallel_size,
                                                           const std::string& kv_dtype,
                                                           const BenchTimerOptions& options = {});

}  // namespace kvcast
