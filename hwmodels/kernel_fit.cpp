#include "hwmodels/kernel_fit.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

constexpr std::size_t kFormRows = 1500;      // that decide a form's parameters
constexpr std::size_t kPointsMax = 400;      // of a residual
constexpr std::size_t kSitePointsMax = 200;  // of the whole modules and recurrent kernels, which vary less
constexpr double kNugget = 0.1;              // variance of a row's own deviation, in units of the residual's
constexpr double kSiteShrinkage = 1;         // rows that a site's neighbours count for, at each knot
constexpr double kSmoothing = 0.1;           // between neighbouring knots, where a site has no rows

using Rows = std::vector<const KernelSample*>;

int decade_of(double us) { return static_cast<int>(std::floor(std::log10(us))); }

std::string class_name(const KernelKey& key) {
  std::string name(key.form->name);
  for (const double constant : key.constants) name += fmt::format(" {}", constant);
  for (const auto& [label, value] : key.labels) name += fmt::format(" {}={}", label, value);
  return name;
}

/// What the report calls a class: collectives by what they do.
std::string report_name(const KernelKey& key) {
  const auto operation = key.labels.find("operation");
  return operation == key.labels.end() ? std::string(key.form->name) : operation->second;
}

template <class T>
void shuffle(std::vector<T>& items, RandomStream& random) {
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1],
              items[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(i) - 1))]);
}

struct Split {
  Rows train, test;
};

/// A share of each decade of time, at random.
Split split_rows(const KernelSamples& samples, const HoldoutOptions& options) {
  std::map<int, Rows> decades;
  for (const KernelSample& row : samples.rows) decades[decade_of(row.us)].push_back(&row);
  Split split;
  for (auto& [decade, rows] : decades) {
    RandomStream random(options.seed, fmt::format("holdout/{}/{}", class_name(samples.key), decade));
    shuffle(rows, random);
    const auto held =
        static_cast<std::size_t>(std::llround(options.share * static_cast<double>(rows.size())));
    split.test.insert(split.test.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(held));
    split.train.insert(split.train.end(), rows.begin() + static_cast<std::ptrdiff_t>(held), rows.end());
  }
  RandomStream random(options.seed, "order/" + class_name(samples.key));
  shuffle(split.train, random);
  return split;
}

double form_us(const KernelKey& key, const std::vector<double>& parameters, const KernelSample& row) {
  return key.form->time_us({row.at.data(), key.constants.data(), parameters.data(), false, 0});
}

double quantile(std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (place - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

HoldoutError summarise(std::vector<double> errors) {
  HoldoutError result;
  result.rows = errors.size();
  if (errors.empty()) return result;
  std::sort(errors.begin(), errors.end());
  result.median = quantile(errors, 0.5);
  result.p90 = quantile(errors, 0.9);
  result.p99 = quantile(errors, 0.99);
  return result;
}

/// The magnitude that 68 % of the errors do not exceed: one standard error where they are normal, and robust
/// where they are not.
double standard_error(std::vector<double> errors) {
  if (errors.empty()) return 0;
  std::sort(errors.begin(), errors.end());
  return quantile(errors, 0.683);
}

void fit_form(const Rows& train, KernelFit& fit) {
  const std::size_t count = std::min(train.size(), kFormRows);
  std::vector<double> measured;
  for (std::size_t i = 0; i < count; ++i) measured.push_back(train[i]->us);
  const FitResult result = fit_ratios(
      fit.key.form->parameters,
      [&](const std::vector<double>& values, std::size_t row) {
        return form_us(fit.key, values, *train[row]);
      },
      measured);
  fit.parameters = result.values;
  fit.parameter_errors = result.relative_errors;
  fit.rows = train.size();
  const std::size_t dims = fit.key.form->coordinates.size();
  fit.low.assign(dims, INFINITY);
  fit.high.assign(dims, 0);
  std::vector<double> errors;
  for (const KernelSample* row : train) {
    for (std::size_t i = 0; i < dims; ++i) {
      fit.low[i] = std::min(fit.low[i], row->at[i]);
      fit.high[i] = std::max(fit.high[i], row->at[i]);
    }
    errors.push_back(std::abs(std::log(row->us / form_us(fit.key, fit.parameters, *row))));
  }
  fit.error_far = standard_error(std::move(errors));
}

/// Weights of a Gaussian process's mean at a random part of the rows.
void fit_points(const Rows& train, KernelFit& fit) {
  const std::string_view name = fit.key.form->name;
  const bool attention = name == "decode_attention" || name == "prefill_attention";
  const std::size_t count = std::min(train.size(), attention ? kPointsMax : kSitePointsMax);
  const std::size_t dims = fit.key.form->coordinates.size();
  Eigen::VectorXd residuals(static_cast<Eigen::Index>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const KernelSample& row = *train[i];
    fit.points.coordinates.insert(fit.points.coordinates.end(), row.at.begin(),
                                  row.at.begin() + static_cast<std::ptrdiff_t>(dims));
    const std::vector<double> features = fit.key.form->features(row.at.data());
    fit.points.features.insert(fit.points.features.end(), features.begin(), features.end());
    residuals[static_cast<Eigen::Index>(i)] = std::log(row.us / form_us(fit.key, fit.parameters, row));
  }
  const std::size_t width = fit.points.features.size() / std::max<std::size_t>(count, 1);
  const auto n = static_cast<Eigen::Index>(count);
  Eigen::MatrixXd covariance(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) {
      double square = 0;
      for (std::size_t d = 0; d < width; ++d) {
        const double distance = fit.points.features[static_cast<std::size_t>(i) * width + d] -
                                fit.points.features[static_cast<std::size_t>(j) * width + d];
        square += distance * distance;
      }
      const double scaled = std::sqrt(3 * square) / fit.points.length;
      covariance(i, j) = covariance(j, i) = (1 + scaled) * std::exp(-scaled);
    }
    covariance(i, i) += kNugget;
  }
  const Eigen::VectorXd weights = covariance.llt().solve(residuals);
  fit.points.weights.assign(weights.begin(), weights.end());
}

/// Rows at which curves have knots: powers of two, and one past those where tiles of a GEMM begin anew.
std::vector<double> curve_rows(double highest) {
  std::vector<double> rows;
  for (const double row : {1.,    8.,    16.,   17.,   32.,   33.,   64.,   65.,   96.,    128.,
                           129.,  192.,  193.,  256.,  257.,  512.,  513.,  768.,  769.,   1024.,
                           1025., 1536., 1537., 2048., 2049., 3072., 4096., 8192., 16384., 32768.}) {
    if (row <= highest) rows.push_back(row);
  }
  return rows;
}

using SiteRows = std::map<std::vector<double>, Rows>;

SiteRows by_site(const Rows& rows, std::size_t dims) {
  SiteRows sites;
  for (const KernelSample* row : rows)
    sites[{row->at.begin() + 1, row->at.begin() + static_cast<std::ptrdiff_t>(dims)}].push_back(row);
  return sites;
}

/// A curve's values at the knots by least squares; `prior` with `strength` rows at each knot, or smooth.
Eigen::VectorXd fit_curve(const KernelFit& fit, const Rows& rows, const Eigen::VectorXd* prior) {
  const std::vector<double>& knots = fit.curves.knots;
  const auto n = static_cast<Eigen::Index>(knots.size());
  Eigen::MatrixXd normal = Eigen::MatrixXd::Zero(n, n);
  Eigen::VectorXd right = Eigen::VectorXd::Zero(n);
  for (const KernelSample* row : rows) {
    const double x = portable_log(row->at[0]);
    const auto next = static_cast<Eigen::Index>(std::clamp<std::ptrdiff_t>(
        std::upper_bound(knots.begin(), knots.end(), x) - knots.begin(), 1, n - 1));
    const double low = knots[static_cast<std::size_t>(next - 1)],
                 high = knots[static_cast<std::size_t>(next)];
    const double weight = std::clamp((x - low) / (high - low), 0.0, 1.0);
    const double residual = std::log(row->us / form_us(fit.key, fit.parameters, *row));
    normal(next - 1, next - 1) += (1 - weight) * (1 - weight);
    normal(next, next) += weight * weight;
    normal(next - 1, next) += weight * (1 - weight);
    normal(next, next - 1) += weight * (1 - weight);
    right[next - 1] += (1 - weight) * residual;
    right[next] += weight * residual;
  }
  if (prior != nullptr) {
    normal.diagonal().array() += kSiteShrinkage;
    right += kSiteShrinkage * *prior;
  } else {
    normal.diagonal().array() += 1e-4;
    for (Eigen::Index i = 0; i + 1 < n; ++i) {
      normal(i, i) += kSmoothing;
      normal(i + 1, i + 1) += kSmoothing;
      normal(i, i + 1) -= kSmoothing;
      normal(i + 1, i) -= kSmoothing;
    }
  }
  return normal.ldlt().solve(right);
}

/// Each site's curve from its own rows, drawn towards what its neighbours alone would say: a knot next to
/// which a site has few rows takes their word.
void fit_curves(const Rows& train, KernelFit& fit) {
  const std::size_t dims = fit.key.form->coordinates.size();
  const SiteRows sites = by_site(train, dims);
  fit.curves = {};
  for (const double rows : curve_rows(fit.high.front())) fit.curves.knots.push_back(portable_log(rows));
  if (fit.curves.knots.size() < 2) fit.curves.knots = {0, portable_log(2)};
  const auto to_site = [&](const std::vector<double>& at, const Eigen::VectorXd& values) {
    ResidualCurves::Site site;
    for (const double c : at) site.at.push_back(portable_log(c) / portable_log(2));
    site.log.assign(values.begin(), values.end());
    return site;
  };
  KernelFit raw = fit;
  for (const auto& [at, rows] : sites) raw.curves.sites.push_back(to_site(at, fit_curve(fit, rows, nullptr)));
  std::vector<ResidualCurves::Site> drawn;
  std::size_t index = 0;
  for (const auto& [at, rows] : sites) {
    KernelFit others = fit;
    others.curves.sites = raw.curves.sites;
    others.curves.sites.erase(others.curves.sites.begin() + static_cast<std::ptrdiff_t>(index++));
    Eigen::VectorXd prior = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(fit.curves.knots.size()));
    if (!others.curves.sites.empty()) {
      const std::vector<double> values = SiteCurve(others, at).values();
      prior = Eigen::Map<const Eigen::VectorXd>(values.data(), prior.size());
    }
    drawn.push_back(to_site(at, fit_curve(fit, rows, &prior)));
  }
  fit.curves.sites = std::move(drawn);
}

KernelFit fit_class(const KernelKey& key, const Rows& train) {
  KernelFit fit;
  fit.key = key;
  fit_form(train, fit);
  if (key.form->features != nullptr) {
    fit_points(train, fit);
  } else if (key.form->coordinates.size() > 1) {
    fit_curves(train, fit);
  }
  return fit;
}

/// Errors by decade under one name.
class Report {
 public:
  explicit Report(bool keep_rows) : keep_rows_(keep_rows) {}

  void add(const std::string& kernel, const KernelSample& row, double forecast_us, bool held_out) {
    if (groups_.count(kernel) == 0) order_.push_back(kernel);
    Errors& errors = groups_[kernel][decade_of(row.us)];
    (held_out ? errors.held_out : errors.seen).push_back(std::abs(std::log(forecast_us / row.us)));
    if (keep_rows_) rows_.push_back({kernel, row.us, forecast_us, held_out});
  }

  [[nodiscard]] std::vector<HoldoutLine> lines() const {
    std::vector<HoldoutLine> result;
    for (const std::string& kernel : order_) {
      Errors all;
      for (const auto& [decade, errors] : groups_.at(kernel)) {
        result.push_back({kernel, decade, summarise(errors.held_out), summarise(errors.seen)});
        all.held_out.insert(all.held_out.end(), errors.held_out.begin(), errors.held_out.end());
        all.seen.insert(all.seen.end(), errors.seen.begin(), errors.seen.end());
      }
      result.push_back({kernel, HoldoutLine::kAllDecades, summarise(std::move(all.held_out)),
                        summarise(std::move(all.seen))});
    }
    return result;
  }
  [[nodiscard]] std::vector<JudgedRow> take_rows() { return std::move(rows_); }

 private:
  struct Errors {
    std::vector<double> held_out, seen;
  };
  bool keep_rows_;
  std::vector<std::string> order_;
  std::map<std::string, std::map<int, Errors>> groups_;
  std::vector<JudgedRow> rows_;
};

/// |log(forecast / measured)| of each row.
std::vector<double> errors_of(const KernelFit& fit, const Rows& rows, const std::string& kernel,
                              bool held_out, Report& report) {
  const std::size_t dims = fit.key.form->coordinates.size();
  std::vector<double> errors;
  for (const auto& [at, site_rows] : by_site(rows, fit.curves.knots.empty() ? 1 : dims)) {
    const SiteCurve curve(fit, at);
    for (const KernelSample* row : site_rows) {
      const double us = fit.curves.knots.empty() ? kernel_time(fit, {row->at.data(), dims}, false).us
                                                 : curve.at(row->at[0]).us;
      errors.push_back(std::abs(std::log(us / row->us)));
      report.add(kernel, *row, us, held_out);
    }
  }
  return errors;
}

/// A share of the sites judged by the others.
std::vector<double> whole_sites(const KernelSamples& samples, const Rows& train,
                                const HoldoutOptions& options, Report& report) {
  const std::size_t dims = samples.key.form->coordinates.size();
  std::vector<std::vector<double>> sites;
  for (const auto& [at, rows] : by_site(train, dims)) sites.push_back(at);
  RandomStream random(options.seed, "sites/" + class_name(samples.key));
  shuffle(sites, random);
  const auto held = static_cast<std::size_t>(std::llround(options.share * static_cast<double>(sites.size())));
  if (held == 0) return {};
  const std::set<std::vector<double>> aside(sites.begin(), sites.begin() + static_cast<std::ptrdiff_t>(held));
  const auto is_aside = [&](const KernelSample& row) {
    return aside.count({row.at.begin() + 1, row.at.begin() + static_cast<std::ptrdiff_t>(dims)}) > 0;
  };
  Rows rest, judged;
  for (const KernelSample* row : train) {
    if (!is_aside(*row)) rest.push_back(row);
  }
  for (const KernelSample& row : samples.rows) {
    if (is_aside(row)) judged.push_back(&row);
  }
  if (rest.empty()) return {};
  const KernelFit fit = fit_class(samples.key, rest);
  return errors_of(fit, judged, report_name(samples.key) + ", whole sites", true, report);
}

}  // namespace

KernelFits fit_kernels(const std::vector<KernelSamples>& samples, const HoldoutOptions& options) {
  KernelFits result;
  Report report(options.judge_seen);
  for (const KernelSamples& kernel : samples) {
    const Split split = split_rows(kernel, options);
    FittedKernel fitted;
    fitted.fit = fit_class(kernel.key, split.train);
    const std::vector<double> errors =
        errors_of(fitted.fit, split.test, report_name(kernel.key), true, report);
    if (options.judge_seen) (void)errors_of(fitted.fit, split.train, report_name(kernel.key), false, report);
    fitted.holdout = summarise(errors);
    fitted.fit.error_near = errors.empty() ? fitted.fit.error_far : standard_error(errors);
    if (!fitted.fit.curves.knots.empty())
      fitted.fit.error_site = standard_error(whole_sites(kernel, split.train, options, report));
    result.kernels.push_back(std::move(fitted));
  }
  result.report = report.lines();
  result.rows = report.take_rows();
  return result;
}

std::string format_holdout(const HoldoutError& error) {
  return fmt::format("{{\"rows\": {}, \"median\": {:.3g}, \"p90\": {:.3g}, \"p99\": {:.3g}}}", error.rows,
                     error.median, error.p90, error.p99);
}

}  // namespace kvcast
