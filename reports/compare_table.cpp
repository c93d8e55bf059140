// A comparison for a terminal and as Markdown.
#include <fmt/format.h>

#include <algorithm>

#include "reports/compare_report.h"
#include "reports/compare_text.h"
#include "reports/format.h"
#include "reports/markdown_text.h"
#include "reports/text_table.h"

namespace kvcast {
namespace {

constexpr std::size_t kDetailedCellsMax = 3;

/// "84.2 ms -18 %*": the value, and beside it the change against the baseline.
std::string headline(const ComparedCell& cell, std::size_t at) {
  const ComparedMetric& metric = compared_metrics()[at];
  std::string text = value_text(metric, cell.values[at]);
  if (cell.differences.empty() || cell.differences[at].absolute == 0) return text;
  return text + " (" + change_text(metric, cell.differences[at]) +
         (cell.differences[at].significant ? "*" : "") + ")";
}

std::size_t variants_of(const Comparison& comparison) {
  return static_cast<std::size_t>(
      std::count_if(comparison.cells.begin(), comparison.cells.end(),
                    [](const ComparedCell& cell) { return !cell.differences.empty(); }));
}

void add_overview(TextTable& table, const Comparison& comparison) {
  for (const ComparedCell& cell : comparison.cells) {
    const bool base = &cell == &comparison.cells[comparison.baseline];
    table.section(" " + cell.label + " ", '-', base ? "baseline" : "");
    if (!cell.refusal.empty()) {
      table.paragraph("not run: " + cell.refusal, TextTable::kWarn, 2);
      continue;
    }
    for (const std::size_t at : headline_metrics(comparison))
      table.line(std::string(compared_metrics()[at].title) + ":", headline(cell, at));
    if (comparison.has_slo) table.line("SLO:", cell.slo_met ? "met" : "missed");
  }
}

void add_details(TextTable& table, const Comparison& comparison, const ComparedCell& cell) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  table.section(" " + cell.label + " ", '=', "against " + base.label);
  std::string text =
      fmt::format("{:<32}{:>17}{:>17}{:>14}  {}\n", "", "baseline", "this", "change", "90 % interval");
  for (std::size_t at = 0; at < cell.values.size(); ++at) {
    if (!is_shown(comparison, at)) continue;
    const ComparedMetric& metric = compared_metrics()[at];
    const Difference& difference = cell.differences[at];
    const std::string interval = interval_text(metric, difference, base.values[at]);
    text += fmt::format("{:<32}{:>17}{:>17}{:>14}  {}", metric.title, value_text(metric, base.values[at]),
                        value_text(metric, cell.values[at]), change_text(metric, difference), interval);
    if (difference.significant) text += " *";
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  table.verbatim(text);
}

std::string markdown_details(const Comparison& comparison, const ComparedCell& cell) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  std::string text = fmt::format("\n<details><summary>{} against {}: every number</summary>\n\n",
                                 markdown_cell(cell.label), markdown_cell(base.label));
  text += "| metric | baseline | this | change | 90 % interval | |\n|---|---:|---:|---:|---|---|\n";
  for (std::size_t at = 0; at < cell.values.size(); ++at) {
    if (!is_shown(comparison, at)) continue;
    const ComparedMetric& metric = compared_metrics()[at];
    const Difference& difference = cell.differences[at];
    text +=
        fmt::format("| {} | {} | {} | {} | {} | {} |\n", metric.title, value_text(metric, base.values[at]),
                    value_text(metric, cell.values[at]), change_text(metric, difference),
                    interval_text(metric, difference, base.values[at]), markdown_cell(mark_text(difference)));
  }
  return text + "\n</details>\n";
}

}  // namespace

std::string to_table(const Comparison& comparison, bool color) {
  TextTable table(color);
  table.section(" Comparison ", '=', "forecast by kvcast");
  const ComparedCell& base = comparison.cells[comparison.baseline];
  table.paragraph(base.forecast.title + "; " + base.forecast.workload, TextTable::kDim, 2);
  add_overview(table, comparison);
  if (variants_of(comparison) <= kDetailedCellsMax) {
    for (const ComparedCell& cell : comparison.cells) {
      if (!cell.differences.empty()) add_details(table, comparison, cell);
    }
  } else {
    table.paragraph("Every number of every cell: --markdown, --csv, --json or --report.", TextTable::kDim, 2);
  }
  table.rule();
  table.paragraph(sentence_of(comparison), TextTable::kBold, 0);
  table.paragraph(method_text(comparison), TextTable::kDim, 2);
  return table.take();
}

std::string to_markdown(const Comparison& comparison) {
  const ComparedCell& base = comparison.cells[comparison.baseline];
  std::string text = "## Comparison: " + markdown_cell(base.forecast.title) + "\n\n";
  text += markdown_cell(sentence_of(comparison)) + "\n\n| |";
  const std::vector<std::size_t> headlines = headline_metrics(comparison);
  for (const std::size_t at : headlines) text += fmt::format(" {} |", compared_metrics()[at].title);
  text += comparison.has_slo ? " SLO |\n|---|" : "\n|---|";
  for (std::size_t i = 0; i < headlines.size(); ++i) text += "---:|";
  text += comparison.has_slo ? "---|\n" : "\n";
  for (const ComparedCell& cell : comparison.cells) {
    text += fmt::format("| {}{} |", markdown_cell(cell.label), &cell == &base ? " (baseline)" : "");
    for (std::size_t i = 0; i < headlines.size(); ++i) {
      const bool ran = cell.refusal.empty();
      text += " " +
              markdown_cell(ran      ? headline(cell, headlines[i])
                            : i == 0 ? "not run: " + cell.refusal
                                     : "") +
              " |";
    }
    if (comparison.has_slo) text += !cell.refusal.empty() ? " |" : cell.slo_met ? " met |" : " missed |";
    text += "\n";
  }
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.differences.empty()) text += markdown_details(comparison, cell);
  }
  text += "\n" + markdown_cell(method_text(comparison)) + "\n";
  text += fmt::format("\nWorkload: {}. Step times: {}{}. kvcast {}, seed {}.\n",
                      markdown_cell(base.forecast.workload), markdown_cell(base.forecast.timer),
                      base.forecast.calibrated ? "" : " (uncalibrated)", comparison.version, comparison.seed);
  return text;
}

}  // namespace kvcast
