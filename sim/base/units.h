/// Counts, names and times that do not mix: adding tokens to blocks, or nanoseconds to bytes, does not compile.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <ratio>

namespace kvcast {

/// The simulated clock: integer nanoseconds since the start of the run. It has no now(): only the event loop knows the time.
struct SimClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<SimClock>;
  static constexpr bool is_steady = true;
};
using Duration = SimClock::duration;
using Instant = SimClock::time_point;

constexpr Instant kNever = Instant::max();
constexpr Instant kStart = Instant{};

/// Step durations carry 20 fraction bits of a nanosecond (2^-20 ns), so that the sum of a run of decode steps has an exact closed
/// form in integers: an engine's clock keeps the fraction, everything the world sees is rounded down to nanoseconds.
using FineDuration = std::chrono::duration<std::int64_t, std::ratio<1, 1'048'576'000'000'000>>;
constexpr int kFineBits = 20;

/// A signed 128-bit sum: products of counts and nanoseconds over a long run exceed 64 bits.
__extension__ typedef __int128 Int128;

/// A count of one kind of thing. Arithmetic stays within the kind; scaling by plain integers is allowed.
template <class Tag>
struct Count {
  std::int64_t value = 0;

  constexpr Count() = default;
  constexpr explicit Count(std::int64_t v) : value(v) {}

  friend constexpr auto operator<=>(Count, Count) = default;
  friend constexpr Count operator+(Count a, Count b) { return Count{a.value + b.value}; }
  friend constexpr Count operator-(Count a, Count b) { return Count{a.value - b.value}; }
  friend constexpr Count operator*(Count a, std::int64_t k) { return Count{a.value * k}; }
  friend constexpr Count operator*(std::int64_t k, Count a) { return Count{a.value * k}; }
  constexpr Count& operator+=(Count b) { value += b.value; return *this; }
  constexpr Count& operator-=(Count b) { value -= b.value; return *this; }
  static constexpr Count max() { return Count{std::numeric_limits<std::int64_t>::max()}; }
};

using Tokens = Count<struct TokensTag>;
using Bytes = Count<struct BytesTag>;
using Blocks = Count<struct BlocksTag>;

/// ceil(a / b) for non-negative a and positive b.
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// A request's number in order of generation; ties everywhere are broken by it.
enum class RequestId : std::uint64_t {};
constexpr std::uint64_t to_number(RequestId id) { return static_cast<std::uint64_t>(id); }

/// Index of an engine replica within the cluster.
enum class ReplicaId : std::uint32_t {};
constexpr std::size_t to_index(ReplicaId id) { return static_cast<std::size_t>(id); }

}  // namespace kvcast
