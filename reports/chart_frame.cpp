#include "reports/chart_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace kvcast {
namespace {

/// Labels are placed for the narrowest plot; in a wider one they only move apart.
constexpr double kNarrow = 270;
/// Widths from which more ticks show; report.css has the same.
constexpr std::array<double, 3> kTiers{kNarrow, 420, 720};
constexpr std::array<const char*, 3> kTierClasses{"tick", "tick t1", "tick t2"};
constexpr double kLineHeight = 15;

/// Estimated width of a label: 12-pixel system fonts average below 6.7 pixels a character.
double text_width(const std::string& text) { return 6.7 * static_cast<double>(text.size()); }

Axis axis_of(const ChartAxis& axis, Axis::Span values, Axis::Span pixels) {
  if (axis.scale == ChartAxis::Scale::tight) {
    values = {std::min(values.min, 0.0), std::max(values.max, 0.0)};
    if (values.max <= values.min) values = {-1, 1};
    return Axis::linear(values, pixels);
  }
  if (!(values.max > 0)) values.max = 1;
  if (axis.scale == ChartAxis::Scale::zero) return Axis::linear({0, values.max}, pixels);
  return Axis::fitted(values, pixels);
}

std::string text(double x_percent, double y, double dx, const char* anchor, const char* css_class,
                 const std::string& words) {
  return fmt::format(
      "<text class=\"{}\" x=\"{:.2f}%\" y=\"{:.1f}\" dx=\"{:.0f}\" text-anchor=\"{}\">{}</text>\n", css_class,
      x_percent, y, dx, anchor, escaped(words));
}

std::string line(const char* css_class, double x1, double y1, double x2, double y2) {
  return fmt::format("<line class=\"{}\" x1=\"{:.2f}%\" y1=\"{:.1f}\" x2=\"{:.2f}%\" y2=\"{:.1f}\"/>\n",
                     css_class, x1, y1, x2, y2);
}

}  // namespace

AxisUnit unit_of(Quantity quantity, double max) {
  switch (quantity) {
    case Quantity::number:
      return {};
    case Quantity::share:
      return {100, "", " %"};
    case Quantity::milliseconds:
      return max >= 10'000 ? AxisUnit{1e-3, "s", ""} : AxisUnit{1, "ms", ""};
    case Quantity::seconds:
      break;
  }
  if (max < 1) return {1e3, "ms", ""};
  if (max < 240) return {1, "s", ""};
  return max < 4 * 3600 ? AxisUnit{1.0 / 60, "min", ""} : AxisUnit{1.0 / 3600, "h", ""};
}

ChartScale::ChartScale(const ChartAxis& axis_wanted, Axis::Span values, Axis::Span pixels)
    : unit(unit_of(axis_wanted.quantity, values.max)),
      axis(axis_of(axis_wanted, {values.min * unit.scale, values.max * unit.scale}, pixels)),
      name(axis_wanted.title) {}

std::string ChartScale::title() const {
  std::string words = name;
  if (*unit.name != '\0') words += fmt::format("{}{}", words.empty() ? "" : ", ", unit.name);
  if (axis.is_log()) words += " (logarithmic)";
  return words;
}

ChartFrame::ChartFrame(ChartScale x, ChartScale y, int height,
                       std::vector<std::pair<double, std::string>> y_ticks)
    : x_(std::move(x)), y_(std::move(y)), height_(height) {
  y_axis(std::move(y_ticks));
  x_axis();
}

void ChartFrame::y_axis(std::vector<std::pair<double, std::string>> ticks) {
  if (ticks.empty()) {
    for (const double tick : y_.axis.ticks(height_ < 200 ? 3 : 5))
      ticks.emplace_back(y_.axis.at(tick), tick_text(tick) + y_.unit.suffix);
  }
  double widest = 0;
  for (const auto& [at, words] : ticks) {
    svg_ += line("grid", 0, at, 100, at) + text(0, at + 4, -7, "end", "tick", words);
    widest = std::max(widest, text_width(words));
  }
  left_ = static_cast<int>(std::ceil(widest)) + 12;
}

void ChartFrame::x_axis() {
  svg_ += line("axis", 0, height_, 100, height_);
  std::vector<std::pair<double, double>> shown;  // percent, half of the text's width
  std::vector<double> ticks = x_.axis.ticks(10);
  for (std::size_t tier = 0; tier < kTiers.size(); ++tier) {
    for (double& tick : ticks) {
      if (std::isnan(tick)) continue;
      const std::string words = tick_text(tick) + x_.unit.suffix;
      const double at = x_.axis.at(tick);
      const double half = text_width(words) / 2 + 5;
      const bool fits = std::all_of(shown.begin(), shown.end(), [&](const auto& other) {
        return std::abs(other.first - at) / 100 * kTiers[tier] >= other.second + half;
      });
      if (!fits) continue;
      shown.emplace_back(at, half);
      svg_ += line("axis", at, height_, at, height_ + 4) +
              text(at, height_ + 18, 0, "middle", kTierClasses[tier], words);
      tick = std::nan("");
    }
  }
}

void ChartFrame::flush_paths() {
  if (paths_.empty()) return;
  svg_ += fmt::format(
      "<svg width=\"100%\" height=\"{0}\" viewBox=\"0 0 1000 {0}\" "
      "preserveAspectRatio=\"none\">\n{1}</svg>\n",
      height_, paths_);
  paths_.clear();
}

void ChartFrame::path(const std::string& css_class, const std::string& d) {
  if (!d.empty()) paths_ += fmt::format("<path class=\"{}\" d=\"{}\"/>\n", css_class, d);
}

std::string ChartFrame::point_text(double value_x, double value_y) const {
  return fmt::format("{:.1f} {:.1f}", 10 * x(value_x), y(value_y));
}

void ChartFrame::circle(const char* css_class, double value_x, double value_y, double radius,
                        const std::string& label) {
  flush_paths();
  svg_ += fmt::format("<circle class=\"{}\" cx=\"{:.2f}%\" cy=\"{:.1f}\" r=\"{}\"", css_class, x(value_x),
                      y(value_y), radius);
  svg_ += label.empty() ? "/>\n" : fmt::format("><title>{}</title></circle>\n", escaped(label));
}

void ChartFrame::rect(const std::string& css_class, double x_percent, double width_percent, double top,
                      double bottom, const std::string& label) {
  flush_paths();
  svg_ += fmt::format("<rect class=\"{}\" x=\"{:.3f}%\" width=\"{:.3f}%\" y=\"{:.1f}\" height=\"{:.1f}\"",
                      css_class, x_percent, width_percent, top, bottom - top);
  svg_ += label.empty() ? "/>\n" : fmt::format("><title>{}</title></rect>\n", escaped(label));
}

void ChartFrame::text_beside(double px, double py, const std::string& words, const char* css_class,
                             bool prefer_left) {
  constexpr double kGap = 8;
  const double anchor = px / 100 * kNarrow;
  const double width = text_width(words);
  // Right and below where a rising curve is not, left and above likewise; then wherever there is room.
  for (const double shift : {0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 4.0, 5.0, 6.0}) {
    for (const bool left : {prefer_left, !prefer_left}) {
      const double base = py + (left ? -5 : 13) + shift * kLineHeight;
      const Box box{left ? anchor - kGap - width : anchor + kGap,
                    left ? anchor - kGap : anchor + kGap + width, base - 12, base + 3};
      if (box.left < 0 || box.right > kNarrow + 6 || box.top < -14 || box.bottom > height_) continue;
      const bool free = std::none_of(taken_.begin(), taken_.end(), [&](const Box& other) {
        return box.left < other.right && other.left < box.right && box.top < other.bottom &&
               other.top < box.bottom;
      });
      if (!free) continue;
      taken_.push_back(box);
      svg_ += text(px, base, left ? -kGap : kGap, left ? "end" : "start", css_class, words);
      return;
    }
  }
}

void ChartFrame::limit(const ChartLimit& limit) {
  flush_paths();
  if (limit.upright) {
    const double at = x(limit.at);
    svg_ += line("limit", at, 0, at, height_);
    if (limit.height > 0) circle("ring", limit.at, y(limit.height), 5, "");
    text_beside(at, height_ - 21, limit.label, "limit-text", at > 50);
    return;
  }
  const double at = y(limit.at);
  svg_ += line("limit", 0, at, 100, at);
  text_beside(100, at, limit.label, "limit-text", true);
}

void ChartFrame::mark(const ChartMark& mark) {
  circle("dot blue", mark.x, mark.y, 3.5, mark.label);
  text_beside(x(mark.x), y(mark.y), mark.label, "note", x(mark.x) > 70);
}

std::string ChartFrame::take(const Words& words, const std::vector<LegendEntry>& legend,
                             const std::string& after) {
  flush_paths();
  std::string html =
      fmt::format("<figure class=\"plot\" id=\"{}\">\n<h3>{}</h3>\n", words.id, escaped(words.title));
  if (words.caption && !words.description.empty())
    html += "<figcaption>" + escaped(words.description) + "</figcaption>\n";
  if (!legend.empty()) {
    html += "<ul class=\"legend\">";
    for (const LegendEntry& entry : legend)
      html += fmt::format("<li><span class=\"key {} {}\"></span>{}</li>", entry.kind, entry.colour,
                          escaped(entry.name));
    html += "</ul>\n";
  }
  if (!y_.title().empty()) html += "<p class=\"y-title\">" + escaped(y_.title()) + "</p>\n";
  html += fmt::format(
      "<div class=\"frame\" style=\"padding-left:{0}px\"><svg class=\"chart\" style=\"height:{1}px\" "
      "role=\"img\" "
      "aria-labelledby=\"{2}-t {2}-d\">\n<title id=\"{2}-t\">{3}</title><desc id=\"{2}-d\">{4}</desc>\n",
      left_, height_ + 24, words.id, escaped(words.title), escaped(words.description));
  html += svg_ + "</svg></div>\n";
  if (!x_.title().empty()) html += "<p class=\"x-title\">" + escaped(x_.title()) + "</p>\n";
  return html + after + "</figure>\n";
}

}  // namespace kvcast
