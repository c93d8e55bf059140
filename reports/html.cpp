// The HTML report of one run.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/charts.h"
#include "reports/definitions.h"
#include "reports/explain_report.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/pools_text.h"
#include "reports/report.h"

namespace kvcast {
namespace {

std::string cards(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  std::string html =
      html_card("throughput", "Throughput", significant(metrics.request_throughput) + " req/s",
                grouped(metrics.completed) + " requests in " + latency(1000 * metrics.duration_s));
  if (metrics.has_slo) {
    html += html_card("goodput", "Goodput", significant(metrics.request_goodput) + " req/s",
                      "requests that meet every term of the SLO");
  }
  html += html_card("output", "Output", significant(metrics.output_throughput) + " tok/s",
                    grouped(metrics.total_output_tokens) + " generated tokens");
  const std::pair<const char*, const char*> tails[] = {
      {"TTFT, p99", "ttft"}, {"TPOT, p99", "tpot"}, {"E2EL, p99", "e2el"}};
  for (const auto& [name, key] : tails) {
    const LatencyText& text = latency_text(key);
    const LatencySummary& summary = metrics.*text.summary;
    const std::string interval = interval_text(forecast, key, "p99");
    if (summary.count > 0)
      html += html_card(key, name, latency(summary.p99),
                        text.definition + (interval.empty() ? "" : "; " + interval));
  }
  if (forecast.facts.blocks_total > 0) {
    html += html_card(
        "kv_usage", "KV cache, peak", percent(metrics.kv_usage_peak),
        fmt::format("of {}; {} preemption{}",
                    forecast.pools.empty() ? grouped(forecast.facts.tokens_total()) + " tokens a replica"
                                           : std::string("the tokens of all pools"),
                    grouped(metrics.preemptions), metrics.preemptions == 1 ? "" : "s"));
  }
  if (metrics.branch_saving > 0) {
    html += html_card("copy_on_write", "Saved by copy on write", percent(metrics.branch_saving),
                      fmt::format("of the blocks that answers without sharing hold; {} blocks copied",
                                  grouped(metrics.blocks_copied)));
  }
  if (forecast.speculation) {
    html += html_card("speculative", "Speculation", fixed(forecast.speculation->speedup_alone, 2) + " times",
                      fmt::format("as fast for one sequence; pays up to a batch of {}",
                                  grouped(forecast.speculation->paying_batch)));
  }
  html +=
      html_card("busy", "GPU busy", percent(metrics.gpu_busy_fraction), "time in engine steps / duration");
  if (forecast.price && metrics.total_output_tokens > 0) {
    const Cost cost = cost_of_run(*forecast.price, forecast);
    html += html_card("cost_tokens", "Cost",
                      fixed(cost.per_million_output_tokens, 2) + " " + forecast.price->currency,
                      "per million output tokens at this load");
  }
  return html_cards(html);
}

std::string slo(const Forecast& forecast) {
  if (forecast.slo.empty()) return "";
  HtmlTable table(
      "compact", {{"Term"}, {"Limit", "num"}, {"Forecast", "num"}, {html_term("head_room"), "num"}, {"Met"}});
  for (const SloTerm& term : forecast.slo) {
    const double room = term.limit_ms > 0 ? 1 - term.value_ms / term.limit_ms : 0;
    table.row({html_term(term.metric, term.statistic + " " + latency_text(term.metric).name),
               latency(term.limit_ms), latency(term.value_ms),
               (room < 0 ? "\xE2\x88\x92" : "") + percent(std::abs(room)), html_met(term.met)});
  }
  return html_section("slo", "Service level objective", "Each term as set, and how the run stands to it.",
                      table.take());
}

std::string utilization(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  const DeploymentFacts& facts = forecast.facts;
  HtmlTable table("bars", {{"Resource"}, {"Share", "pic"}, {"Used", "num"}, {"Definition", "source"}});
  const auto add = [&](const std::string& name, double fraction, const std::string& definition) {
    table.row({name, bar(0, fraction, "blue"), percent(fraction), escaped(definition)});
  };
  add("GPU busy", metrics.gpu_busy_fraction,
      fmt::format("{}; {} steps of {} tokens on average", definition_of("busy"), grouped(metrics.steps),
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
      add("KV cache, mean", metrics.kv_usage_mean, "blocks in use / all blocks, over time");
      add("KV waste", metrics.kv_waste_mean, definition_of("kv_waste"));
      add("KV external fragmentation", metrics.kv_external_fragmentation_mean,
          definition_of("kv_fragmentation"));
    }
    add("Prefix hit rate", metrics.prefix_hit_rate_tokens, definition_of("prefix_hit"));
  }
  return html_section("use", "Use of the hardware", "Over the whole run, first arrival to last token.",
                      table.take());
}

std::string cost(const Forecast& forecast) {
  if (!forecast.price) return "";
  const Price& price = *forecast.price;
  const Cost cost = cost_of_run(price, forecast);
  const std::string unit = " " + price.currency;
  HtmlTable table("compact", {{"What"}, {"Amount", "num"}});
  table.row({"One GPU, an hour", escaped(fixed(price.per_gpu_hour, 2) + unit)});
  table.row({escaped(fmt::format("{} GPU{}, an hour", grouped(forecast.facts.gpus),
                                 forecast.facts.gpus == 1 ? "" : "s")),
             escaped(fixed(cost.per_hour, 2) + unit)});
  table.row({"This run", escaped(fixed(cost.total, 2) + unit)});
  if (cost.per_million_output_tokens > 0)
    table.row({html_term("cost_tokens", "A million output tokens, at this load"),
               escaped(fixed(cost.per_million_output_tokens, 2) + unit)});
  return html_section("cost", "Cost", escaped("GPUs only. Price: " + price.source + "."), table.take());
}

std::string requests_of(const Metrics& metrics) {
  std::string reasons =
      fmt::format("{} too long, {} never fit, {} unfinished", grouped(metrics.rejected_too_long),
                  grouped(metrics.rejected_never_fits), grouped(metrics.unfinished));
  if (metrics.rejected_rate_limit + metrics.rejected_overload > 0) {
    reasons += fmt::format(", {} over a rate limit, {} overload", grouped(metrics.rejected_rate_limit),
                           grouped(metrics.rejected_overload));
  }
  return fmt::format("{} completed, {} failed ({})", grouped(metrics.completed), grouped(metrics.failed),
                     reasons);
}

std::string setup(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  const std::vector<NamedText> pairs = {
      {"Model", forecast.model},
      {"GPU", forecast.gpu},
      {"Cluster", forecast.cluster},
      {"Engine", forecast.engine},
      {"Workload", forecast.workload},
      {"Step times", forecast.timer},
      {"Requests", requests_of(metrics)},
      {"Tokens", fmt::format("{} in, {} out", grouped(metrics.total_input_tokens),
                             grouped(metrics.total_output_tokens))},
      {"Duration", latency(1000 * metrics.duration_s) + ", last token - first arrival (simulated)"}};
  return html_section("setup", "What was simulated", "The deployment and its load.", html_pairs(pairs));
}

}  // namespace

std::string to_html(const Forecast& forecast) {
  HtmlPage page;
  page.title = forecast.title.empty() ? "Forecast" : forecast.title;
  page.sub = forecast.workload;
  page.verdict = verdict_of(forecast);
  page.bad = forecast.metrics.stuck || forecast.metrics.completed == 0 || !slo_met(forecast);
  if (!forecast.calibrated)
    page.warnings.push_back("<b>Uncalibrated:</b> " + escaped(uncalibrated_text(forecast)));
  for (const std::string& note : forecast.notes) page.warnings.push_back(escaped(note));
  page.body = cards(forecast) + slo(forecast) + html_budget(forecast) + html_latencies(forecast) +
              html_timeline(forecast) + html_elasticity(forecast) + html_steps(forecast) +
              (forecast.explanation != nullptr ? explain_html(*forecast.explanation) : "") +
              pools_html(forecast) + utilization(forecast) + cost(forecast) + html_uncertainty(forecast) +
              setup(forecast) + html_assumptions(forecast.assumptions) +
              html_origin({.facts = {{"Scenario", forecast.scenario}},
                           .version = forecast.version,
                           .command = forecast.command,
                           .seed = fmt::format("{}", forecast.seed),
                           .inputs = forecast.inputs,
                           .resolved = forecast.resolved});
  return to_html(page);
}

}  // namespace kvcast
