// GitHub-flavoured Markdown: what one pastes into an issue or a pull request.
#include <fmt/format.h>

#include "reports/elasticity_text.h"
#include "reports/format.h"
#include "reports/markdown_text.h"
#include "reports/pools_text.h"
#include "reports/report.h"
#include "reports/speculation_text.h"
#include "reports/timeline_view.h"

namespace kvcast {
namespace {

std::string setup(const Forecast& forecast) {
  const std::pair<const char*, const std::string*> rows[] = {
      {"Model", &forecast.model},   {"GPU", &forecast.gpu},           {"Cluster", &forecast.cluster},
      {"Engine", &forecast.engine}, {"Workload", &forecast.workload}, {"Step times", &forecast.timer},
  };
  std::string text = "| | |\n|---|---|\n";
  for (const auto& [name, value] : rows) {
    if (!value->empty()) text += fmt::format("| {} | {} |\n", name, markdown_cell(*value));
  }
  return text + "\n";
}

std::string numbers(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  std::string text = "| metric | value | definition |\n|---|---:|---|\n";
  const auto row = [&](const char* name, const std::string& value, const char* definition) {
    text += fmt::format("| {} | {} | {} |\n", name, value, definition);
  };
  row("requests completed / failed", grouped(metrics.completed) + " / " + grouped(metrics.failed), "");
  row("duration", latency(1000 * metrics.duration_s), "last token - first arrival, simulated");
  row("request throughput", significant(metrics.request_throughput) + " req/s", "");
  if (metrics.has_slo) {
    row("goodput", significant(metrics.request_goodput) + " req/s", "requests that meet every SLO term");
  }
  row("output throughput", significant(metrics.output_throughput) + " tok/s", "");
  row("total throughput", significant(metrics.total_token_throughput) + " tok/s", "input + output");
  if (forecast.facts.blocks_total > 0) {
    if (metrics.scrapes > 0)
      row("KV usage, mean", percent(metrics.kv_usage_mean), "of all blocks, over the run");
    row("KV usage, peak", percent(metrics.kv_usage_peak), "each replica at its own peak");
    row("preemptions", grouped(metrics.preemptions), "");
    if (metrics.branch_saving > 0)
      row("saved by copy on write", percent(metrics.branch_saving),
          "of the blocks that answers without sharing hold");
  }
  for (const SpeculationLine& line : speculation_lines(forecast))
    row(line.name.c_str(), line.value, line.remark.c_str());
  for (const ElasticityLine& line : elasticity_lines(forecast))
    row(line.name.c_str(), line.value, line.remark.c_str());
  row("GPU busy", percent(metrics.gpu_busy_fraction), "time in engine steps / duration");
  if (forecast.price) {
    const Cost cost = cost_of_run(*forecast.price, forecast);
    row("cost per million output tokens",
        fixed(cost.per_million_output_tokens, 2) + " " + markdown_cell(forecast.price->currency),
        "GPUs only, at this load");
  }
  return text + "\n";
}

std::string latencies(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  std::string text =
      "| ms | mean | p50 | p90 | p95 | p99 | definition |\n|---|---:|---:|---:|---:|---:|---|\n";
  for (const LatencyText& entry : kLatencies) {
    const LatencySummary& summary = metrics.*entry.summary;
    if (summary.count == 0) continue;
    std::string definition = entry.definition;
    if (summary.relative_error_max > 0)
      definition += fmt::format("; within {:.2f} %", 100 * summary.relative_error_max);
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", entry.name, significant(summary.mean),
                        significant(summary.p50), significant(summary.p90), significant(summary.p95),
                        significant(summary.p99), definition);
  }
  text += "\n";
  for (const LatencyText& entry : kLatencies) {
    const std::string mean = interval_text(forecast, entry.key, "mean");
    if (!mean.empty())
      text += fmt::format("- mean {}, {}; p99, {}\n", entry.name, mean,
                          interval_text(forecast, entry.key, "p99"));
  }
  if (const std::string why = uncertainty_text(forecast); !why.empty())
    text += "- " + markdown_cell(why) + "\n";
  return text + "\n";
}

/// The waterfall from a GPU's memory to its KV cache.
std::string budget(const Forecast& forecast) {
  if (forecast.budget.empty()) return "";
  std::string text =
      "<details><summary>KV budget of a GPU</summary>\n\n| item | GiB | source |\n|---|---:|---|\n";
  std::int64_t left = 0;
  for (const BudgetLine& line : forecast.budget) {
    text += fmt::format("| {} | {} | {} |\n", markdown_cell(line.item),
                        fixed(static_cast<double>(line.bytes) / 0x1p30, 2), markdown_cell(line.source));
    left += line.bytes;
  }
  return text + fmt::format("| **KV cache** | **{}** | what remains |\n\n</details>\n\n",
                            fixed(static_cast<double>(left) / 0x1p30, 2));
}

std::string timeline(const Forecast& forecast) {
  constexpr std::size_t kRows = 12;
  if (forecast.record == nullptr || forecast.metrics.scrapes == 0) return "";
  const TimelineView view = timeline_of(forecast, kRows);
  std::string text =
      "<details><summary>Over time</summary>\n\n| time, s | KV usage | running | waiting | preemptions so "
      "far |\n|---:|---:|---:|---:|---:|\n";
  for (std::size_t i = 0; i < view.points.size(); ++i) {
    const TimelinePoint& point = view.points[i];
    text += fmt::format("| {} | {} | {} | {} | {} |\n",
                        significant(view.first_s + static_cast<double>(i) * view.spacing_s),
                        view.blocks > 0 ? percent(static_cast<double>(point.blocks_used) / view.blocks) : "-",
                        grouped(point.running), grouped(point.waiting), grouped(point.preemptions));
  }
  return text + "\n</details>\n\n";
}

std::string slo_terms(const Forecast& forecast) {
  if (forecast.slo.empty()) return "";
  std::string text = "| SLO | limit | forecast | |\n|---|---:|---:|---|\n";
  for (const SloTerm& term : forecast.slo)
    text += fmt::format("| {} {} | {} | {} | {} |\n", term.statistic, latency_text(term.metric).name,
                        latency(term.limit_ms), latency(term.value_ms), term.met ? "met" : "**missed**");
  return text + "\n";
}

std::string provenance(const Forecast& forecast) {
  std::string text;
  if (!forecast.assumptions.empty()) {
    text += "<details><summary>Assumptions</summary>\n\n";
    for (const Assumption& assumption : forecast.assumptions) {
      text += "- " + markdown_cell(assumption.text) +
              (assumption.source.empty() ? "" : " (" + markdown_cell(assumption.source) + ")") + "\n";
    }
    text += "\n</details>\n\n";
  }
  text += fmt::format("kvcast {}, seed {}", markdown_cell(forecast.version), forecast.seed);
  for (const InputHash& input : forecast.inputs)
    text += fmt::format(", {} `{}`", markdown_cell(input.path), input.hash);
  return text + "\n";
}

}  // namespace

std::string to_markdown(const Forecast& forecast) {
  std::string text =
      fmt::format("## {}\n\n**{}**\n\n", markdown_cell(forecast.title), markdown_cell(verdict_of(forecast)));
  if (!forecast.calibrated)
    text += "> **Uncalibrated**: " + markdown_cell(uncalibrated_text(forecast)) + "\n\n";
  for (const std::string& note : forecast.notes) text += "> " + markdown_cell(note) + "\n\n";
  return text + setup(forecast) + slo_terms(forecast) + numbers(forecast) + latencies(forecast) +
         pools_markdown(forecast) + budget(forecast) + timeline(forecast) + provenance(forecast);
}

}  // namespace kvcast
