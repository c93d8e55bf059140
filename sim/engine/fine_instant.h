/// The engine's own clock: nanoseconds with 20 fraction bits, in 128 bits, so that a run of steps adds up
/// without rounding.
#pragma once

#include "sim/base/units.h"

namespace kvcast {

/// A moment between nanoseconds. What the world sees of it is rounded down.
struct FineInstant {
  Int128 value = 0;  // units of 2^-20 ns

  constexpr FineInstant() = default;
  constexpr explicit FineInstant(Int128 v) : value(v) {}
  constexpr explicit FineInstant(Instant at)
      : value(static_cast<Int128>(at.time_since_epoch().count()) << kFineBits) {}

  [[nodiscard]] constexpr Instant floor() const {
    return Instant{Duration{static_cast<std::int64_t>(value >> kFineBits)}};
  }
  friend constexpr bool operator==(FineInstant a, FineInstant b) { return a.value == b.value; }
  friend constexpr bool operator<(FineInstant a, FineInstant b) { return a.value < b.value; }
  friend constexpr bool operator>(FineInstant a, FineInstant b) { return a.value > b.value; }
  friend constexpr bool operator<=(FineInstant a, FineInstant b) { return a.value <= b.value; }
  friend constexpr bool operator>=(FineInstant a, FineInstant b) { return a.value >= b.value; }
  friend constexpr FineInstant operator+(FineInstant a, Int128 fine) { return FineInstant{a.value + fine}; }
  friend constexpr Int128 operator-(FineInstant a, FineInstant b) { return a.value - b.value; }
};

}  // namespace kvcast
