#include "workloads/numbers.h"

#include <array>
#include <charconv>
#include <cmath>

#include "sim/base/text.h"

namespace kvcast {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

/// Takes exactly `digits` decimal digits off the front.
std::optional<std::int64_t> take_digits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  std::int64_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = 10 * value + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take_char(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date
/// algorithms").
std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = year / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

std::int64_t days_in_month(std::int64_t year, std::int64_t month) {
  constexpr std::array<std::int64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return kDays[static_cast<std::size_t>(month - 1)] + (month == 2 && leap ? 1 : 0);
}

std::optional<std::int64_t> take_days(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || *year < 1970 || *year > 2200 || !take_char(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || *month < 1 || *month > 12 || !take_char(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day || *day < 1 || *day > days_in_month(*year, *month)) return std::nullopt;
  return days_from_civil(*year, *month, *day);
}

/// "hh:mm", in minutes.
std::optional<std::int64_t> take_minutes(std::string_view& text) {
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take_char(text, ':')) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return *hours * 60 + *minutes;
}

/// A fraction ".6805900" in units of 10^-digits, rounded half up; 0 when there is none. `more` says whether a
/// digit was there.
std::optional<std::int64_t> take_fraction(std::string_view& text, int digits) {
  std::int64_t value = 0;
  int seen = 0;
  bool round_up = false;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    if (seen < digits) value = 10 * value + (text.front() - '0');
    if (seen == digits) round_up = text.front() >= '5';
    ++seen;
    text.remove_prefix(1);
  }
  if (seen == 0) return std::nullopt;
  for (int i = seen; i < digits; ++i) value *= 10;
  return value + (round_up ? 1 : 0);
}

/// "Z", "+hh:mm", "-hh:mm" or nothing, in minutes east of UTC.
std::optional<std::int64_t> take_zone(std::string_view& text) {
  if (text.empty() || take_char(text, 'Z')) return 0;
  const bool west = text.front() == '-';
  if (!take_char(text, '+') && !take_char(text, '-')) return std::nullopt;
  const auto minutes = take_minutes(text);
  if (!minutes) return std::nullopt;
  return west ? -*minutes : *minutes;
}

}  // namespace

std::optional<std::int64_t> parse_count(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || value < 0 || text.front() == '-') return std::nullopt;
  if (stop == end) return value;
  const std::string_view rest(stop, static_cast<std::size_t>(end - stop));
  const bool zero_fraction =
      rest.size() > 1 && rest.front() == '.' && rest.find_first_not_of('0', 1) == std::string_view::npos;
  if (!zero_fraction) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_time_ns(std::string_view text, int unit_digits, std::int64_t max_ns) {
  std::int64_t scale = 1;
  for (int i = 0; i < unit_digits; ++i) scale *= 10;
  std::int64_t whole = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, whole);
  if (error != std::errc{} || text.front() == '-') return std::nullopt;
  if (whole > max_ns / scale) return std::nullopt;
  std::string_view rest(stop, static_cast<std::size_t>(end - stop));
  std::int64_t fraction = 0;
  if (take_char(rest, '.')) {
    const auto digits = take_fraction(rest, unit_digits);
    if (!digits) return std::nullopt;
    fraction = *digits;
  }
  if (!rest.empty()) {  // an exponent, or no number at all
    const auto real = parse_real(text);
    if (!real || !(*real * static_cast<double>(scale) <= static_cast<double>(max_ns))) return std::nullopt;
    return std::llround(*real * static_cast<double>(scale));
  }
  const std::int64_t result = whole * scale + fraction;
  if (result > max_ns) return std::nullopt;
  return result;
}

std::optional<std::int64_t> parse_date_ns(std::string_view text) {
  const auto days = take_days(text);
  if (!days || (!take_char(text, ' ') && !take_char(text, 'T'))) return std::nullopt;
  const auto minutes = take_minutes(text);
  if (!minutes || !take_char(text, ':')) return std::nullopt;
  const auto seconds = take_digits(text, 2);
  if (!seconds || *seconds > 59) return std::nullopt;
  std::int64_t fraction = 0;
  if (take_char(text, '.')) {
    const auto digits = take_fraction(text, 9);
    if (!digits) return std::nullopt;
    fraction = *digits;
  }
  const auto zone = take_zone(text);
  if (!zone || !text.empty()) return std::nullopt;
  return ((*days * 1440 + *minutes - *zone) * 60 + *seconds) * kNsPerSecond + fraction;
}

}  // namespace kvcast
