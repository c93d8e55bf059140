#include "reports/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/format.h"
#include "sim/base/error.h"
#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

/// A drawing in units that are CSS pixels at its natural width.
struct Frame {
  double width, height;
  double left, right, top, bottom;  // edges of the plot area
};

std::string open_svg(const std::string& id, const std::string& title, const std::string& description,
                     const Frame& frame) {
  return fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{}-t {}-d\">\n"
      "<title id=\"{}-t\">{}</title><desc id=\"{}-d\">{}</desc>\n",
      frame.width, frame.height, id, id, id, escaped(title), id, escaped(description));
}

enum class Anchor { start, middle, end };

std::string label(double x, double y, const std::string& text, Anchor anchor,
                  const char* css_class = "tick") {
  static constexpr const char* kAnchors[] = {"start", "middle", "end"};
  return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", css_class,
                     x, y, kAnchors[static_cast<int>(anchor)], escaped(text));
}

std::string segment(double x1, double y1, double x2, double y2, const char* css_class) {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                     css_class, x1, y1, x2, y2);
}

/// A tick's number: as few digits as tell it from its neighbours.
std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size >= 1 || size == 0) return fixed(value, value == std::floor(value) ? 0 : 1);
  std::string text = fixed(value, 6);
  while (text.back() == '0') text.pop_back();
  return text;
}

/// Estimated width of a label: 12-pixel system fonts average about 6.4 pixels a character.
double text_width(const std::string& text) { return 6.4 * static_cast<double>(text.size()); }

struct TimeUnit {
  double scale;  // of the given number
  const char* name;
};

TimeUnit unit_of_ms(double ms_max) { return ms_max >= 10'000 ? TimeUnit{1e-3, "s"} : TimeUnit{1, "ms"}; }

TimeUnit unit_of_seconds(double s_max) {
  if (s_max < 0.1) return {1e3, "ms"};
  if (s_max < 240) return {1, "s"};
  return s_max < 4 * 3600 ? TimeUnit{1.0 / 60, "min"} : TimeUnit{1.0 / 3600, "h"};
}

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

std::string x_axis(const Axis& axis, const Frame& frame, const std::string& title, int wanted) {
  std::string svg = segment(frame.left, frame.bottom, frame.right, frame.bottom, "axis");
  for (const double tick : axis.ticks(wanted)) {
    const double x = axis.at(tick);
    svg += segment(x, frame.bottom, x, frame.bottom + 4, "axis");
    svg += label(x, frame.bottom + 18, tick_text(tick), Anchor::middle);
  }
  return svg + label((frame.left + frame.right) / 2, frame.height - 4, title, Anchor::middle);
}

constexpr Frame kCdfFrame{360, 250, 44, 348, 22, 204};

/// A point on the curve with its text beside it: to the right and below, where the curve is not, or to the
/// left and above.
std::string mark(const CdfChart::Mark& mark, double x, double y, bool prefer_left) {
  const std::string text = mark.label + " " + latency(mark.ms);
  const bool room_left = x - kCdfFrame.left > text_width(text) + 10;
  const bool room_right = kCdfFrame.right - x > text_width(text) + 10;
  const bool left = prefer_left ? room_left : !room_right;
  std::string svg =
      fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"><title>{}</title></circle>\n",
                  x, y, escaped(text));
  return svg + (left ? label(x - 8, y - 5, text, Anchor::end, "note")
                     : label(x + 8, y + 13, text, Anchor::start, "note"));
}

/// The SLO: a dashed line at its limit, named at its foot, and a ring at the height that the curve must have
/// reached there.
std::string limit(const CdfChart::Mark& limit, double x, double y) {
  std::string svg = segment(x, kCdfFrame.top, x, kCdfFrame.bottom, "limit");
  if (limit.share > 0)
    svg += fmt::format("<circle class=\"ring\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"/>\n", x, y);
  const std::string text = "SLO " + limit.label + " " + latency(limit.ms);
  const bool right = kCdfFrame.right - x > text_width(text) + 8;
  return svg + label(right ? x + 6 : x - 6, kCdfFrame.bottom - 8, text, right ? Anchor::start : Anchor::end,
                     "limit-text");
}

Axis::Span span_of(const CdfChart& chart) {
  Axis::Span span{chart.curve.front().value_ns / 1e6, chart.curve.back().value_ns / 1e6};
  for (const CdfChart::Mark& slo : chart.limits) {
    span.min = std::min(span.min, slo.ms);
    span.max = std::max(span.max, slo.ms * 1.05);
  }
  if (span.max <= 0) span.max = 1;
  return span;
}

constexpr double kTimeHeight = 210;

Frame time_frame(int width) {
  const auto w = static_cast<double>(width);
  return {w, kTimeHeight, 52, w - 10, 30, 168};
}

struct Band {
  double x, min, mean, max;
};

/// Neighbouring values gathered into one band for each `pixels` pixels of the plot.
std::vector<Band> bands_of(const std::vector<double>& values, const Axis& x, double first, double spacing,
                           double pixels) {
  std::vector<Band> bands;
  double sum = 0;
  int count = 0;
  double bin_end = -1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double at = x.at(first + static_cast<double>(i) * spacing);
    if (bands.empty() || at >= bin_end) {
      bands.push_back({at, values[i], values[i], values[i]});
      bin_end = at + pixels;
      sum = 0;
      count = 0;
    }
    Band& band = bands.back();
    sum += values[i];
    ++count;
    band.min = std::min(band.min, values[i]);
    band.max = std::max(band.max, values[i]);
    band.mean = sum / count;
  }
  return bands;
}

std::string draw_series(const TimeChart::Series& series, const std::vector<Band>& bands, const Axis& y) {
  std::string line;
  std::string upper;
  std::string lower;
  bool wide = false;
  for (const Band& band : bands) {
    line += fmt::format("{}{:.1f} {:.1f}", line.empty() ? "M" : "L", band.x, y.at(band.mean));
    upper += fmt::format("{}{:.1f} {:.1f}", upper.empty() ? "M" : "L", band.x, y.at(band.max));
    lower = fmt::format("L{:.1f} {:.1f}", band.x, y.at(band.min)) + lower;
    wide = wide || band.max > band.min;
  }
  std::string svg;
  if (wide) svg += fmt::format("<path class=\"band {}\" d=\"{}{}Z\"/>\n", series.css_class, upper, lower);
  return svg + fmt::format("<path class=\"line {}\" d=\"{}\"/>\n", series.css_class, line);
}

std::string y_axis(const TimeChart& chart, const Axis& y, const Frame& frame) {
  std::string svg;
  for (const double tick : y.ticks(4)) {
    const std::string text = tick_text(tick) + (chart.is_percent ? " %" : "");
    svg += segment(frame.left, y.at(tick), frame.right, y.at(tick), "grid");
    svg += label(frame.left - 6, y.at(tick) + 4, text, Anchor::end);
  }
  return svg;
}

std::string legend(const TimeChart& chart, const Frame& frame) {
  std::string svg;
  double x = frame.left;
  for (const TimeChart::Series& series : chart.series) {
    svg += fmt::format("<path class=\"line {}\" d=\"M{:.1f} 12H{:.1f}\"/>\n", series.css_class, x, x + 22);
    svg += label(x + 28, 16, series.name, Anchor::start, "note");
    x += 28 + text_width(series.name) + 18;
  }
  return svg;
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

Axis Axis::fitted(Span values, Span pixels) {
  if (values.min > 0 && values.max > kLogFrom * values.min) return Axis(true, values, pixels);
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

std::string draw(const CdfChart& chart) {
  KVCAST_CHECK(!chart.curve.empty());
  const Frame& frame = kCdfFrame;
  const Axis::Span span = span_of(chart);
  const Axis x = Axis::fitted(span, {frame.left, frame.right});
  const Axis y = Axis::linear({0, 1}, {frame.bottom, frame.top});
  std::string svg = open_svg(chart.id, chart.title, chart.description, frame);
  for (const double share : {0.0, 0.5, 0.9, 1.0}) {
    svg += segment(frame.left, y.at(share), frame.right, y.at(share), "grid");
    svg += label(frame.left - 6, y.at(share) + 4, fmt::format("{:.0f} %", 100 * share), Anchor::end);
  }
  const TimeUnit unit = unit_of_ms(span.max);
  const Axis in_unit =
      Axis::fitted({span.min * unit.scale, span.max * unit.scale}, {frame.left, frame.right});
  svg += x_axis(in_unit, frame, std::string(unit.name) + (x.is_log() ? ", logarithmic" : ""), 5);
  std::string path;
  for (const CdfPoint& point : chart.curve) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x.at(point.value_ns / 1e6),
                        y.at(point.share));
  }
  for (const CdfChart::Mark& slo : chart.limits) svg += limit(slo, x.at(slo.ms), y.at(slo.share));
  svg += fmt::format("<path class=\"line blue\" d=\"{}\"/>\n", path);
  for (std::size_t i = 0; i < chart.marks.size(); ++i) {
    const CdfChart::Mark& point = chart.marks[i];
    svg += mark(point, x.at(point.ms), y.at(point.share), i + 1 == chart.marks.size());
  }
  return svg + "</svg>\n";
}

std::string draw(const TimeChart& chart) {
  KVCAST_CHECK(!chart.series.empty() && !chart.series.front().values.empty() && chart.spacing_ns > 0);
  const Frame frame = time_frame(chart.width);
  const double count = static_cast<double>(chart.series.front().values.size());
  const double first_s = static_cast<double>(chart.first_ns) / 1e9;
  const double spacing_s = static_cast<double>(chart.spacing_ns) / 1e9;
  const double last_s = first_s + (count - 1) * spacing_s;
  const TimeUnit unit = unit_of_seconds(last_s);
  const Axis x = Axis::linear({0, std::max(last_s, spacing_s) * unit.scale}, {frame.left, frame.right});
  double top = 4;  // so that counts get whole-numbered ticks
  for (const TimeChart::Series& series : chart.series) {
    top = std::max(top, *std::max_element(series.values.begin(), series.values.end()));
  }
  const Axis y = Axis::linear({0, top}, {frame.bottom, frame.top});
  std::string svg = open_svg(chart.id, chart.title, chart.description, frame);
  svg += y_axis(chart, y, frame);
  svg +=
      x_axis(x, frame, std::string("time since the first arrival, ") + unit.name, chart.width > 500 ? 10 : 4);
  constexpr double kPixelsPerBand = 3;
  for (const TimeChart::Series& series : chart.series) {
    const auto bands =
        bands_of(series.values, x, first_s * unit.scale, spacing_s * unit.scale, kPixelsPerBand);
    svg += draw_series(series, bands, y);
  }
  return svg + legend(chart, frame) + "</svg>\n";
}

std::string bar(double begin, double end, std::string_view css_class) {
  const double low = std::clamp(std::min(begin, end), 0.0, 1.0);
  const double high = std::clamp(std::max(begin, end), 0.0, 1.0);
  return fmt::format(
      "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
      "<rect class=\"rail\" width=\"1000\" height=\"10\"/>"
      "<rect class=\"{}\" x=\"{:.1f}\" width=\"{:.1f}\" height=\"10\"/></svg>",
      css_class, 1000 * low, high > low ? std::max(1.0, 1000 * (high - low)) : 0.0);
}

}  // namespace kvcast
