/// Named random streams: what a stream yields depends on its seed and name alone, never on who else draws or
/// in which order.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

#include "sim/base/error.h"

namespace kvcast {

/// Contract: a stream is a pure function of (seed, name, number of the draw): Philox4x64-10 in counter mode
/// with the key (seed, hash64(name)). Equal on every machine, compiler and thread count: the transforms use
/// portable_math.h. Give each independent purpose its own name ("arrivals", "lengths/client7") and draw all
/// of a request's randomness when it is made. It is a UniformRandomBitGenerator, but std:: distributions
/// differ between standard libraries: use the members. Source: Salmon et al., "Parallel random numbers: as
/// easy as 1, 2, 3", SC 2011.
class RandomStream {
 public:
  using result_type = std::uint64_t;

  RandomStream(std::uint64_t seed, std::string_view name);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

  /// 64 random bits.
  result_type operator()() {
    if (position_ == buffer_.size()) refill();
    return buffer_[position_++];
  }

  /// [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

  /// (0, 1]: never 0, for logarithms and divisions.
  double uniform_positive() { return static_cast<double>(((*this)() >> 11) + 1) * 0x1p-53; }

  /// An integer of [low, high], each equally likely to the last bit (Lemire 2019, "Fast random integer
  /// generation in an interval").
  std::int64_t integer(std::int64_t low, std::int64_t high);

  /// Mean `mean`; unit that of the mean.
  double exponential(double mean);

  /// Mean 0, variance 1 (Marsaglia's polar method; the second value is dropped, so that a draw leaves no
  /// hidden state).
  double normal();

  /// Mean shape * scale, variance shape * scale^2 (Marsaglia & Tsang 2000; shape below 1 through shape + 1).
  double gamma(double shape, double scale);

  /// Log-normal with this mean and coefficient of variation (standard deviation / mean); cv 0 gives the mean.
  double lognormal(double mean, double cv);

 private:
  void refill();

  std::array<std::uint64_t, 2> key_;
  std::uint64_t block_ = 0;  // the counter: number of buffers drawn so far
  std::array<std::uint64_t, 4> buffer_{};
  std::size_t position_ = 4;
};

}  // namespace kvcast
