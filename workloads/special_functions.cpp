#include "workloads/special_functions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

template <std::size_t N>
double polynomial(const std::array<double, N>& rising, double x) {
  double value = 0;
  for (std::size_t i = N; i > 0; --i) value = value * x + rising[i - 1];
  return value;
}

constexpr int kTermsMax = 100'000;

/// Lower regularised incomplete gamma function for x < a + 1.
double gamma_series(double a, double x) {
  double term = 1 / a;
  double sum = term;
  for (int n = 1; n < kTermsMax && term > sum * 1e-17; ++n) {
    term *= x / (a + n);
    sum += term;
  }
  return sum * portable_exp(a * portable_log(x) - x - log_gamma(a));
}

/// Upper regularised incomplete gamma function for x >= a + 1, by Lentz's method.
double gamma_fraction(double a, double x) {
  constexpr double kTiny = 1e-300;
  double b = x + 1 - a;
  double c = 1 / kTiny;
  double d = 1 / b;
  double h = d;
  for (int n = 1; n < kTermsMax; ++n) {
    const double an = n * (a - n);
    b += 2;
    d = an * d + b;
    if (std::fabs(d) < kTiny) d = kTiny;
    c = b + an / c;
    if (std::fabs(c) < kTiny) c = kTiny;
    d = 1 / d;
    const double factor = d * c;
    h *= factor;
    if (std::fabs(factor - 1) < 1e-16) break;
  }
  return h * portable_exp(a * portable_log(x) - x - log_gamma(a));
}

}  // namespace

double normal_quantile(double p) {
  KVCAST_CHECK(p > 0);
  KVCAST_CHECK(p < 1);
  constexpr std::array<double, 8> kA = {
      3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
      4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3};
  constexpr std::array<double, 8> kB = {1.0,
                                        4.2313330701600911252e+1,
                                        6.8718700749205790830e+2,
                                        5.3941960214247511077e+3,
                                        2.1213794301586595867e+4,
                                        3.9307895800092710610e+4,
                                        2.8729085735721942674e+4,
                                        5.2264952788528545610e+3};
  constexpr std::array<double, 8> kC = {1.42343711074968357734e0,  4.63033784615654529590e0,
                                        5.76949722146069140550e0,  3.64784832476320460504e0,
                                        1.27045825245236838258e0,  2.41780725177450611770e-1,
                                        2.27238449892691845833e-2, 7.74545014278341407640e-4};
  constexpr std::array<double, 8> kD = {1.0,
                                        2.05319162663775882187e0,
                                        1.67638483018380384940e0,
                                        6.89767334985100004550e-1,
                                        1.48103976427480074590e-1,
                                        1.51986665636164571966e-2,
                                        5.47593808499534494600e-4,
                                        1.05075007164441684324e-9};
  constexpr std::array<double, 8> kE = {6.65790464350110377720e0,  5.46378491116411436990e0,
                                        1.78482653991729133580e0,  2.96560571828504891230e-1,
                                        2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                        2.71155556874348757815e-5, 2.01033439929228813265e-7};
  constexpr std::array<double, 8> kF = {1.0,
                                        5.99832206555887937690e-1,
                                        1.36929880922735805310e-1,
                                        1.48753612908506148525e-2,
                                        7.86869131145613259100e-4,
                                        1.84631831751005468180e-5,
                                        1.42151175831644588870e-7,
                                        2.04426310338993978564e-15};
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * polynomial(kA, r) / polynomial(kB, r);
  }
  const double r = std::sqrt(-portable_log(q < 0 ? p : 1 - p));
  const double x = r <= 5 ? polynomial(kC, r - 1.6) / polynomial(kD, r - 1.6)
                          : polynomial(kE, r - 5) / polynomial(kF, r - 5);
  return q < 0 ? -x : x;
}

double normal_from_uniform(double u) { return normal_quantile(std::min(u + 0x1p-54, 1 - 0x1p-53)); }

double log_gamma(double x) {
  KVCAST_CHECK(x > 0);
  constexpr double kG = 7;
  constexpr double kHalfLog2Pi = 0.91893853320467274178;
  constexpr std::array<double, 9> kTerms = {0.99999999999980993227684700473478,
                                            676.520368121885098567009190444019,
                                            -1259.13921672240287047156078755283,
                                            771.3234287776530788486528258894,
                                            -176.61502916214059906584551354,
                                            12.507343278686904814458936853,
                                            -0.13857109526572011689554707,
                                            9.984369578019570859563e-6,
                                            1.50563273514931155834e-7};
  if (x < 0.5) return log_gamma(x + 1) - portable_log(x);
  double sum = kTerms[0];
  for (std::size_t i = 1; i < kTerms.size(); ++i) sum += kTerms[i] / (x - 1 + static_cast<double>(i));
  const double t = x - 1 + kG + 0.5;
  return kHalfLog2Pi + (x - 0.5) * portable_log(t) - t + portable_log(sum);
}

double gamma_cdf(double x, double shape, double scale) {
  KVCAST_CHECK(shape > 0);
  KVCAST_CHECK(scale > 0);
  const double z = x / scale;
  if (!(z > std::numeric_limits<double>::min())) return 0;
  return z < shape + 1 ? gamma_series(shape, z) : 1 - gamma_fraction(shape, z);
}

}  // namespace kvcast
