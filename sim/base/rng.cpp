#include "sim/base/rng.h"

#include <Random123/philox.h>

#include <cmath>

#include "sim/base/hash.h"
#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

__extension__ typedef unsigned __int128 Uint128;

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::string_view name) : key_{seed, hash64(name)} {}

void RandomStream::refill() {
  const r123::Philox4x64::ctr_type counter = {{block_, 0, 0, 0}};
  const r123::Philox4x64::key_type key = {{key_[0], key_[1]}};
  const r123::Philox4x64::ctr_type words = r123::Philox4x64()(counter, key);
  for (std::size_t i = 0; i < buffer_.size(); ++i) buffer_[i] = words[i];
  ++block_;
  position_ = 0;
}

std::int64_t RandomStream::integer(std::int64_t low, std::int64_t high) {
  KVCAST_CHECK(low <= high);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  const auto base = static_cast<std::uint64_t>(low);
  if (range == 0) return static_cast<std::int64_t>((*this)());  // all 2^64 values
  Uint128 product = static_cast<Uint128>((*this)()) * range;
  if (static_cast<std::uint64_t>(product) < range) {
    // The lowest 2^64 mod range products would make some values one more likely than others.
    const std::uint64_t biased = (0 - range) % range;
    while (static_cast<std::uint64_t>(product) < biased) product = static_cast<Uint128>((*this)()) * range;
  }
  return static_cast<std::int64_t>(base + static_cast<std::uint64_t>(product >> 64));
}

double RandomStream::exponential(double mean) {
  KVCAST_CHECK(mean >= 0);
  return 0 - mean * portable_log(uniform_positive());  // not -0 where the draw is 1
}

double RandomStream::normal() {
  for (;;) {
    const double x = 2 * uniform() - 1;
    const double y = 2 * uniform() - 1;
    const double r = x * x + y * y;
    if (r > 0 && r < 1) return x * std::sqrt(-2 * portable_log(r) / r);
  }
}

double RandomStream::gamma(double shape, double scale) {
  KVCAST_CHECK(shape > 0);
  KVCAST_CHECK(scale >= 0);
  if (shape < 1) {
    const double boosted = gamma(shape + 1, scale);
    return boosted * portable_exp(portable_log(uniform_positive()) / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal();
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (portable_log(uniform_positive()) < 0.5 * x * x + d - d * v + d * portable_log(v))
      return d * v * scale;
  }
}

double RandomStream::lognormal(double mean, double cv) {
  KVCAST_CHECK(mean > 0);
  KVCAST_CHECK(cv >= 0);
  const double variance = portable_log(1 + cv * cv);
  return mean * portable_exp(std::sqrt(variance) * normal() - 0.5 * variance);
}

}  // namespace kvcast
