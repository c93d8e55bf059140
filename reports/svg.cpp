#include "reports/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "reports/format.h"
#include "sim/base/error.h"
#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

/// The largest power of ten at or below a positive value, by IEEE multiplication alone: the C library's log10
/// and pow may differ in their last digit between machines, and equal runs must draw equal pictures.
double decade_below(double value) {
  double power = 1;
  while (power > value) power /= 10;
  while (power * 10 <= value) power *= 10;
  return power;
}

std::vector<double> linear_ticks(Axis::Span span, int wanted) {
  const double rough = (span.max - span.min) / wanted;
  double step = decade_below(rough);
  if (rough > 5 * step) {
    step *= 10;
  } else if (rough > 2 * step) {
    step *= 5;
  } else if (rough > step) {
    step *= 2;
  }
  std::vector<double> ticks;
  const auto first = static_cast<std::int64_t>(std::ceil(span.min / step - 1e-9));
  const auto last = static_cast<std::int64_t>(std::floor(span.max / step + 1e-9));
  for (std::int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::vector<double> log_ticks(Axis::Span span, int wanted) {
  std::vector<double> tens;
  std::vector<double> all;
  double power = decade_below(span.min);
  while (power <= span.max) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double tick = digit * power;
      if (tick < span.min || tick > span.max) continue;
      all.push_back(tick);
      if (digit == 1.0) tens.push_back(tick);
    }
    power *= 10;
  }
  return static_cast<int>(all.size()) <= wanted + 1 || tens.size() < 2 ? all : tens;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default: {
        const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t';
        result += control ? std::string("\xEF\xBF\xBD") : std::string(1, c);
      }
    }
  }
  return result;
}

Axis Axis::linear(Span values, Span pixels) {
  KVCAST_CHECK(values.max > values.min);
  return Axis(false, values, pixels);
}

Axis Axis::logarithmic(Span values, Span pixels) {
  KVCAST_CHECK(values.min > 0);
  KVCAST_CHECK(values.max > values.min);
  return Axis(true, values, pixels);
}

Axis Axis::fitted(Span values, Span pixels) {
  if (values.min > 0 && values.max > kLogFrom * values.min) return logarithmic(values, pixels);
  return linear({0, values.max}, pixels);
}

double Axis::at(double value) const {
  const double share = log_ ? portable_log(std::max(value, values_.min) / values_.min) /
                                  portable_log(values_.max / values_.min)
                            : (value - values_.min) / (values_.max - values_.min);
  return pixels_.min + std::clamp(share, 0.0, 1.0) * (pixels_.max - pixels_.min);
}

std::vector<double> Axis::ticks(int wanted) const {
  return log_ ? log_ticks(values_, wanted) : linear_ticks(values_, wanted);
}

std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size >= 1e6) return fixed(value / 1e6, value / 1e6 == std::floor(value / 1e6) ? 0 : 1) + " M";
  if (size >= 1) return fixed(value, value == std::floor(value) ? 0 : 1);
  std::string text = fixed(value, 6);
  while (text.back() == '0') text.pop_back();
  return text;
}

}  // namespace kvcast
