#include "sim/base/portable_math.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "sim/base/error.h"

namespace kvcast {
namespace {

// ln 2 in two parts: the first has 32 significant bits, so that its product with any exponent is exact.
constexpr double kLn2High = 0x1.62e42feep-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kInverseLn2 = 0x1.71547652b82fep+0;
constexpr double kSqrtHalf = 0x1.6a09e667f3bcdp-1;

/// 2^exponent for the exponents of normal doubles.
double power_of_two(std::int64_t exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

}  // namespace

double portable_log(double x) {
  KVCAST_CHECK(x >= 0x1p-1022);
  KVCAST_CHECK(x <= 0x1.fffffffffffffp+1023);
  // x = 2^exponent * m with m in [sqrt(1/2), sqrt(2)).
  const auto bits = std::bit_cast<std::uint64_t>(x);
  std::int64_t exponent = static_cast<std::int64_t>(bits >> 52) - 1022;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffULL) | (std::uint64_t{1022} << 52));
  if (m < kSqrtHalf) {
    m *= 2;
    --exponent;
  }
  // With f = m - 1 and s = f / (2 + f): log(m) = 2 atanh(s) = f - s (f - R), R = 2 (s^2/3 + s^4/5 + ...) of
  // the terms that a double can see for |s| < 0.172. The form keeps f, which is exact, apart from what was
  // rounded.
  const double f = m - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  const double z2 = z * z;
  const double even = 2.0 / 3 + z2 * (2.0 / 7 + z2 * (2.0 / 11 + z2 * (2.0 / 15 + z2 * (2.0 / 19))));
  const double odd = 2.0 / 5 + z2 * (2.0 / 9 + z2 * (2.0 / 13 + z2 * (2.0 / 17 + z2 * (2.0 / 21))));
  const double half_square = 0.5 * f * f;
  const double correction = s * (half_square + z * (even + z * odd));
  const auto k = static_cast<double>(exponent);
  return k * kLn2High - ((half_square - (correction + k * kLn2Low)) - f);
}

double portable_exp(double x) {
  const double clamped = std::clamp(x, -700.0, 700.0);
  const auto k = static_cast<std::int64_t>(std::floor(clamped * kInverseLn2 + 0.5));
  const auto kd = static_cast<double>(k);
  const double high = clamped - kd * kLn2High;
  const double low = kd * kLn2Low;
  const double r = high - low;
  // Taylor for |r| <= ln(2)/2; the first term left out is below 2^-58 of the result.
  double tail = 0;
  constexpr double kInverseFactorials[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                           1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                           1.0 / 120,        1.0 / 24,        1.0 / 6,        1.0 / 2};
  for (const double term : kInverseFactorials) tail = tail * r + term;
  const double lost = (high - r) - low;  // what rounding took from r
  return (1 + (r + (tail * r * r + lost))) * power_of_two(k);
}

}  // namespace kvcast
