// The HTML report: one file that opens offline, with no script and no outside address.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/format.h"
#include "reports/html_parts.h"
#include "reports/html_style.h"
#include "reports/report.h"
#include "reports/svg.h"

namespace kvcast {
namespace {

std::string warning(const std::string& html) { return "<p class=\"warn\">" + html + "</p>\n"; }

std::string head(const Forecast& forecast) {
  const std::string title = escaped(forecast.title.empty() ? "Forecast" : forecast.title);
  const bool bad = forecast.metrics.stuck || forecast.metrics.completed == 0 || !slo_met(forecast);
  const std::string verdict = verdict_of(forecast);
  // The part before the first colon or semicolon is the answer; the rest says by how much.
  const std::size_t answer = std::min(verdict.find_first_of(":;"), verdict.size());
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0} - kvcast</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{0}</h1>\n",
      title, kHtmlStyle);
  if (!forecast.workload.empty()) html += "<p class=\"sub\">" + escaped(forecast.workload) + "</p>\n";
  html += fmt::format("<p class=\"verdict{}\"><b>{}</b>{}</p>\n", bad ? " bad" : "",
                      escaped(verdict.substr(0, answer)), escaped(verdict.substr(answer)));
  if (!forecast.calibrated) html += warning("<b>Uncalibrated:</b> " + escaped(uncalibrated_text(forecast)));
  for (const std::string& note : forecast.notes) html += warning(escaped(note));
  return html + "</header>\n";
}

/// \param value "84.2 ms": a number and its unit
std::string card(const char* name, const std::string& value, const std::string& definition) {
  const std::size_t space = value.find(' ');
  return fmt::format(
      "<div class=\"card\"><div class=\"name\">{}</div><div class=\"value\">{} <small>{}</small></div>"
      "<div class=\"def\">{}</div></div>\n",
      name, escaped(value.substr(0, space)), escaped(value.substr(space + 1)), escaped(definition));
}

std::string cards(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  std::string html;
  html +=
      card("Throughput", significant(metrics.request_throughput) + " req/s", "completed requests / duration");
  if (metrics.has_slo) {
    html += card("Goodput", significant(metrics.request_goodput) + " req/s",
                 "requests that meet every SLO term / duration");
  }
  html += card("Output", significant(metrics.output_throughput) + " tok/s", "generated tokens / duration");
  const std::pair<const char*, const char*> tails[] = {
      {"TTFT, p99", "ttft"}, {"TPOT, p99", "tpot"}, {"E2EL, p99", "e2el"}};
  for (const auto& [name, key] : tails) {
    const LatencyText& text = latency_text(key);
    const LatencySummary& summary = metrics.*text.summary;
    const std::string interval = interval_text(forecast, key, "p99");
    const std::string definition = text.definition + (interval.empty() ? "" : "; " + interval);
    if (summary.count > 0) html += card(name, latency(summary.p99), definition);
  }
  if (forecast.facts.blocks_total > 0) {
    html += card("KV cache, peak", percent(metrics.kv_usage_peak),
                 fmt::format("of {} tokens a replica; {} preemptions", grouped(forecast.facts.tokens_total()),
                             grouped(metrics.preemptions)));
  }
  html += card("GPU busy", percent(metrics.gpu_busy_fraction), "time in engine steps / duration");
  if (forecast.price && metrics.total_output_tokens > 0) {
    const Cost cost = cost_of_run(*forecast.price, forecast);
    html += card("Cost", fixed(cost.per_million_output_tokens, 2) + " " + forecast.price->currency,
                 "GPU price per million output tokens at this load");
  }
  return "<div class=\"cards\">\n" + html + "</div>\n";
}

std::string slo(const Forecast& forecast) {
  if (forecast.slo.empty()) return "";
  HtmlTable table("compact", {{"Term"}, {"Limit", "num"}, {"Forecast", "num"}, {"Met"}});
  for (const SloTerm& term : forecast.slo) {
    table.row({escaped(term.statistic) + " " + latency_text(term.metric).name, latency(term.limit_ms),
               latency(term.value_ms),
               term.met ? "<span class=\"met\">&#10003; met</span>"
                        : "<span class=\"missed\">&#10007; missed</span>"});
  }
  return html_section("slo", "Service level objective", "Each term as set, and how the run stands to it.",
                      table.take());
}

/// Always the same unit, so that sizes compare at a glance; a true minus sign.
std::string gib(std::int64_t value) {
  const std::string size = fixed(std::abs(static_cast<double>(value)) / 0x1p30, 2) + " GiB";
  return value < 0 ? "&minus;" + size : size;
}

/// "cuda_graphs" as words, which may break over lines.
std::string words(std::string item) {
  std::replace(item.begin(), item.end(), '_', ' ');
  return escaped(item);
}

std::string budget(const Forecast& forecast) {
  if (forecast.budget.empty()) return "";
  std::int64_t peak = 1;
  std::int64_t level = 0;
  for (const BudgetLine& line : forecast.budget) {
    level += line.bytes;
    peak = std::max(peak, level);
  }
  const auto share = [&](std::int64_t value) {
    return static_cast<double>(value) / static_cast<double>(peak);
  };
  HtmlTable table("bars", {{"Item"}, {"Share", "pic"}, {"Size", "num"}, {"Source", "source"}});
  level = 0;
  for (const BudgetLine& line : forecast.budget) {
    const std::string picture =
        bar(share(level), share(level + line.bytes), line.bytes >= 0 ? "blue" : "used");
    table.row({words(line.item), picture, gib(line.bytes), escaped(line.source)});
    level += line.bytes;
  }
  const std::int64_t per_token = forecast.facts.kv_bytes_per_token;
  table.row({"KV cache", bar(0, share(level), "green"), gib(level),
             per_token > 0 ? bytes(per_token) + " a token" : ""},
            "total");
  return html_section("memory", "GPU memory, per rank",
                      "What the GPU holds before the first request, and what remains for the KV cache.",
                      table.take());
}

std::string utilization(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  const DeploymentFacts& facts = forecast.facts;
  HtmlTable table("bars", {{"Resource"}, {"Share", "pic"}, {"Used", "num"}, {"Definition", "source"}});
  const auto add = [&](const char* name, double fraction, const std::string& definition) {
    table.row({name, bar(0, fraction, "blue"), percent(fraction), definition});
  };
  add("GPU busy", metrics.gpu_busy_fraction,
      fmt::format("time in engine steps / duration; {} steps of {} tokens on average", grouped(metrics.steps),
                  significant(metrics.mean_batch_tokens)));
  if (facts.hbm_bytes_per_s > 0) {
    add("HBM bandwidth", metrics.gpu_hbm_fraction,
        fmt::format("bytes moved / duration, of {} GB/s on the data sheet",
                    grouped(std::llround(facts.hbm_bytes_per_s / 1e9))));
  }
  if (facts.flop_per_s > 0) {
    add("Tensor cores", metrics.gpu_flop_fraction,
        fmt::format("FLOP / duration, of {} TFLOP/s on the data sheet",
                    grouped(std::llround(facts.flop_per_s / 1e12))));
  }
  if (facts.blocks_total > 0) {
    add("KV cache, peak", metrics.kv_usage_peak, "blocks in use / all blocks, each replica at its own peak");
    if (metrics.scrapes > 0) {
      add("KV cache, mean", metrics.kv_usage_mean, "blocks in use / all blocks");
      add("KV waste", metrics.kv_waste_mean, "slots in use that hold no token (internal fragmentation)");
      add("KV external fragmentation", metrics.kv_external_fragmentation_mean,
          "free slots outside the largest free run");
    }
    add("Prefix hit rate", metrics.prefix_hit_rate_tokens, "cached prompt tokens / prompt tokens");
  }
  return html_section("use", "Use of the hardware", "Over the whole run, first arrival to last token.",
                      table.take());
}

/// One pair of a description list. \param html escaped already
std::string pair(const char* term, const std::string& html) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>\n", term, html);
}

std::string setup(const Forecast& forecast) {
  const std::pair<const char*, const std::string*> texts[] = {
      {"Model", &forecast.model},   {"GPU", &forecast.gpu},           {"Cluster", &forecast.cluster},
      {"Engine", &forecast.engine}, {"Workload", &forecast.workload}, {"Step times", &forecast.timer},
  };
  const Metrics& metrics = forecast.metrics;
  std::string list;
  for (const auto& [name, text] : texts) {
    if (!text->empty()) list += pair(name, escaped(*text));
  }
  list += pair("Requests", fmt::format("{} completed, {} failed ({} too long, {} never fit, {} unfinished)",
                                       grouped(metrics.completed), grouped(metrics.failed),
                                       grouped(metrics.rejected_too_long),
                                       grouped(metrics.rejected_never_fits), grouped(metrics.unfinished)));
  list += pair("Tokens", fmt::format("{} in, {} out", grouped(metrics.total_input_tokens),
                                     grouped(metrics.total_output_tokens)));
  list += pair("Duration", latency(1000 * metrics.duration_s) + ", last token - first arrival (simulated)");
  if (forecast.price) {
    list += pair("Price", fmt::format("{} {} per GPU and hour ({})", fixed(forecast.price->per_gpu_hour, 2),
                                      escaped(forecast.price->currency), escaped(forecast.price->source)));
  }
  return html_section("setup", "What was simulated", "The deployment and its load.",
                      "<dl>\n" + list + "</dl>\n");
}

/// Mean and p99 of every latency with the interval of each.
std::string uncertainty(const Forecast& forecast) {
  const std::string why = uncertainty_text(forecast);
  if (why.empty()) return "";
  HtmlTable table("", {{"Latency"}, {"Statistic"}, {"Forecast", "num"}, {"Interval", "num"}});
  for (const LatencyText& text : kLatencies) {
    const LatencySummary& summary = forecast.metrics.*text.summary;
    for (const auto& [statistic, value] : {std::pair{"mean", summary.mean}, {"p99", summary.p99}}) {
      const std::string interval = interval_text(forecast, text.key, statistic);
      if (!interval.empty()) table.row({text.name, statistic, latency(value), interval});
    }
  }
  const std::string rows = forecast.uncertainty.values.empty() ? "" : table.take();
  return html_section("uncertainty", "How sure this is", "What step times are known to, and what follows for users.",
                      "<p>" + escaped(why) + "</p>\n" + rows);
}

std::string assumptions(const Forecast& forecast) {
  if (forecast.assumptions.empty()) return "";
  std::string list;
  for (const Assumption& assumption : forecast.assumptions) {
    list += "<li>" + escaped(assumption.text);
    if (!assumption.source.empty())
      list += " <span class=\"source\">(" + escaped(assumption.source) + ")</span>";
    list += "</li>\n";
  }
  return html_section("assumptions", "Assumptions", "What the forecast rests on and nobody measured here.",
                      "<ul>\n" + list + "</ul>\n");
}

std::string provenance(const Forecast& forecast) {
  std::string list = pair("Version", "kvcast " + escaped(forecast.version));
  list += pair("Seed", fmt::format("{}", forecast.seed));
  if (!forecast.scenario.empty()) list += pair("Scenario", escaped(forecast.scenario));
  if (!forecast.command.empty()) list += pair("Command", "<code>" + escaped(forecast.command) + "</code>");
  for (const InputHash& input : forecast.inputs) {
    list += pair("Input", escaped(input.path) + " <code>" + escaped(input.hash) + "</code>");
  }
  std::string body = "<dl>\n" + list + "</dl>\n";
  if (!forecast.resolved.empty()) {
    body +=
        "<details><summary>Every setting in force, and where it came from</summary>\n<pre tabindex=\"0\">" +
        escaped(forecast.resolved) + "</pre></details>\n";
  }
  return html_section("origin", "How to repeat it", "Equal scenario, seed and version give an equal report.",
                      body);
}

}  // namespace

std::string to_html(const Forecast& forecast) {
  return head(forecast) + cards(forecast) + slo(forecast) + budget(forecast) + html_latencies(forecast) +
         html_timeline(forecast) + uncertainty(forecast) + utilization(forecast) + setup(forecast) + assumptions(forecast) +
         provenance(forecast) +
         "<footer>Written by kvcast. This file needs no network and no "
         "script.</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace kvcast
