/// Counts and times as traces write them, exact to the nanosecond.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/base/units.h"

namespace kvcast {

/// Most tokens a request may have on either side: beyond any context window, below what could overflow a sum.
inline constexpr std::int64_t kTokensMax = std::int64_t{1} << 30;
/// The most answers that one request may ask for (n, best_of, beam_width).
inline constexpr std::int64_t kAnswersMax = 4096;

/// Latest arrival: ten years after the start, so that times of a run never overflow.
inline constexpr std::int64_t kArrivalMaxNs = std::int64_t{10} * 366 * 86'400 * 1'000'000'000;

/// A whole non-negative decimal number; also one with a fraction of zeros ("12.0").
[[nodiscard]] std::optional<std::int64_t> parse_count(std::string_view text);

/// A non-negative decimal number of a unit that has `unit_digits` decimal digits of nanoseconds (seconds 9,
/// milliseconds 6, microseconds 3, nanoseconds 0), rounded half up to the nanosecond. Plain decimals are
/// exact; an exponent goes through double. \returns nullopt for anything else and beyond kArrivalMaxNs, or
/// absolute_max where that is larger
[[nodiscard]] std::optional<std::int64_t> parse_time_ns(std::string_view text, int unit_digits,
                                                        std::int64_t max_ns = kArrivalMaxNs);

/// Nanoseconds since 1970 of "2023-11-16 18:15:46.6805900" (T for the space; up to 9 fraction digits; Z or
/// +hh:mm after it). \returns nullopt for other text and for years outside 1970 to 2200
[[nodiscard]] std::optional<std::int64_t> parse_date_ns(std::string_view text);

}  // namespace kvcast
