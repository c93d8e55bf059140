// Explanations for people: terminal, Markdown, HTML.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/charts.h"
#include "reports/explain_report.h"
#include "reports/format.h"
#include "reports/html_parts.h"
#include "reports/markdown_text.h"
#include "reports/svg.h"
#include "reports/text_table.h"

namespace kvcast {
namespace {

struct MetricTitle {
  const char* key;
  const char* title;
};
constexpr std::array kMetrics = {MetricTitle{"ttft", "Time to First Token"},
                                 MetricTitle{"tpot", "Time per Output Token"},
                                 MetricTitle{"e2el", "End-to-end Latency"}};

constexpr double kNsPerMs = 1e6;

std::string milliseconds(std::int64_t ns) { return significant(static_cast<double>(ns) / kNsPerMs); }

double share_of(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

/// The statistics of one metric, and its parts in order of their share at p99.
struct MetricTable {
  std::vector<const ExplainedStatistic*> statistics;
  std::vector<std::size_t> parts;
};

MetricTable table_of(const Explanation& explanation, std::string_view metric) {
  MetricTable table;
  for (const ExplainedStatistic& statistic : explanation.statistics) {
    if (statistic.metric == metric) table.statistics.push_back(&statistic);
  }
  if (table.statistics.empty()) return table;
  for (std::size_t i = 0; i < kTimeParts; ++i) {
    if (std::any_of(table.statistics.begin(), table.statistics.end(),
                    [i](const ExplainedStatistic* s) { return s->parts[i] != 0; }))
      table.parts.push_back(i);
  }
  const TimeParts& last = table.statistics.back()->parts;
  std::stable_sort(table.parts.begin(), table.parts.end(),
                   [&](std::size_t a, std::size_t b) { return last[a] > last[b]; });
  return table;
}

/// The largest part of a metric at p99.
std::string largest_text(const Explanation& explanation, const char* metric, const char* name) {
  const MetricTable table = table_of(explanation, metric);
  if (table.parts.empty() || table.statistics.back()->total_ns == 0) return "";
  const ExplainedStatistic& p99 = *table.statistics.back();
  const std::size_t part = table.parts.front();
  return fmt::format("{} of {} at p99 is {} ({})", percent(share_of(p99.parts[part], p99.total_ns)), name,
                     key_of(static_cast<TimePart>(part)), meaning_of(static_cast<TimePart>(part)));
}

/// "240 ms (-34.0 %)"; without a remark where nothing changed.
std::string effect_text(double before, double after) {
  constexpr double kUnchanged = 0.0005;
  const double change = before > 0 ? after / before - 1 : 0;
  if (std::abs(change) < kUnchanged) return latency(after);
  return fmt::format("{} ({}{:.1f} %)", latency(after), change < 0 ? "-" : "+", 100 * std::abs(change));
}

struct DevicePart {
  std::string name;
  std::int64_t ns = 0;
};

/// Sum to the replicas' time.
std::vector<DevicePart> device_parts(const Explanation& explanation) {
  constexpr std::array<const char*, kStepParts> names = {
      "arithmetic",    "reading weights",     "reading KV", "moving activations",
      "communication", "waiting in pipeline", "host",       "drafting",
      "not split"};
  std::vector<DevicePart> parts;
  std::int64_t idle = explanation.device_total_ns;
  const auto add = [&](const char* name, std::int64_t ns) {
    idle -= ns;
    if (ns != 0) parts.push_back({name, ns});
  };
  for (std::size_t i = 0; i < kStepParts; ++i) add(names[i], explanation.device.time_ns[i]);
  add("copying blocks", explanation.device.copying_ns);
  add("loading from tiers", explanation.device.awaiting_ns);
  parts.push_back({"idle", idle});
  std::stable_sort(parts.begin(), parts.end(),
                   [](const DevicePart& a, const DevicePart& b) { return a.ns > b.ns; });
  return parts;
}

std::vector<DevicePart> traffic_parts(const DeviceTime& device) {
  constexpr std::array<const char*, kStepParts> names = {"", "weights", "KV cache", "activations", "",
                                                         "", "",        "drafting", "not split"};
  std::vector<DevicePart> parts;
  for (std::size_t i = 0; i < kStepParts; ++i) {
    if (device.bytes[i] != 0) parts.push_back({names[i], static_cast<std::int64_t>(device.bytes[i])});
  }
  return parts;
}

std::int64_t total_of(const std::vector<DevicePart>& parts) {
  std::int64_t sum = 0;
  for (const DevicePart& part : parts) sum += part.ns;
  return sum;
}

void add_metric(TextTable& out, const Explanation& explanation, const MetricTitle& metric) {
  const MetricTable table = table_of(explanation, metric.key);
  if (table.statistics.empty()) return;
  out.section(std::string(" ") + metric.title + " ", '-', "milliseconds");
  std::string text = fmt::format("{:<17}", "");
  for (const ExplainedStatistic* statistic : table.statistics)
    text += fmt::format("{:>11}", statistic->statistic);
  text += "  of p99\n";
  for (const std::size_t part : table.parts) {
    text += fmt::format("{:<17}", key_of(static_cast<TimePart>(part)));
    for (const ExplainedStatistic* statistic : table.statistics)
      text += fmt::format("{:>11}", milliseconds(statistic->parts[part]));
    const ExplainedStatistic& p99 = *table.statistics.back();
    text += fmt::format("{:>6.1f} %\n", 100 * share_of(p99.parts[part], p99.total_ns));
  }
  text += fmt::format("{:<17}", "sum");
  for (const ExplainedStatistic* statistic : table.statistics)
    text += fmt::format("{:>11}", milliseconds(statistic->total_ns));
  text += '\n';
  out.verbatim(text);
}

void add_memory(TextTable& out, const Explanation& explanation) {
  if (!explanation.hbm.empty()) {
    out.section(" Where each byte of HBM is ", '-', "one GPU");
    for (const HbmLine& line : explanation.hbm) out.line(line.item + ":", bytes(line.bytes), line.source);
  }
  const std::vector<DevicePart> traffic = traffic_parts(explanation.device);
  const std::int64_t moved = total_of(traffic);
  if (moved == 0) return;
  out.section(" Bytes moved through HBM ", '-', "whole run, one GPU of each replica");
  for (const DevicePart& part : traffic)
    out.line(part.name + ":", bytes(part.ns), percent(share_of(part.ns, moved)));
}

/// Says once what each part is that has any time.
void add_meanings(TextTable& out, const Explanation& explanation) {
  out.section(" What the parts are ", '-');
  for (std::size_t i = 0; i < kTimeParts; ++i) {
    const bool shown = std::any_of(explanation.statistics.begin(), explanation.statistics.end(),
                                   [i](const ExplainedStatistic& s) { return s.parts[i] != 0; });
    if (!shown) continue;
    const auto part = static_cast<TimePart>(i);
    out.paragraph(fmt::format("{}: {}", key_of(part), meaning_of(part)), TextTable::kDim);
  }
}

void add_changes(TextTable& out, const Explanation& explanation) {
  out.section(" One change at a time ", '-', "the same requests, simulated again; best first");
  const bool slo = explanation.has_slo;
  std::string text = fmt::format("{:<30}{:>19}{:>19}{:>20}{:>6}{}\n", "", "p99 TTFT", "p99 TPOT", "p99 E2EL",
                                 "GPUs", slo ? "  SLO" : "");
  const auto row = [&](const std::string& title, const WhatIf& change) {
    text += fmt::format("{:<30}{:>19}{:>19}{:>20}{:>6}{}\n", title,
                        effect_text(explanation.base.ttft_p99_ms, change.ttft_p99_ms),
                        effect_text(explanation.base.tpot_p99_ms, change.tpot_p99_ms),
                        effect_text(explanation.base.e2el_p99_ms, change.e2el_p99_ms), change.gpus,
                        !slo             ? ""
                        : change.slo_met ? "  met"
                                         : "  missed");
  };
  row("as it is", explanation.base);
  for (const WhatIf& change : explanation.changes) {
    if (change.refusal.empty()) row(change.title, change);
  }
  out.verbatim(text);
  for (const WhatIf& change : explanation.changes) {
    if (!change.refusal.empty())
      out.paragraph(fmt::format("not run: {} ({}): {}", change.title, change.setting, change.refusal),
                    TextTable::kDim, 2);
  }
}

}  // namespace

std::string explain_verdict(const Explanation& explanation) {
  std::string text = largest_text(explanation, "ttft", "TTFT");
  const std::string tpot = largest_text(explanation, "tpot", "TPOT");
  if (!tpot.empty()) text += (text.empty() ? "" : "; ") + tpot;
  if (text.empty()) return "nothing completed, so there is nothing to explain";
  if (explanation.changes.empty()) return text;
  const WhatIf* best = best_change(explanation);
  if (best == nullptr) return text + "; none of the changes tried helps by more than 1 %";
  return text + fmt::format("; first change: {} ({}), p99 TTFT {}, p99 TPOT {}", best->title, best->setting,
                            effect_text(explanation.base.ttft_p99_ms, best->ttft_p99_ms),
                            effect_text(explanation.base.tpot_p99_ms, best->tpot_p99_ms));
}

std::string explain_table(const Forecast& forecast, const Explanation& explanation, bool color) {
  TextTable out(color);
  out.section(" Explanation ", '=', forecast.title);
  out.paragraph(explain_verdict(explanation) + ".", TextTable::kBold);
  out.line("Requests:", grouped(explanation.requests), "completed; the parts of each sum to its latency");
  for (const MetricTitle& metric : kMetrics) add_metric(out, explanation, metric);
  out.section(" Where the devices' time went ", '-', "every replica's ranks and stages, whole run");
  for (const DevicePart& part : device_parts(explanation))
    out.line(part.name + ":", latency(static_cast<double>(part.ns) / kNsPerMs),
             percent(share_of(part.ns, explanation.device_total_ns)));
  add_memory(out, explanation);
  if (!explanation.changes.empty()) add_changes(out, explanation);
  add_meanings(out, explanation);
  out.rule();
  return out.take();
}

std::string explain_markdown(const Forecast& forecast, const Explanation& explanation) {
  std::string text = fmt::format("## {}\n\n{}.\n", markdown_cell(forecast.title),
                                 markdown_cell(explain_verdict(explanation)));
  for (const MetricTitle& metric : kMetrics) {
    const MetricTable table = table_of(explanation, metric.key);
    if (table.statistics.empty()) continue;
    text += fmt::format("\n### {}, ms\n\n| part |", metric.title);
    std::string rule = "|---|";
    for (const ExplainedStatistic* statistic : table.statistics) {
      text += fmt::format(" {} |", statistic->statistic);
      rule += "---:|";
    }
    text += " what it is |\n" + rule + "---|\n";
    for (const std::size_t part : table.parts) {
      text += fmt::format("| {} |", key_of(static_cast<TimePart>(part)));
      for (const ExplainedStatistic* statistic : table.statistics)
        text += fmt::format(" {} |", milliseconds(statistic->parts[part]));
      text += fmt::format(" {} |\n", meaning_of(static_cast<TimePart>(part)));
    }
    text += "| **sum** |";
    for (const ExplainedStatistic* statistic : table.statistics)
      text += fmt::format(" {} |", milliseconds(statistic->total_ns));
    text += " |\n";
  }
  if (explanation.changes.empty()) return text;
  text +=
      "\n### One change at a time\n\n| change | setting | p99 TTFT | p99 TPOT | p99 E2EL | GPUs |\n"
      "|---|---|---:|---:|---:|---:|\n";
  for (const WhatIf& change : explanation.changes) {
    if (!change.refusal.empty()) {
      text += fmt::format("| {} | `{}` | not run: {} | | | |\n", change.title, change.setting,
                          markdown_cell(change.refusal));
      continue;
    }
    text += fmt::format("| {} | `{}` | {} | {} | {} | {} |\n", change.title, change.setting,
                        effect_text(explanation.base.ttft_p99_ms, change.ttft_p99_ms),
                        effect_text(explanation.base.tpot_p99_ms, change.tpot_p99_ms),
                        effect_text(explanation.base.e2el_p99_ms, change.e2el_p99_ms), change.gpus);
  }
  return text;
}

namespace {

std::string html_metric(const Explanation& explanation, const MetricTitle& metric) {
  const MetricTable table = table_of(explanation, metric.key);
  if (table.statistics.empty()) return "";
  std::vector<HtmlTable::Column> columns = {{"Part"}, {"Share of p99", "pic"}};
  for (const ExplainedStatistic* statistic : table.statistics)
    columns.push_back({std::string(statistic->statistic) + ", ms", "num"});
  columns.push_back({"What it is", "source"});
  HtmlTable out("bars", std::move(columns));
  const ExplainedStatistic& p99 = *table.statistics.back();
  for (const std::size_t part : table.parts) {
    std::vector<std::string> cells = {std::string(key_of(static_cast<TimePart>(part))),
                                      bar(0, share_of(p99.parts[part], p99.total_ns), "blue")};
    for (const ExplainedStatistic* statistic : table.statistics)
      cells.push_back(milliseconds(statistic->parts[part]));
    cells.emplace_back(meaning_of(static_cast<TimePart>(part)));
    out.row(cells);
  }
  std::vector<std::string> sums = {"sum", ""};
  for (const ExplainedStatistic* statistic : table.statistics)
    sums.push_back(milliseconds(statistic->total_ns));
  sums.emplace_back("");
  out.row(sums);
  return html_section((std::string("explain-") + metric.key).c_str(),
                      std::string("Where the ") + metric.title + " goes",
                      "The requests at each statistic, on average; the parts of every request sum to its "
                      "latency, to the nanosecond.",
                      out.take());
}

std::string html_changes(const Explanation& explanation) {
  if (explanation.changes.empty()) return "";
  HtmlTable out("compact", {{"Change"},
                            {"Setting", "source"},
                            {"p99 TTFT", "num"},
                            {"p99 TPOT", "num"},
                            {"p99 E2EL", "num"},
                            {"GPUs", "num"}});
  for (const WhatIf& change : explanation.changes) {
    if (!change.refusal.empty()) {
      out.row(
          {escaped(change.title), escaped(change.setting + ": " + change.refusal), "not run", "", "", ""});
      continue;
    }
    out.row({escaped(change.title), escaped(change.setting),
             effect_text(explanation.base.ttft_p99_ms, change.ttft_p99_ms),
             effect_text(explanation.base.tpot_p99_ms, change.tpot_p99_ms),
             effect_text(explanation.base.e2el_p99_ms, change.e2el_p99_ms), std::to_string(change.gpus)});
  }
  return html_section("explain-changes", "One change at a time",
                      "Each simulated on the same requests, the best first.", out.take());
}

}  // namespace

std::string explain_html(const Explanation& explanation) {
  std::string html;
  for (const MetricTitle& metric : kMetrics) html += html_metric(explanation, metric);
  HtmlTable devices("bars", {{"Part"}, {"Share", "pic"}, {"Time", "num"}, {"Share", "num"}});
  for (const DevicePart& part : device_parts(explanation)) {
    const double share = share_of(part.ns, explanation.device_total_ns);
    devices.row({escaped(part.name), bar(0, share, "blue"), latency(static_cast<double>(part.ns) / kNsPerMs),
                 percent(share)});
  }
  html += html_section("explain-devices", "Where the devices' time went",
                       "All replicas, from the first arrival to the last token.", devices.take());
  if (!explanation.hbm.empty()) {
    HtmlTable memory("compact", {{"Memory of one GPU"}, {"Bytes", "num"}, {"Source", "source"}});
    for (const HbmLine& line : explanation.hbm)
      memory.row({escaped(line.item), bytes(line.bytes), escaped(line.source)});
    html += html_section("explain-hbm", "Where each byte of HBM is", "The lines sum to the GPU's memory.",
                         memory.take());
  }
  return html + html_changes(explanation);
}

}  // namespace kvcast
