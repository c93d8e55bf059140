/// The few special functions of sampling and fitting, from portable_math.h alone: equal on every machine.
#pragma once

namespace kvcast {

/// The x with P(N(0, 1) <= x) = p, relative error below 1e-15 (Wichura 1988, algorithm AS 241, PPND16). p in
/// (0, 1).
[[nodiscard]] double normal_quantile(double p);

/// normal_quantile in the middle of the step of a uniform number that is a multiple of 2^-53 in [0, 1): never
/// infinite.
[[nodiscard]] double normal_from_uniform(double u);

/// ln Gamma(x), x > 0, relative error below 1e-13 (Lanczos 1964, g = 7, 9 terms).
[[nodiscard]] double log_gamma(double x);

/// P(X <= x) for a gamma variable of mean shape * scale (series and continued fraction of DLMF 8.11.4
/// and 8.9.2).
[[nodiscard]] double gamma_cdf(double x, double shape, double scale);

}  // namespace kvcast
