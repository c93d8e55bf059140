// The HTML report of a comparison.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/compare_report.h"
#include "reports/compare_text.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/svg.h"

namespace kvcast {
namespace {

/// From the lowest to the highest end of all intervals of one metric, zero among them.
WhiskerScale scale_of(const Comparison& comparison, std::size_t at) {
  WhiskerScale scale{0, 0, 0};
  for (const ComparedCell& cell : comparison.cells) {
    if (cell.differences.empty()) continue;
    const Difference& difference = cell.differences[at];
    if (std::isnan(difference.absolute)) continue;
    const Interval interval =
        difference.interval.value_or(Interval{difference.absolute, difference.absolute});
    scale.low = std::min({scale.low, interval.low, difference.absolute});
    scale.high = std::max({scale.high, interval.high, difference.absolute});
  }
  return scale;
}

std::string picture(const Difference& difference, const WhiskerScale& scale) {
  if (std::isnan(difference.absolute)) return "";
  const Interval interval = difference.interval.value_or(Interval{difference.absolute, difference.absolute});
  return draw(Whisker{difference.absolute, interval.low, interval.high, difference.significant}, scale);
}

std::string one_metric(const Comparison& comparison, std::size_t at) {
  const ComparedMetric& metric = compared_metrics()[at];
  const ComparedCell& base = comparison.cells[comparison.baseline];
  HtmlTable table("bars", {{"Deployment"},
                           {"Change and interval", "pic"},
                           {"Value", "num"},
                           {"Change", "num"},
                           {"90 % interval", "source"}});
  const WhiskerScale scale = scale_of(comparison, at);
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.refusal.empty()) continue;
    if (cell.differences.empty()) {
      table.row({escaped(cell.label), "", value_text(metric, cell.values[at]), "", "baseline"}, "base");
      continue;
    }
    const Difference& difference = cell.differences[at];
    const std::string mark = difference.significant ? " <span class=\"met\">significant</span>" : "";
    table.row({escaped(cell.label), picture(difference, scale), value_text(metric, cell.values[at]),
               change_text(metric, difference), interval_text(metric, difference, base.values[at]) + mark});
  }
  return fmt::format("<h3>{}</h3>\n", escaped(metric.title)) + table.take();
}

std::string every_number(const Comparison& comparison, const ComparedCell& cell) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  HtmlTable table(
      "roomy",
      {{"Metric"}, {"Baseline", "num"}, {"This", "num"}, {"Change", "num"}, {"90 % interval", "source"}});
  for (std::size_t at = 0; at < cell.values.size(); ++at) {
    if (!is_shown(comparison, at)) continue;
    const ComparedMetric& metric = compared_metrics()[at];
    const Difference& difference = cell.differences[at];
    table.row({metric.title, value_text(metric, base.values[at]), value_text(metric, cell.values[at]),
               change_text(metric, difference),
               interval_text(metric, difference, base.values[at]) +
                   (difference.significant ? " <span class=\"met\">significant</span>" : "")});
  }
  return fmt::format("<details><summary>{}: every number</summary>\n<p class=\"lead\">{}</p>\n{}</details>\n",
                     escaped(cell.label), escaped(cell_sentence(comparison, cell)), table.take());
}

std::string refusals(const Comparison& comparison) {
  std::string list;
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.refusal.empty())
      list += "<li><b>" + escaped(cell.label) + "</b>: " + escaped(cell.refusal) + "</li>\n";
  }
  if (list.empty()) return "";
  return html_section("refused", "What could not be run", "With the reason.", "<ul>\n" + list + "</ul>\n");
}

std::string origin(const Comparison& comparison) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  std::string list;
  const auto pair = [&](const char* term, const std::string& text) {
    if (!text.empty()) list += fmt::format("<dt>{}</dt><dd>{}</dd>\n", term, escaped(text));
  };
  pair("Model", base.forecast.model);
  pair("Workload", base.forecast.workload);
  pair("Step times", base.forecast.timer + (base.forecast.calibrated ? "" : " (uncalibrated)"));
  pair("Baseline", base.label + ": " + base.forecast.cluster + "; " + base.forecast.engine);
  pair("Version", "kvcast " + comparison.version);
  pair("Seed", fmt::format("{}", comparison.seed));
  pair("Command", comparison.command);
  return html_section("origin", "What was compared",
                      "Equal scenarios, seed and version give an equal report.", "<dl>\n" + list + "</dl>\n");
}

}  // namespace

std::string to_html(const Comparison& comparison) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  HtmlPage page;
  page.title = "Comparison: " + base.forecast.title;
  page.sub = base.forecast.workload;
  page.verdict = sentence_of(comparison);
  std::string pictures, details;
  for (const std::size_t at : headline_metrics(comparison)) pictures += one_metric(comparison, at);
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.differences.empty()) details += every_number(comparison, cell);
  }
  page.body =
      html_section("headline", "Headline numbers", escaped(method_text(comparison)).c_str(), pictures) +
      refusals(comparison) +
      html_section("details", "Every number", "Open a deployment to see all of its differences.", details) +
      origin(comparison);
  return to_html(page);
}

}  // namespace kvcast
