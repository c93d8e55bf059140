// The HTML report of a comparison.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/charts.h"
#include "reports/compare_report.h"
#include "reports/compare_text.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/report.h"

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

const char* significant_mark(const Difference& difference) {
  return difference.significant ? " <span class=\"met\">significant</span>" : "";
}

/// Metrics whose words the reports explain.
std::string metric_title(const ComparedMetric& metric) {
  const std::string key = metric.key;
  for (const char* latency_key : {"ttft", "tpot", "itl", "e2el", "queue"}) {
    if (key.find(std::string("_") + latency_key + "_") != std::string::npos)
      return html_term(latency_key, metric.title);
  }
  if (key == "request_goodput") return html_term("goodput", metric.title);
  if (key == "output_throughput") return html_term("output", metric.title);
  if (key.find("per_million") != std::string::npos) return html_term("cost_tokens", metric.title);
  if (key.find("preemptions") != std::string::npos) return html_term("preemption", metric.title);
  return escaped(metric.title);
}

/// The headline numbers of every deployment: blue is better than the baseline, orange is worse.
std::string overview(const Comparison& comparison) {
  constexpr double kFullShade = 0.5;  // a change by half
  HeatTable heat;
  heat.row_title = "Deployment";
  const std::vector<std::size_t> metrics = headline_metrics(comparison);
  for (const std::size_t at : metrics) heat.columns.push_back(metric_title(compared_metrics()[at]));
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.refusal.empty()) continue;
    std::vector<HeatTable::Cell> cells;
    for (const std::size_t at : metrics) {
      const ComparedMetric& metric = compared_metrics()[at];
      HeatTable::Cell one{value_text(metric, cell.values[at]), 0};
      if (!cell.differences.empty() && metric.better != Better::neither) {
        const Difference& difference = cell.differences[at];
        const bool marked = difference.interval ? difference.significant : difference.absolute != 0;
        const double relative = std::isnan(difference.relative) ? 0 : difference.relative;
        if (marked) one.shade = (metric.better == Better::lower ? -relative : relative) / kFullShade;
      }
      cells.push_back(std::move(one));
    }
    heat.rows.emplace_back(cell.label, std::move(cells));
  }
  return html_section(
      "overview", "At a glance",
      "Shaded where the number differs from the first row's beyond chance: blue is better, orange is "
      "worse, stronger is more.",
      draw(heat));
}

std::string one_metric(const Comparison& comparison, std::size_t at) {
  const ComparedMetric& metric = compared_metrics()[at];
  const ComparedCell& base = comparison.cells[comparison.baseline];
  HtmlTable table("bars", {{"Deployment"},
                           {"Change and interval", "pic"},
                           {"Value", "num"},
                           {"Change", "num"},
                           {html_term("interval"), "source"}});
  const WhiskerScale scale = scale_of(comparison, at);
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.refusal.empty()) continue;
    if (cell.differences.empty()) {
      table.row({escaped(cell.label), "", value_text(metric, cell.values[at]), "", "baseline"}, "base");
      continue;
    }
    const Difference& difference = cell.differences[at];
    table.row({escaped(cell.label), picture(difference, scale), value_text(metric, cell.values[at]),
               change_text(metric, difference),
               interval_text(metric, difference, base.values[at]) + significant_mark(difference)});
  }
  return "<h3>" + metric_title(metric) + "</h3>\n" + table.take();
}

std::string every_number(const Comparison& comparison, const ComparedCell& cell) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  HtmlTable table("roomy", {{"Metric"},
                            {"Baseline", "num"},
                            {"This", "num"},
                            {"Change", "num"},
                            {html_term("interval"), "source"}});
  for (std::size_t at = 0; at < cell.values.size(); ++at) {
    if (!is_shown(comparison, at)) continue;
    const ComparedMetric& metric = compared_metrics()[at];
    const Difference& difference = cell.differences[at];
    table.row({metric_title(metric), value_text(metric, base.values[at]), value_text(metric, cell.values[at]),
               change_text(metric, difference),
               interval_text(metric, difference, base.values[at]) + significant_mark(difference)});
  }
  return fmt::format("<details><summary>{}: every number</summary>\n<p class=\"lead\">{}</p>\n{}</details>\n",
                     escaped(cell.label), escaped(cell_sentence(comparison, cell)), table.take());
}

std::string refusals(const Comparison& comparison) {
  std::vector<std::string> list;
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.refusal.empty()) list.push_back(cell.label + ": " + cell.refusal);
  }
  if (list.empty()) return "";
  return html_section("refused", "What could not be run", "With the reason.", html_list(list));
}

std::string cost(const Comparison& comparison) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  if (!base.forecast.price) return "";
  HtmlTable table("roomy", {{"Deployment"},
                            {"GPUs", "num"},
                            {html_term("cost_hour"), "num"},
                            {html_term("cost_tokens", "USD a million output tokens"), "num"}});
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.refusal.empty() || !cell.forecast.price) continue;
    const Cost cost = cost_of_run(*cell.forecast.price, cell.forecast);
    table.row({escaped(cell.label), grouped(cell.forecast.facts.gpus), fixed(cost.per_hour, 2),
               cost.per_million_output_tokens > 0 ? fixed(cost.per_million_output_tokens, 2) : "-"});
  }
  return html_section("cost", "Cost",
                      escaped("GPUs only, at this load. Price: " + base.forecast.price->source + "."),
                      table.take());
}

/// What any of the cells rests on, each once.
std::vector<Assumption> assumptions_of(const Comparison& comparison) {
  std::vector<Assumption> all;
  for (const ComparedCell& cell : comparison.cells) {
    for (const Assumption& assumption : cell.forecast.assumptions) {
      const bool known = std::any_of(all.begin(), all.end(),
                                     [&](const Assumption& other) { return other.text == assumption.text; });
      if (!known) all.push_back(assumption);
    }
  }
  return all;
}

std::vector<InputHash> inputs_of(const Comparison& comparison) {
  std::vector<InputHash> all;
  for (const ComparedCell& cell : comparison.cells) {
    for (const InputHash& input : cell.forecast.inputs) {
      const bool known = std::any_of(all.begin(), all.end(), [&](const InputHash& other) {
        return other.path == input.path && other.hash == input.hash;
      });
      if (!known) all.push_back(input);
    }
  }
  return all;
}

Origin origin(const Comparison& comparison) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  return {.facts = {{"Model", base.forecast.model},
                    {"Workload", base.forecast.workload},
                    {"Step times", base.forecast.timer + (base.forecast.calibrated ? "" : " (uncalibrated)")},
                    {"Baseline", base.label + ": " + base.forecast.cluster + "; " + base.forecast.engine}},
          .version = comparison.version,
          .command = comparison.command,
          .seed = fmt::format("{}", comparison.seed),
          .inputs = inputs_of(comparison),
          .resolved = ""};
}

}  // namespace

std::string to_html(const Comparison& comparison) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  HtmlPage page;
  page.title = "Comparison: " + base.forecast.title;
  page.sub = base.forecast.workload;
  page.verdict = sentence_of(comparison);
  if (!base.forecast.calibrated)
    page.warnings.push_back("<b>Uncalibrated:</b> " + escaped(uncalibrated_text(base.forecast)));
  std::string pictures, details;
  for (const std::size_t at : headline_metrics(comparison)) pictures += one_metric(comparison, at);
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.differences.empty()) details += every_number(comparison, cell);
  }
  page.body =
      overview(comparison) + html_budget(base.forecast) +
      html_section("headline", "Differences", escaped(method_text(comparison)), pictures) +
      refusals(comparison) +
      html_section("details", "Every number", "Open a deployment to see all of its differences.", details) +
      cost(comparison) + html_assumptions(assumptions_of(comparison)) + html_origin(origin(comparison));
  return to_html(page);
}

}  // namespace kvcast
