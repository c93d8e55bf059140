// GitHub-flavoured Markdown: what one pastes into an issue or a pull request.
#include <fmt/format.h>

#include "reports/format.h"
#include "reports/markdown_text.h"
#include "reports/report.h"

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
  return text + setup(forecast) + numbers(forecast) + latencies(forecast) + provenance(forecast);
}

}  // namespace kvcast
