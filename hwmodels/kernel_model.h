/// Times of single kernels from a calibration of kind "kernels": a physical form (kernel_forms.h) times a
/// residual that was fitted beside it and fades to the form where nothing was measured.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/calibration_file.h"
#include "hwmodels/kernel_forms.h"

namespace kvcast {

/// Which kernels share one fit: equal constants and labels ({"source": "vllm_flash_attn_fa3"}).
struct KernelKey {
  const KernelForm* form = nullptr;
  std::vector<double> constants;  // in the form's order
  std::map<std::string, std::string> labels;

  friend bool operator==(const KernelKey&, const KernelKey&) = default;
};

/// log(measured / form) as a sum of Matern-3/2 kernels around points in the form's features: a Gaussian
/// process's mean. Source: Rasmussen & Williams 2006, ch. 2 and 4.2.
struct ResidualPoints {
  double length = 2.5;              // of the correlation, in octaves
  std::vector<double> coordinates;  // of the points, one after the other
  std::vector<double> features;     // the same for their features
  std::vector<double> weights;      // one for each point

  struct Value {
    double mean = 0;
    double nearness = 0;  // correlation with the nearest point: 1 on it, 0 far from all
  };
  [[nodiscard]] Value at(std::span<const double> features_at) const;
};

/// log(measured / form) over the rows at each site (the coordinates after the first), piecewise linear in
/// log(rows).
struct ResidualCurves {
  struct Site {
    std::vector<double> at;   // log2 of the site's coordinates
    std::vector<double> log;  // at the knots
  };
  std::vector<double> knots;  // log of rows, ascending
  std::vector<Site> sites;
};

/// One line of the calibration.
struct KernelFit {
  KernelKey key;
  std::vector<double> parameters;
  std::vector<double> parameter_errors;  // relative
  std::vector<double> low, high;         // of each coordinate in the data
  std::size_t rows = 0;                  // that it was fitted to
  /// Standard errors of log(time): near measured points; at sites without a measurement (curves only); of the
  /// form alone.
  double error_near = 0, error_site = 0, error_far = 0;
  ResidualPoints points;
  ResidualCurves curves;
};

struct KernelTime {
  double us = 0;
  double error = 0;  // one standard error, relative
};

/// A form with the residual of one site: the GEMM of one weight matrix over its rows.
class SiteCurve {
 public:
  /// \param site coordinates after the first. Where it was not measured, the residual is the mean of the
  /// nearest sites', by the inverse square of the distance in octaves
  SiteCurve(const KernelFit& fit, std::vector<double> site);
  [[nodiscard]] KernelTime at(double rows) const;
  [[nodiscard]] bool measured() const { return measured_; }
  /// The residual at the knots.
  [[nodiscard]] const std::vector<double>& values() const { return log_; }

 private:
  const KernelFit* fit_;
  std::vector<double> coordinates_;
  std::vector<double> log_;
  bool measured_ = false;
};

/// Time of one kernel at a point of its form's coordinates.
/// \param cold, cached see FormInput. The residual of a chunk with cached tokens is that of a whole prompt
/// whose queries see as many keys on average
[[nodiscard]] KernelTime kernel_time(const KernelFit& fit, std::span<const double> at, bool cold,
                                     double cached = 0);

/// All fits of one calibration.
class KernelModel {
 public:
  KernelModel() = default;
  /// \throws InputError (exit code 4) "file:line:column: key: what"
  explicit KernelModel(const CalibrationFile& file);

  [[nodiscard]] std::span<const KernelFit> fits() const { return fits_; }
  /// The first fit of the form whose constants and labels include the given ones; nullptr: none.
  [[nodiscard]] const KernelFit* find(std::string_view form, const std::map<std::string, double>& constants,
                                      const std::map<std::string, std::string>& labels = {}) const;

 private:
  std::vector<KernelFit> fits_;
};

/// One {"fit": {...}} line, without its end.
/// \param holdout a JSON object with the errors on held-out rows
[[nodiscard]] std::string format_kernel_fit(const KernelFit& fit, const std::string& holdout);

}  // namespace kvcast
