#include "reports/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

/// Thousands separators for the digits before the point.
std::string separate(const std::string& digits) {
  const std::size_t first = digits[0] == '-' ? 1 : 0;
  const std::size_t point = std::min(digits.find('.'), digits.size());
  std::string result;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > first && i < point && (point - i) % 3 == 0) result += ',';
    result += digits[i];
  }
  return result;
}

struct Unit {
  double size;
  const char* name;
};

}  // namespace

std::string grouped(std::int64_t value) { return separate(fmt::format("{}", value)); }

std::string fixed(double value, int digits) {
  std::string text = fmt::format("{:.{}f}", value, digits);
  // A negative number that rounds to zero is zero.
  if (text[0] == '-' && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  return separate(text);
}

std::string significant(double value) {
  if (value == 0) return "0";
  constexpr int kDigitsMax = 9;
  double scaled = std::abs(value);
  int digits = 0;
  for (; scaled < 100 && digits < kDigitsMax; ++digits) scaled *= 10;
  // Rounding up may give a digit too many: 9.996 is "10.0", not "10.00".
  if (digits > 0 && std::round(scaled) >= 1000) --digits;
  return fixed(value, digits);
}

std::string latency(double ms) {
  const auto text = [](double value) {
    return value == std::floor(value) ? fixed(value, 0) : significant(value);
  };
  constexpr double kSecond = 1000;
  constexpr double kMinute = 60 * kSecond;
  constexpr double kHour = 60 * kMinute;
  if (ms < 10 * kSecond) return text(ms) + " ms";
  if (ms < 10 * kMinute) return text(ms / kSecond) + " s";
  if (ms < 2 * kHour) return text(ms / kMinute) + " min";
  return text(ms / kHour) + " h";
}

std::string bytes(std::int64_t value) {
  static constexpr std::array<Unit, 4> kUnits{
      {{0x1p40, "TiB"}, {0x1p30, "GiB"}, {0x1p20, "MiB"}, {0x1p10, "KiB"}}};
  const auto size = std::abs(static_cast<double>(value));
  for (const Unit& unit : kUnits) {
    if (size >= unit.size) return fixed(static_cast<double>(value) / unit.size, 2) + " " + unit.name;
  }
  return grouped(value) + " B";
}

std::string percent(double fraction) {
  const double value = 100 * fraction;
  return (std::abs(value) >= 0.95 || value == 0 ? fixed(value, 1) : significant(value)) + " %";
}

std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent) {
  std::string result;
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (used > 0 && used + 1 + word.size() > columns) {
      result += "\n" + std::string(indent, ' ');
      used = indent;
    } else if (used > 0) {
      result += ' ';
      ++used;
    }
    result += word;
    used += word.size();
  }
  return result;
}

const LatencyText& latency_text(std::string_view key) {
  std::vector<std::string> known;
  for (const LatencyText& text : kLatencies) {
    if (key == text.key) return text;
    known.emplace_back(text.key);
  }
  throw InputError("unknown latency \"" + std::string(key) + "\"" + known_names(key, known));
}

std::string interval_text(const Forecast& forecast, const std::string& metric, const std::string& statistic) {
  const UncertainValue* value = forecast.uncertainty.find(metric, statistic);
  if (value == nullptr) return "";
  return fmt::format("{:.0f} %: {} to {}", 100 * Uncertainty::kConfidence, latency(value->low),
                     latency(value->high));
}

std::string uncertainty_text(const Forecast& forecast) {
  const Uncertainty& uncertainty = forecast.uncertainty;
  if (!uncertainty.unknown.empty()) return "no error is known: " + uncertainty.unknown;
  if (uncertainty.values.empty()) return "";
  std::string text = fmt::format(
      "the {:.0f} % intervals come from runs with step times {:.1f} % slower and faster (one standard error "
      "is {:.1f} %)",
      100 * Uncertainty::kConfidence, 100 * Uncertainty::kStandardErrors * uncertainty.step_error,
      100 * uncertainty.step_error);
  if (uncertainty.frontend_error > 0)
    text += fmt::format(", and times before and after the engine by {:.0f} % a standard error",
                        100 * uncertainty.frontend_error);
  if (uncertainty.requests < forecast.metrics.completed)
    text += fmt::format("; the first {} requests stand for all", grouped(uncertainty.requests));
  return text;
}

}  // namespace kvcast
