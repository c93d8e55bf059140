#include "reports/fit_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/charts.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"

namespace kvcast {
namespace {

constexpr std::size_t kPointsMax = 2000;  // drawn; a page stays below 1 MB

std::string error_text(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string title_of(const FitPoint& point) {
  return fmt::format("{}: {:.4g} us measured, {:.4g} us forecast{}", point.kernel, point.us, point.forecast,
                     point.held_out ? ", held out" : "");
}

/// Rates that the best of the measured shapes reach.
std::string roofline(const std::vector<FitPoint>& points) {
  ChartSeries shapes{"a shape", "blue", ChartSeries::Form::dots, {}};
  double bandwidth = 0, rate = 0, low = 1e300, high = 0;
  for (const FitPoint& point : points) {
    if (point.bytes > 0) bandwidth = std::max(bandwidth, point.bytes / point.us * 1e-3);
    if (point.bytes <= 0 || point.flop <= 0) continue;
    const double intensity = point.flop / point.bytes;
    shapes.points.push_back({intensity, point.flop / point.us * 1e-3, title_of(point)});
    rate = std::max(rate, point.flop / point.us * 1e-3);
    low = std::min(low, intensity);
    high = std::max(high, intensity);
  }
  if (shapes.points.empty()) return "";
  const double ridge = std::clamp(rate / bandwidth, low, high);
  ChartSeries best{"the best reached", "orange", ChartSeries::Form::line, {}};
  for (const double intensity : {low, ridge, high})
    best.points.push_back({intensity, std::min(rate, intensity * bandwidth), ""});
  XyChart chart;
  chart.id = "roofline-chart";
  chart.title = "Roofline of the measured shapes";
  chart.description = fmt::format("The line is what the best shapes reached: {} GB/s and {} GFLOP/s.",
                                  significant(bandwidth), significant(rate));
  chart.x = {"FLOP per byte"};
  chart.y = {"GFLOP/s"};
  chart.series.push_back(std::move(best));
  chart.series.push_back(std::move(shapes));
  return html_section("roofline", "Roofline", "", draw(chart));
}

std::string residuals(const std::vector<FitPoint>& points) {
  ChartSeries seen{"seen by the fit", "blue", ChartSeries::Form::dots, {}};
  ChartSeries held_out{"held out", "orange", ChartSeries::Form::rings, {}};
  for (const FitPoint& point : points)
    (point.held_out ? held_out : seen)
        .points.push_back({point.us, point.forecast / point.us - 1, title_of(point)});
  XyChart chart;
  chart.id = "residuals-chart";
  chart.title = "Residuals of the fit";
  chart.description = "Forecast over measured time, less one: above zero the forecast is too slow.";
  chart.x = {"measured time, us"};
  chart.y = {"error", Quantity::share, ChartAxis::Scale::tight};
  chart.series.push_back(std::move(seen));
  chart.series.push_back(std::move(held_out));
  return html_section("residuals", "Residuals", "", draw(chart));
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
  double worst = 0.01;
  for (const FitRow& row : report.rows) worst = std::max(worst, row.p90);
  HtmlTable table("bars", {{"Kernel"},
                           {"Median to p90", "pic"},
                           {html_term("fit_error", "Median error"), "num"},
                           {"p90", "num"},
                           {"p99", "num"},
                           {"Measured time", "source"},
                           {html_term("held_out", "Points"), "num"}});
  for (const FitRow& row : report.rows)
    table.row({escaped(row.kernel),
               draw(Whisker{row.median, row.median, row.p90, true}, {0, worst * 1.05, 0}),
               error_text(row.median), error_text(row.p90), error_text(row.p99), escaped(row.decade),
               grouped(row.points)});
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
  for (const std::string& note : report.notes) page.warnings.push_back(escaped(note));
  page.body = html_section("hold-out", "Error on held-out points", escaped(report.held_out), table.take()) +
              roofline(drawn) + residuals(drawn) +
              html_origin({.facts = {},
                           .version = report.version,
                           .command = report.command,
                           .seed = report.seed,
                           .inputs = report.inputs,
                           .resolved = ""});
  return to_html(page);
}

}  // namespace kvcast
