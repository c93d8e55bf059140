/// Whole engine steps by regression: the time of a step as a sum of terms in the counts of its StepShape,
/// each with a coefficient that was fitted to the step log of a real engine (hwmodels/step_fit.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hwmodels/calibration_file.h"
#include "sim/step_timer.h"

namespace kvcast {

/// One count of a step that a term is proportional to.
enum class StepCount : std::uint8_t {
  one,  // each step
  tokens,
  tokens_over,  // max(0, tokens - knee): beyond some width GEMMs stop being bound by their weights
  sampled,
  decode_seqs,
  decode_context,
  prefill_seqs,
  prefill_context,
  prefill_pairs,
};
[[nodiscard]] std::string_view to_string(StepCount count);

struct StepTerm {
  StepCount count = StepCount::one;
  std::int64_t knee = 0;  // of tokens_over, tokens
  double us = 0;          // microseconds for each of the count, 0 or more
  double us_error = 0;    // one standard error
};

/// The smallest and largest of a count in the steps of the log.
struct StepRange {
  StepCount count = StepCount::one;
  std::int64_t min = 0;
  std::int64_t max = 0;
};

/// Error on steps that the fit has not seen, of one kind of step.
struct StepErrors {
  std::string regime;  // "decode", "mixed", "prefill", "1-10 ms", ...
  std::int64_t steps = 0;
  double median = 0;  // of |forecast / measured - 1|
  double p90 = 0;
  double bias = 0;  // median of forecast / measured - 1
};

/// A fitted step: time = sum of the terms. Never falls when a count rises, since no coefficient is negative,
/// and is affine in the context sum of a decode step.
struct StepModel {
  std::string name;  // of the fit inside its file: model and tensor-parallel size where the log says them
  std::vector<StepTerm> terms;
  std::vector<double> covariance;  // of the coefficients, us^2, row by row; empty: not known
  double drift = 0;                // relative spread of the machine's own speed over the log, one sigma
  /// The same of the other steps while the speed of single-sequence decode steps is known (speed_against()).
  double drift_apart = 0;
  std::vector<StepRange> ranges;
  std::vector<StepErrors> errors;
  std::int64_t steps = 0;  // that it was fitted to
};

/// The count of a shape that a term is proportional to.
[[nodiscard]] std::int64_t count_of(const StepShape& shape, StepCount count, std::int64_t knee = 0);

/// Microseconds.
[[nodiscard]] double step_us(const StepModel& model, const StepShape& shape);

/// Contract: a StepTimer that knows which of the steps it was asked for lie outside its log.
class FittedStepTimer : public StepTimer {
 public:
  /// "3.1 % of the step compositions ... lie outside the log (decode_seqs up to 64, in the log 1 to 8)";
  /// empty: none. Of all calls so far, whatever their order and thread.
  [[nodiscard]] virtual std::string unseen() const = 0;
};

/// The timer of a fitted step, coefficients rounded to 2^-20 ns; bytes and FLOP are 0, since a step log does
/// not say them.
[[nodiscard]] std::unique_ptr<FittedStepTimer> make_step_timer(const StepModel& model);

/// {"fit": {...}}, one line without its end.
[[nodiscard]] std::string format_step_model(const StepModel& model);

/// The fits of a calibration of kind "steps", in the file's order.
/// \throws InputError (bad_data) "file:line:column: what" where a line is none
[[nodiscard]] std::vector<StepModel> parse_step_models(const CalibrationFile& file);

/// The fit of that name; of a file with one fit, that one where `name` is empty.
/// \param where stands before the message
/// \throws InputError naming the fits of the file
[[nodiscard]] StepModel pick_step_model(const CalibrationFile& file, const std::string& name,
                                        const std::string& where);

}  // namespace kvcast
