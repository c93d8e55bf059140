/// Robust least squares of positive parameters on ratios, for physical forms with few parameters.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace kvcast {

/// A positive parameter with its unit in the name ("launch_us"), where to start and what is physical.
struct FitParameter {
  std::string_view name;
  double start = 1;
  double min = 0;
  double max = 0;
};

struct FitResult {
  std::vector<double> values;
  /// One standard error of each, relative to it; 1 where the data does not decide the parameter.
  std::vector<double> relative_errors;
  double spread = 0;  // robust standard deviation of log(measured / model): 1.4826 times the median magnitude
};

/// Levenberg-Marquardt in the logarithms of the parameters on the residuals log(measured / model), with the
/// soft L1 loss at `scale`, so that outliers pull with their sign only. Bounds are kept by projection.
/// \param model time of row i under the parameters; positive
/// \param measured positive, one for each row
/// Source: Marquardt 1963; soft L1 as in Triggs et al. 2000, sec. 4.3.
[[nodiscard]] FitResult fit_ratios(
    std::span<const FitParameter> parameters,
    const std::function<double(const std::vector<double>&, std::size_t)>& model,
    const std::vector<double>& measured, double scale = 0.1);

}  // namespace kvcast
