#include "reports/fit_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/svg.h"
#include "reports/text_table.h"

namespace kvcast {
namespace {

constexpr double kWidth = 920, kHeight = 340;
constexpr Axis::Span kAcross{56, 905}, kUp{300, 14};  // pixels
constexpr std::size_t kPointsMax = 3000;              // drawn; a page stays below 1 MB

std::string error_text(double share) { return fmt::format("{:.1f} %", 100 * share); }

struct Mark {
  double x = 0, y = 0;
  const char* css_class = "dot";
  std::string title;
};

struct Scatter {
  std::string id, title, description, x_title, y_title;
  std::vector<Mark> marks;
  std::vector<std::pair<std::pair<double, double>, std::pair<double, double>>> lines;
  bool residuals = false;  // the y axis is linear, within the marks
};

Axis::Span span_of(const Scatter& scatter, bool across) {
  Axis::Span span{1e300, -1e300};
  for (const Mark& mark : scatter.marks) {
    span.min = std::min(span.min, across ? mark.x : mark.y);
    span.max = std::max(span.max, across ? mark.x : mark.y);
  }
  if (!across)
    for (const auto& [from, to] : scatter.lines) span.max = std::max({span.max, from.second, to.second});
  if (span.max <= span.min) return {span.min * 0.9, span.max * 1.1};
  return span;
}

std::string axes(const Axis& x, const Axis& y, const Scatter& scatter) {
  std::string svg;
  for (const double tick : x.ticks(9)) {
    svg += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\"/>\n",
                       x.at(tick), kUp.min, kUp.max);
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:g}</text>\n",
                       x.at(tick), kUp.min + 16, tick);
  }
  for (const double tick : y.ticks(6)) {
    svg += fmt::format("<line class=\"grid\" x1=\"{1}\" y1=\"{0:.1f}\" x2=\"{2}\" y2=\"{0:.1f}\"/>\n",
                       y.at(tick), kAcross.min, kAcross.max);
    svg += fmt::format("<text class=\"tick\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>\n",
                       kAcross.min - 6, y.at(tick) + 4, tick);
  }
  svg += fmt::format("<text class=\"tick\" x=\"{:.0f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                     (kAcross.min + kAcross.max) / 2, kHeight - 4, escaped(scatter.x_title));
  return svg + fmt::format("<text class=\"tick\" x=\"4\" y=\"10\">{}</text>\n", escaped(scatter.y_title));
}

std::string draw(const Scatter& scatter) {
  if (scatter.marks.empty()) return "";
  const Axis x = Axis::fitted(span_of(scatter, true), kAcross);
  const Axis::Span values = span_of(scatter, false);
  const Axis y = scatter.residuals
                     ? Axis::linear({std::min(values.min, -0.1), std::max(values.max, 0.1)}, kUp)
                     : Axis::fitted(values, kUp);
  std::string svg = fmt::format(
      "<figure><svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{}-t {}-d\">\n"
      "<title id=\"{}-t\">{}</title><desc id=\"{}-d\">{}</desc>\n",
      kWidth, kHeight, scatter.id, scatter.id, scatter.id, escaped(scatter.title), scatter.id,
      escaped(scatter.description));
  svg += axes(x, y, scatter);
  for (const auto& [from, to] : scatter.lines)
    svg += fmt::format("<line class=\"limit\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                       x.at(from.first), y.at(from.second), x.at(to.first), y.at(to.second));
  for (const Mark& mark : scatter.marks)
    svg +=
        fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{}</title></circle>\n",
                    mark.css_class, x.at(mark.x), y.at(mark.y), escaped(mark.title));
  return svg + "</svg><figcaption>" + escaped(scatter.description) + "</figcaption></figure>\n";
}

std::string title_of(const FitPoint& point) {
  return fmt::format("{}: {:.4g} us measured, {:.4g} us forecast{}", point.kernel, point.us, point.forecast,
                     point.held_out ? ", held out" : "");
}

/// Rates that the best of the measured shapes reach.
std::string roofline(const std::vector<FitPoint>& points) {
  Scatter scatter;
  scatter.id = "roofline";
  scatter.title = "Roofline of the measured shapes";
  scatter.x_title = "FLOP per byte";
  scatter.y_title = "GFLOP/s";
  double bandwidth = 0, rate = 0, low = 1e300, high = 0;
  for (const FitPoint& point : points) {
    if (point.bytes > 0) bandwidth = std::max(bandwidth, point.bytes / point.us * 1e-3);
    if (point.bytes <= 0 || point.flop <= 0) continue;
    const double intensity = point.flop / point.bytes;
    scatter.marks.push_back({intensity, point.flop / point.us * 1e-3, "dot", title_of(point)});
    rate = std::max(rate, point.flop / point.us * 1e-3);
    low = std::min(low, intensity);
    high = std::max(high, intensity);
  }
  if (scatter.marks.empty()) return "";
  const double ridge = std::clamp(rate / bandwidth, low, high);
  scatter.lines.push_back(
      {{low, std::min(rate, low * bandwidth)}, {ridge, std::min(rate, ridge * bandwidth)}});
  scatter.lines.push_back({{ridge, std::min(rate, ridge * bandwidth)}, {high, rate}});
  scatter.description = fmt::format(
      "Each dot is a shape. The lines are what the best shapes reached: {:.4g} GB/s and {:.4g} GFLOP/s.",
      bandwidth, rate);
  return draw(scatter);
}

std::string residuals(const std::vector<FitPoint>& points) {
  Scatter scatter;
  scatter.id = "residuals";
  scatter.title = "Residuals of the fit";
  scatter.description =
      "Forecast over measured time, less one, in percent. Filled: seen by the fit. Rings: held out.";
  scatter.x_title = "measured time, us";
  scatter.y_title = "%";
  scatter.residuals = true;
  for (const FitPoint& point : points)
    scatter.marks.push_back(
        {point.us, 100 * (point.forecast / point.us - 1), point.held_out ? "ring" : "dot", title_of(point)});
  return draw(scatter);
}

}  // namespace

std::string hold_out_text(const std::vector<FitRow>& rows) {
  std::string text = fmt::format("{:<20} {:<16} {:>7} {:>9} {:>8} {:>8}\n", "Held-out points",
                                 "measured time", "points", "median", "p90", "p99");
  for (const FitRow& row : rows)
    text += fmt::format("{:<20} {:<16} {:>7} {:>9} {:>8} {:>8}\n", row.kernel, row.decade, row.points,
                        error_text(row.median), error_text(row.p90), error_text(row.p99));
  return text;
}

std::string to_html(const FitReport& report) {
  HtmlTable table("bars", {{"Kernel"},
                           {"Measured time"},
                           {"Held-out points", "num"},
                           {"Median error", "num"},
                           {"p90", "num"},
                           {"p99", "num"}});
  for (const FitRow& row : report.rows)
    table.row({escaped(row.kernel), escaped(row.decade), std::to_string(row.points), error_text(row.median),
               error_text(row.p90), error_text(row.p99)});
  std::vector<FitPoint> drawn = report.points;
  if (drawn.size() > kPointsMax) {
    // An even choice of them in order of time.
    std::stable_sort(drawn.begin(), drawn.end(),
                     [](const FitPoint& a, const FitPoint& b) { return a.us < b.us; });
    for (std::size_t i = 0; i < kPointsMax; ++i) drawn[i] = drawn[i * drawn.size() / kPointsMax];
    drawn.resize(kPointsMax);
  }
  HtmlPage page;
  page.title = report.title;
  page.sub = report.sub;
  page.verdict = report.verdict;
  page.body =
      html_section("hold-out", "Error on held-out points",
                   "A seventh of the shapes of each kernel was kept from the fit that is judged here.",
                   "<div class=\"scroll\">" + table.take() + "</div>") +
      html_section("roofline-section", "Roofline", "", roofline(drawn)) +
      html_section("residuals-section", "Residuals", "", residuals(drawn)) +
      html_section("command", "Command", "", "<p><code>" + escaped(report.command) + "</code></p>");
  return to_html(page);
}

}  // namespace kvcast
