// The HTML report of a validation: forecast beside measurement.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "reports/charts.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/validation_report.h"
#include "reports/validation_text.h"

namespace kvcast {
namespace {

constexpr std::size_t kPointsMax = 2000;  // drawn; a page stays below 1 MB
constexpr std::size_t kLoadsMax = 150;    // listed
constexpr double kPlain = 0.05;           // an error up to which a cell keeps its colour
constexpr double kFullShade = 0.3;

/// The loads that are listed, in their order: those with the largest errors where there are too many.
std::vector<const ValidatedLoad*> listed(const Validation& validation) {
  std::vector<const ValidatedLoad*> loads;
  for (const ValidatedLoad& load : validation.loads) loads.push_back(&load);
  if (loads.size() <= kLoadsMax) return loads;
  const auto worst = [](const ValidatedLoad* load) { return std::abs(load->values[load->worst].error()); };
  std::vector<const ValidatedLoad*> sorted = loads;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const auto* a, const auto* b) { return worst(a) > worst(b); });
  const double least = worst(sorted[kLoadsMax - 1]);
  std::size_t room = kLoadsMax;
  std::erase_if(loads, [&](const ValidatedLoad* load) { return worst(load) < least || room-- == 0; });
  return loads;
}

std::string listed_text(const Validation& validation) {
  if (validation.loads.size() <= kLoadsMax) return "";
  return fmt::format(" The {} of {} loads with the largest errors are listed; --json has all.", kLoadsMax,
                     grouped(static_cast<std::int64_t>(validation.loads.size())));
}

std::string term_of(const std::string& metric, const std::string& text) {
  for (const char* key : {"ttft", "tpot", "itl", "ntpot", "e2el", "queue"}) {
    if (metric == key) return html_term(key, text);
  }
  if (metric == "request_throughput") return html_term("throughput", text);
  if (metric == "output_throughput") return html_term("output", text);
  return escaped(text);
}

/// Of a metric the middle and the tail; of the rates those that users ask for.
bool has_card(const ErrorSummary& summary) {
  for (const char* statistic : {"mean", "p50", "median", "p99"}) {
    if (summary.statistic == statistic) return true;
  }
  return summary.metric == "request_throughput" || summary.metric == "output_throughput";
}

std::string cards(const Validation& validation) {
  std::string html;
  for (const ErrorSummary& summary : summarize_errors(validation)) {
    if (!has_card(summary)) continue;
    const std::string name = label_of(summary.metric, summary.statistic);
    html += fmt::format(
        "<div class=\"card\"><div class=\"name\">{}</div><div class=\"value\">{:.1f} <small>%</small></div>"
        "<div class=\"def\">{}</div></div>\n",
        term_of(summary.metric, name), 100 * summary.median,
        summary.count == 1 ? "absolute error"
                           : fmt::format("median absolute error of {}; largest {:.1f} %", summary.count,
                                         100 * summary.largest));
  }
  return html_cards(html);
}

/// Without the folders of a run that is a file.
std::string short_title(const ValidatedLoad& load) {
  ValidatedLoad named;
  named.run = load.run.substr(load.run.rfind('/') + 1);
  named.load = load.load;
  return title_of(named);
}

// ---- Forecast against measurement
// ----------------------------------------------------------------------------

const char* colour_of(const std::string& metric) {
  constexpr std::array<std::pair<const char*, const char*>, 7> kColours = {
      {{"ttft", "blue"},
       {"tpot", "orange"},
       {"itl", "green"},
       {"e2el", "purple"},
       {"output_throughput", "blue"},
       {"request_throughput", "green"},
       {"total_token_throughput", "purple"}}};
  for (const auto& [name, colour] : kColours) {
    if (metric == name) return colour;
  }
  return "grey";
}

std::string metric_name(const ValidatedValue& value) {
  const std::string name = label_of(value.metric, value.statistic);
  return value.statistic.empty() ? name : name.substr(value.statistic.size() + 1);
}

std::string point_text(const ValidatedLoad& load, const ValidatedValue& value) {
  return fmt::format("{}: {} {} measured, {} forecast ({})", short_title(load),
                     label_of(value.metric, value.statistic), number_of(value, value.measured),
                     number_of(value, value.forecast), signed_percent(value.error()));
}

/// Dots within their interval (or without one), rings outside, one series of each for every metric.
std::vector<ChartSeries> series_of(const Validation& validation, bool latencies) {
  std::vector<ChartSeries> all;
  std::size_t count = 0;
  for (const ValidatedLoad& load : validation.loads) {
    for (const ValidatedValue& value : load.values) {
      if (value.statistic.empty() == latencies || value.forecast <= 0 || ++count > kPointsMax) continue;
      const bool outside = value.interval && !value.covered();
      const std::string name = metric_name(value) + (outside ? ", outside its interval" : "");
      auto series =
          std::find_if(all.begin(), all.end(), [&](const ChartSeries& one) { return one.name == name; });
      if (series == all.end())
        series = all.insert(all.end(), {name,
                                        colour_of(value.metric),
                                        outside ? ChartSeries::Form::rings : ChartSeries::Form::dots,
                                        {}});
      series->points.push_back({value.measured, value.forecast, point_text(load, value)});
    }
  }
  return all;
}

std::string scatter(const Validation& validation, bool latencies) {
  std::vector<ChartSeries> series = series_of(validation, latencies);
  double low = 1e300, high = 0;
  for (const ChartSeries& one : series) {
    for (const ChartPoint& point : one.points) {
      low = std::min({low, point.x, point.y});
      high = std::max({high, point.x, point.y});
    }
  }
  if (series.empty()) return "";
  XyChart chart;
  chart.id = latencies ? "scatter-latency" : "scatter-rate";
  chart.title = latencies ? "Latencies" : "Rates";
  chart.description = "On the line the forecast is what was measured; above it the forecast is higher.";
  const Quantity quantity = latencies ? Quantity::milliseconds : Quantity::number;
  chart.x = {latencies ? "measured" : "measured, per second", quantity};
  chart.y = {latencies ? "forecast" : "forecast, per second", quantity};
  chart.height = 300;
  // Both ends belong to both axes, so that the two have one scale.
  chart.series.push_back({"equal", "grey", ChartSeries::Form::line, {{low, low, ""}, {high, high, ""}}});
  for (ChartSeries& one : series) chart.series.push_back(std::move(one));
  return draw(chart);
}

std::string forecast_against_measured(const Validation& validation) {
  const std::string charts = scatter(validation, true) + scatter(validation, false);
  if (charts.empty()) return "";
  return html_section(
      "scatter", "Forecast against measurement",
      "Every number that was measured and forecast. " + escaped(coverage_text(validation)) + ".",
      "<div class=\"plots\">\n" + charts + "</div>\n");
}

// ---- Errors by load, and their causes
// -------------------------------------------------------------------------

std::string errors_by_load(const Validation& validation) {
  HeatTable heat;
  heat.row_title = "Load";
  const std::vector<ErrorSummary> columns = summarize_errors(validation);
  for (const ErrorSummary& column : columns)
    heat.columns.push_back(term_of(column.metric, label_of(column.metric, column.statistic)));
  for (const ValidatedLoad* load : listed(validation)) {
    std::vector<HeatTable::Cell> cells;
    for (const ErrorSummary& column : columns) {
      const auto value =
          std::find_if(load->values.begin(), load->values.end(), [&](const ValidatedValue& one) {
            return one.metric == column.metric && one.statistic == column.statistic;
          });
      if (value == load->values.end()) {
        cells.push_back({"-", 0});
        continue;
      }
      const double error = value->error();
      cells.push_back({signed_percent(error), std::abs(error) <= kPlain ? 0 : -error / kFullShade});
    }
    heat.rows.emplace_back(short_title(*load), std::move(cells));
  }
  return html_section(
      "errors", html_term("error", "Error") + " by load",
      "Forecast over measurement, less one. Orange: the forecast is higher; blue: it is lower; plain up "
      "to 5 %." +
          listed_text(validation),
      draw(heat));
}

std::string causes(const Validation& validation) {
  HtmlTable table("roomy",
                  {{"Load"}, {"Largest error", "num"}, {"Of"}, {html_term("cause")}, {"Parts", "source"}});
  for (const ValidatedLoad* load : listed(validation)) {
    const ValidatedValue& worst = load->values[load->worst];
    table.row({escaped(short_title(*load)), signed_percent(worst.error()),
               term_of(worst.metric, label_of(worst.metric, worst.statistic)), escaped(name_of(load->cause)),
               escaped(load->why)});
  }
  return html_section(
      "causes", "Where the errors come from",
      "The largest error of each load, and the part of the forecast that most of it comes from.",
      table.take());
}

std::string every_number(const Validation& validation) {
  HtmlTable table("roomy", {{"Load"},
                            {"Number"},
                            {"Measured", "num"},
                            {"Forecast", "num"},
                            {html_term("error"), "num"},
                            {html_term("interval"), "num"},
                            {"Within"}});
  for (const ValidatedLoad* load : listed(validation)) {
    for (const ValidatedValue& value : load->values) {
      const char* inside = !value.interval   ? "-"
                           : value.covered() ? "<span class=\"met\">&#10003; within</span>"
                                             : "<span class=\"missed\">&#10007; outside</span>";
      table.row({escaped(short_title(*load)), escaped(label_of(value.metric, value.statistic)),
                 number_of(value, value.measured), number_of(value, value.forecast),
                 signed_percent(value.error()), interval_of(value), inside});
    }
  }
  return html_section("numbers", "Every number", "Measured beside forecast.",
                      "<details><summary>Open the table</summary>\n" + table.take() + "</details>\n");
}

}  // namespace

std::string to_html(const Validation& validation) {
  HtmlPage page;
  page.title = "Validation of a forecast";
  page.sub = validation.title;
  page.verdict = verdict_of(validation);
  page.bad = validation.loads.empty();
  for (const std::string& note : validation.notes) page.warnings.push_back(escaped(note));
  if (!validation.loads.empty())
    page.body = cards(validation) + forecast_against_measured(validation) + errors_by_load(validation) +
                causes(validation) + every_number(validation);
  if (!validation.skipped.empty())
    page.body += html_section("skipped", "What was measured and not compared", "With the reason.",
                              html_list(validation.skipped));
  page.body +=
      html_assumptions(validation.assumptions) + html_origin({.facts = {{"Step times", validation.timer}},
                                                              .version = validation.version,
                                                              .command = validation.command,
                                                              .seed = validation.seed,
                                                              .inputs = validation.inputs,
                                                              .resolved = ""});
  return to_html(page);
}

}  // namespace kvcast
