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
  return draw(chart);
}

std::string scatter(const std::vector<FitPoint>& points) {
  ChartSeries seen{"seen by the fit", "blue", ChartSeries::Form::dots, {}};
  ChartSeries held_out{"held out", "orange", ChartSeries::Form::rings, {}};
  double low = 1e300, high = 0;
  for (const FitPoint& point : points) {
    if (point.us <= 0 || point.forecast <= 0) continue;
    (point.held_out ? held_out : seen).points.push_back({point.us, point.forecast, title_of(point)});
    low = std::min({low, point.us, point.forecast});
    high = std::max({high, point.us, point.forecast});
  }
  if (high <= 0) return "";
  XyChart chart;
  chart.id = "fit-chart";
  chart.title = "Forecast against measured time";
  chart.description = "On the line the fit gives what was measured; above it the fit is too slow.";
  chart.x = {"measured, us"};
  chart.y = {"forecast, us"};
  chart.height = 300;
  // Both ends belong to both axes, so that the two have one scale.
  chart.series = {{"equal", "grey", ChartSeries::Form::line, {{low, low, ""}, {high, high, ""}}},
                  std::move(seen),
                  std::move(held_out)};
  return draw(chart);
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
  return draw(chart);
}

std::string pictures(const std::vector<FitPoint>& points) {
  const std::string charts = scatter(points) + residuals(points) + roofline(points);
  if (charts.empty()) return "";
  return html_section("pictures", "Every measurement", "Point at one to see what it is of.",
                      "<div class=\"plots\">\n" + charts + "</div>\n");
}

std::string rows_table(const FitReport& report) {
  double worst = 0.01;
  bool seen = false;
  for (const FitRow& row : report.rows) {
    worst = std::max({worst, row.p90, row.seen_p90});
    seen = seen || row.seen_points > 0;
  }
  const char* error = report.log_errors ? "log_error" : "fit_error";
  std::vector<HtmlTable::Column> columns = {{report.row_name},
                                            {"Measured time", "source"},
                                            {"Median to p90", "pic"},
                                            {html_term("held_out", "Held out"), "num"},
                                            {html_term(error, "Median"), "num"},
                                            {"p90", "num"},
                                            {"p99", "num"}};
  if (seen)
    for (const char* name : {"Seen by the fit", "Median", "p90"}) columns.push_back({name, "num"});
  HtmlTable table("bars many", columns);
  for (const FitRow& row : report.rows) {
    std::vector<std::string> cells = {escaped(row.kernel), escaped(row.decade)};
    if (row.points > 0) {
      cells.insert(cells.end(),
                   {draw(Whisker{row.median, row.median, row.p90, true}, {0, worst * 1.05, 0}),
                    grouped(row.points), error_text(row.median), error_text(row.p90), error_text(row.p99)});
    } else {
      cells.insert(cells.end(), {"", "0", "-", "-", "-"});
    }
    if (seen) {
      cells.push_back(grouped(row.seen_points));
      cells.push_back(row.seen_points > 0 ? error_text(row.seen_median) : "-");
      cells.push_back(row.seen_points > 0 ? error_text(row.seen_p90) : "-");
    }
    table.row(cells, row.decade == "all" ? "total" : "");
  }
  return table.take();
}

std::string terms_table(const FitReport& report) {
  if (report.terms.empty()) return "";
  const bool several = report.terms.front().fit != report.terms.back().fit;
  HtmlTable table("compact", {{"Each"}, {"us", "num"}, {"Standard error, us", "num"}});
  for (const FitTerm& term : report.terms)
    table.row({escaped(several ? term.fit + ": " + term.term : term.term), fmt::format("{:.4g}", term.us),
               fmt::format("{:.2g}", term.us_error)});
  return html_section("terms", "What a step takes",
                      "A step's time is the sum of these, each times its count.", table.take());
}

std::string runs_table(const FitReport& report) {
  if (report.runs.empty()) return "";
  HtmlTable table("roomy", {{"Run held out"},
                            {"Steps", "num"},
                            {html_term("fit_error", "Median error"), "num"},
                            {"p90", "num"},
                            {"Speed", "num"},
                            {"Median with it", "num"},
                            {"p90 with it", "num"}});
  for (const FitRun& run : report.runs)
    table.row({escaped(run.fit.empty() ? run.run : run.fit + ": " + run.run), grouped(run.steps),
               error_text(run.median), error_text(run.p90), fixed(run.speed, 3),
               error_text(run.scaled_median), error_text(run.scaled_p90)});
  return html_section(
      "runs", "Each run judged by all others",
      "The fit has seen nothing of the run. Speed: its single-sequence decode steps over their forecast; "
      "the last columns are the errors once that one number is known.",
      table.take());
}

}  // namespace

std::string to_html(const FitReport& report) {
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
      html_section("hold-out", "How far the fit is off", escaped(report.held_out), rows_table(report)) +
      runs_table(report) + terms_table(report) + pictures(drawn) +
      (report.notes.empty() ? ""
                            : html_section("notes", "Measured of the device", "", html_list(report.notes))) +
      html_origin({.facts = {},
                   .version = report.version,
                   .command = report.command,
                   .seed = report.seed,
                   .inputs = report.inputs,
                   .resolved = ""});
  return to_html(page);
}

}  // namespace kvcast
