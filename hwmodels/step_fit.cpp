#include "hwmodels/step_fit.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::size_t kStretchSteps = 50;  // long enough for a median, short against the drift of a machine
constexpr double kDriftMin = 0.02;         // stretches that differ less are taken as one speed
constexpr double kErrorFloor = 0.01;    // relative errors below it count alike, so that weights stay bounded
constexpr double kRidge = 1e-9;         // of a normalised column: settles what two equal columns share
constexpr std::size_t kApartSteps = 3;  // of each kind, for a stretch to tell how they move apart
constexpr std::size_t kApartStretches = 8;  // fewer say nothing of a spread
constexpr double kForecastMin = 1e-3;       // microseconds: keeps weights finite
constexpr double kSkewMax = 2;
constexpr int kReweightings = 40;
constexpr int kSpeedRounds = 6;
constexpr int kJackknifeReweightings = 15;
constexpr std::size_t kJackknifeParts = 20;

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

const std::vector<StepTerm>& candidates() {
  static const std::vector<StepTerm> terms = {
      {.count = StepCount::one},
      {.count = StepCount::tokens},
      {.count = StepCount::tokens_over, .knee = 64},
      {.count = StepCount::tokens_over, .knee = 256},
      {.count = StepCount::tokens_over, .knee = 1024},
      {.count = StepCount::sampled},
      {.count = StepCount::decode_seqs},
      {.count = StepCount::decode_context},
      {.count = StepCount::prefill_seqs},
      {.count = StepCount::prefill_context},
      {.count = StepCount::prefill_pairs},
  };
  return terms;
}

double median(std::vector<double> values) {
  KVCAST_CHECK(!values.empty());
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The value below which that share lies.
double quantile(std::vector<double> values, double share) {
  KVCAST_CHECK(!values.empty());
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

/// One sigma of a normal distribution with the same median absolute deviation.
double robust_sigma(const std::vector<double>& values) {
  const double middle = median(values);
  std::vector<double> away;
  away.reserve(values.size());
  for (const double value : values) away.push_back(std::abs(value - middle));
  return 1.4826 * median(std::move(away));
}

/// Non-negative x that minimises x'Gx - 2c'x (Lawson and Hanson 1974, on the normal equations).
Vector solve_nonnegative(const Matrix& gram, const Vector& right) {
  const Eigen::Index n = gram.rows();
  Vector x = Vector::Zero(n);
  std::vector<bool> free(static_cast<std::size_t>(n), false);
  const auto is_free = [&](Eigen::Index i) { return static_cast<bool>(free[static_cast<std::size_t>(i)]); };
  const double tolerance = 1e-10 * right.cwiseAbs().maxCoeff();
  for (Eigen::Index round = 0; round < 3 * n; ++round) {
    const Vector gradient = right - gram * x;
    Eigen::Index enters = -1;
    for (Eigen::Index i = 0; i < n; ++i) {
      if (!is_free(i) && gradient[i] > tolerance && (enters < 0 || gradient[i] > gradient[enters]))
        enters = i;
    }
    if (enters < 0) break;
    free[static_cast<std::size_t>(enters)] = true;
    while (true) {
      std::vector<Eigen::Index> set;
      for (Eigen::Index i = 0; i < n; ++i) {
        if (is_free(i)) set.push_back(i);
      }
      const Vector inner = Matrix(gram(set, set)).ldlt().solve(Vector(right(set)));
      double step = 1;
      for (std::size_t k = 0; k < set.size(); ++k) {
        const double to = inner[static_cast<Eigen::Index>(k)];
        if (to <= 0) step = std::min(step, x[set[k]] / (x[set[k]] - to));
      }
      for (std::size_t k = 0; k < set.size(); ++k) {
        const double to = inner[static_cast<Eigen::Index>(k)];
        x[set[k]] += step * (to - x[set[k]]);
        if (to <= 0 && x[set[k]] <= tolerance) {
          x[set[k]] = 0;
          free[static_cast<std::size_t>(set[k])] = false;
        }
      }
      if (step >= 1) break;
    }
  }
  return x;
}

/// The samples as a regression: rows of counts, measured times, and the stretch of each.
struct Regression {
  std::vector<StepTerm> terms;
  Matrix counts;
  Vector time;
  std::vector<std::size_t> stretch;
  std::size_t stretches = 0;
};

/// Samples of each run in order of time, cut into stretches of about kStretchSteps.
void find_stretches(std::span<const StepSample> samples, Regression& regression) {
  std::map<std::size_t, std::vector<std::size_t>> runs;
  for (std::size_t i = 0; i < samples.size(); ++i) runs[samples[i].run].push_back(i);
  regression.stretch.assign(samples.size(), 0);
  for (auto& [run, order] : runs) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return samples[a].start_us < samples[b].start_us; });
    const std::size_t parts = std::max<std::size_t>(order.size() / kStretchSteps, 1);
    for (std::size_t k = 0; k < order.size(); ++k)
      regression.stretch[order[k]] = regression.stretches + k * parts / order.size();
    regression.stretches += parts;
  }
}

Regression make_regression(std::span<const StepSample> samples) {
  Regression regression;
  const auto rows = static_cast<Eigen::Index>(samples.size());
  std::vector<Vector> columns;
  for (const StepTerm& term : candidates()) {
    Vector column(rows);
    for (Eigen::Index i = 0; i < rows; ++i)
      column[i] =
          static_cast<double>(count_of(samples[static_cast<std::size_t>(i)].shape, term.count, term.knee));
    const bool repeats =
        std::any_of(columns.begin(), columns.end(), [&](const Vector& other) { return other == column; });
    const bool constant = term.count != StepCount::one && column.minCoeff() == column.maxCoeff();
    if (repeats || constant) continue;
    columns.push_back(column);
    regression.terms.push_back(term);
  }
  regression.counts.resize(rows, static_cast<Eigen::Index>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j)
    regression.counts.col(static_cast<Eigen::Index>(j)) = columns[j];
  regression.time.resize(rows);
  for (Eigen::Index i = 0; i < rows; ++i) regression.time[i] = samples[static_cast<std::size_t>(i)].time_us;
  find_stretches(samples, regression);
  return regression;
}

/// Coefficients for given speeds of the stretches: weighted medians, the weight of a step being one over its
/// forecast (over what was measured, steps that were too short would count most). \param use which rows take
/// part
Vector fit_coefficients(const Regression& regression, const Vector& speed, const Vector& use,
                        int reweightings) {
  const Eigen::Index rows = regression.counts.rows();
  Vector row_speed(rows);
  for (Eigen::Index i = 0; i < rows; ++i)
    row_speed[i] = speed[static_cast<Eigen::Index>(regression.stretch[static_cast<std::size_t>(i)])];
  const Matrix counts = row_speed.asDiagonal() * regression.counts;
  const Vector scale = counts.colwise().norm().cwiseMax(1e-300).transpose();
  const Matrix columns = counts * scale.cwiseInverse().asDiagonal();
  Vector forecast = regression.time;
  Vector error = Vector::Ones(rows);
  Vector x;
  for (int k = 0; k < reweightings; ++k) {
    const Vector weight = use.cwiseQuotient(forecast.cwiseAbs2().cwiseProduct(error.cwiseMax(kErrorFloor)));
    const Matrix weighted = weight.asDiagonal() * columns;
    Matrix gram = weighted.transpose() * columns;
    const Vector size = gram.diagonal().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
    gram = size.asDiagonal() * gram * size.asDiagonal();
    gram.diagonal().array() += kRidge;
    x = solve_nonnegative(gram, size.cwiseProduct(weighted.transpose() * regression.time)).cwiseProduct(size);
    forecast = (columns * x).cwiseMax(kForecastMin);
    error = (regression.time - forecast).cwiseAbs().cwiseQuotient(forecast);
  }
  return x.cwiseQuotient(scale);
}

/// Median of log(measured / forecast) in each stretch.
std::vector<double> stretch_logs(const Regression& regression, const Vector& coefficients) {
  const Vector forecast = regression.counts * coefficients;
  std::vector<std::vector<double>> logs(regression.stretches);
  for (Eigen::Index i = 0; i < forecast.size(); ++i) {
    if (forecast[i] > 0)
      logs[regression.stretch[static_cast<std::size_t>(i)]].push_back(
          std::log(regression.time[i] / forecast[i]));
  }
  std::vector<double> medians;
  for (std::vector<double>& stretch : logs)
    medians.push_back(stretch.empty() ? 0 : median(std::move(stretch)));
  return medians;
}

struct FittedCoefficients {
  Vector value;
  Vector speed;  // of each stretch against the median one
  double drift = 0;
};

FittedCoefficients fit_with_speeds(const Regression& regression) {
  const Vector all = Vector::Ones(regression.time.size());
  FittedCoefficients fit;
  fit.speed = Vector::Ones(static_cast<Eigen::Index>(regression.stretches));
  fit.value = fit_coefficients(regression, fit.speed, all, kReweightings);
  std::vector<double> logs = stretch_logs(regression, fit.value);
  fit.drift = robust_sigma(logs);
  if (fit.drift < kDriftMin) return fit;
  for (int round = 0; round < kSpeedRounds; ++round) {
    const double middle = median(logs);
    for (std::size_t k = 0; k < logs.size(); ++k)
      fit.speed[static_cast<Eigen::Index>(k)] = std::exp(logs[k] - middle);
    fit.value = fit_coefficients(regression, fit.speed, all, kReweightings);
    logs = stretch_logs(regression, fit.value);
  }
  fit.drift = robust_sigma(logs);
  return fit;
}

/// Disturbed steps make the average step longer than the usual one, and it is averages that a forecast adds
/// up: measured over forecast in total, at the speeds found. A single step counts at most kSkewMax times its
/// forecast.
double skew_of(const Regression& regression, const FittedCoefficients& fit) {
  const Vector forecast = regression.counts * fit.value;
  double measured = 0;
  for (Eigen::Index i = 0; i < forecast.size(); ++i) {
    const double speed =
        fit.speed[static_cast<Eigen::Index>(regression.stretch[static_cast<std::size_t>(i)])];
    measured += std::clamp(regression.time[i] / speed, forecast[i] / kSkewMax, forecast[i] * kSkewMax);
  }
  return measured / forecast.sum();
}

/// How far other steps move apart from single-sequence decode steps, from stretch to stretch: the spread of
/// the difference of their medians. Where few stretches have both kinds it is the whole drift.
double drift_apart(const Regression& regression, std::span<const StepSample> samples,
                   const FittedCoefficients& fit) {
  const Vector forecast = regression.counts * fit.value;
  std::vector<std::vector<double>> single(regression.stretches), other(regression.stretches);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const StepShape& shape = samples[i].shape;
    const double us = forecast[static_cast<Eigen::Index>(i)];
    if (us <= 0) continue;
    auto& kind = shape.decode_seqs == 1 && shape.prefill_seqs == 0 ? single : other;
    kind[regression.stretch[i]].push_back(std::log(samples[i].time_us / us));
  }
  std::vector<double> apart;
  for (std::size_t k = 0; k < regression.stretches; ++k) {
    if (single[k].size() >= kApartSteps && other[k].size() >= kApartSteps)
      apart.push_back(median(std::move(other[k])) - median(std::move(single[k])));
  }
  return apart.size() < kApartStretches ? fit.drift : robust_sigma(apart);
}

/// Delete-a-group jackknife over stretches (Efron and Stein 1981), at the speeds found.
Matrix jackknife(const Regression& regression, const FittedCoefficients& fit) {
  const std::size_t parts = std::min(kJackknifeParts, regression.stretches);
  const Eigen::Index n = fit.value.size();
  if (parts < 2) return {};
  Matrix leave_out(static_cast<Eigen::Index>(parts), n);
  for (std::size_t part = 0; part < parts; ++part) {
    Vector use = Vector::Ones(regression.time.size());
    for (Eigen::Index i = 0; i < use.size(); ++i) {
      const std::size_t stretch = regression.stretch[static_cast<std::size_t>(i)];
      if (stretch * parts / regression.stretches == part) use[i] = 0;
    }
    leave_out.row(static_cast<Eigen::Index>(part)) =
        fit_coefficients(regression, fit.speed, use, kJackknifeReweightings).transpose();
  }
  const Matrix away = leave_out.rowwise() - leave_out.colwise().mean();
  const double count = static_cast<double>(parts);
  return away.transpose() * away * ((count - 1) / count);
}

std::vector<StepRange> ranges_of(std::span<const StepSample> samples) {
  std::vector<StepRange> ranges;
  for (const StepCount count : {StepCount::tokens, StepCount::decode_seqs, StepCount::decode_context,
                                StepCount::prefill_seqs, StepCount::prefill_pairs}) {
    StepRange range{count, INT64_MAX, 0};
    for (const StepSample& sample : samples) {
      const std::int64_t value = count_of(sample.shape, count);
      range.min = std::min(range.min, value);
      range.max = std::max(range.max, value);
    }
    ranges.push_back(range);
  }
  return ranges;
}

StepErrors errors_of(const std::string& regime, std::vector<double> signed_errors) {
  StepErrors errors;
  errors.regime = regime;
  errors.steps = std::ssize(signed_errors);
  errors.bias = median(signed_errors);
  for (double& error : signed_errors) error = std::abs(error);
  errors.median = median(signed_errors);
  errors.p90 = quantile(std::move(signed_errors), 0.9);
  return errors;
}

std::string kind_of(const StepShape& shape) {
  if (shape.prefill_seqs == 0) return "decode";
  return shape.decode_seqs == 0 ? "prefill" : "mixed";
}

/// "1 to 10 ms"
std::string decade_of(double time_us) {
  const int decade = static_cast<int>(std::floor(std::log10(time_us)));
  const double low_ms = std::pow(10.0, decade - 3);
  return fmt::format("{:g} to {:g} ms", low_ms, 10 * low_ms);
}

}  // namespace

StepModel fit_step_model(std::span<const StepSample> samples, const std::string& name) {
  if (samples.size() < kStepSamplesMin)
    throw InputError(fmt::format("{}{} steps are too few to fit step times to; at least {} are needed",
                                 name.empty() ? "" : name + ": ", samples.size(), kStepSamplesMin),
                     ExitCode::bad_data);
  const Regression regression = make_regression(samples);
  const FittedCoefficients fit = fit_with_speeds(regression);
  const double skew = skew_of(regression, fit);
  const Matrix covariance = jackknife(regression, fit) * (skew * skew);
  StepModel model;
  model.name = name;
  model.steps = std::ssize(samples);
  model.drift = fit.drift;
  model.drift_apart = drift_apart(regression, samples, fit);
  model.ranges = ranges_of(samples);
  std::vector<Eigen::Index> kept;
  for (Eigen::Index j = 0; j < fit.value.size(); ++j) {
    if (fit.value[j] <= 0) continue;
    kept.push_back(j);
    StepTerm term = regression.terms[static_cast<std::size_t>(j)];
    term.us = fit.value[j] * skew;
    if (covariance.size() > 0) term.us_error = std::sqrt(covariance(j, j));
    model.terms.push_back(term);
  }
  if (covariance.size() == 0) return model;
  for (const Eigen::Index i : kept) {
    for (const Eigen::Index j : kept) model.covariance.push_back(covariance(i, j));
  }
  return model;
}

std::vector<StepErrors> step_errors(const StepModel& model, std::span<const StepSample> samples,
                                    double speed_factor) {
  std::vector<double> all;
  std::map<std::string, std::vector<double>> kinds;
  std::map<double, std::pair<std::string, std::vector<double>>> decades;  // by the decade's begin
  for (const StepSample& sample : samples) {
    const double error = step_us(model, sample.shape) * speed_factor / sample.time_us - 1;
    all.push_back(error);
    kinds[kind_of(sample.shape)].push_back(error);
    auto& [label, errors] = decades[std::floor(std::log10(sample.time_us))];
    label = decade_of(sample.time_us);
    errors.push_back(error);
  }
  std::vector<StepErrors> errors;
  if (all.empty()) return errors;
  errors.push_back(errors_of("all", std::move(all)));
  for (auto& [kind, values] : kinds) errors.push_back(errors_of(kind, std::move(values)));
  for (auto& [begin, decade] : decades) errors.push_back(errors_of(decade.first, std::move(decade.second)));
  return errors;
}

double speed_against(const StepModel& model, std::span<const StepSample> samples) {
  double measured = 0, forecast = 0, single_measured = 0, single_forecast = 0;
  for (const StepSample& sample : samples) {
    const double us = step_us(model, sample.shape);
    measured += sample.time_us;
    forecast += us;
    if (sample.shape.decode_seqs != 1 || sample.shape.prefill_seqs != 0) continue;
    single_measured += sample.time_us;
    single_forecast += us;
  }
  if (single_forecast > 0) return single_measured / single_forecast;
  return forecast > 0 ? measured / forecast : 1;
}

}  // namespace kvcast
