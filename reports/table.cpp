// The result table. Its first columns are those of `vllm bench serve`, so that scripts which read one read
// the other.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "reports/elasticity_text.h"
#include "reports/format.h"
#include "reports/pools_text.h"
#include "reports/report.h"
#include "reports/speculation_text.h"
#include "reports/text_table.h"

namespace kvcast {
namespace {

std::string two(double value) { return fmt::format("{:.2f}", value); }
std::string plain(std::int64_t value) { return fmt::format("{}", value); }
std::string plural(std::int64_t count, const char* thing) {
  return fmt::format("{} {}{}", grouped(count), thing, count == 1 ? "" : "s");
}

void add_throughput(TextTable& table, const Metrics& metrics) {
  table.section(" Serving Benchmark Result ", '=', "forecast by kvcast");
  table.line("Successful requests:", plain(metrics.completed));
  std::string failed;
  if (metrics.failed > 0) {
    failed = fmt::format("{} too long, {} never fit, {} unfinished", metrics.rejected_too_long,
                         metrics.rejected_never_fits, metrics.unfinished);
    if (metrics.rejected_rate_limit + metrics.rejected_overload > 0)
      failed += fmt::format(", {} over a rate limit, {} overload", metrics.rejected_rate_limit,
                            metrics.rejected_overload);
    if (metrics.elastic) failed += fmt::format(", {} with their replica", metrics.failed_with_replica);
  }
  table.line("Failed requests:", plain(metrics.failed), failed);
  table.line("Benchmark duration (s):", two(metrics.duration_s), "last token - first arrival, simulated");
  table.line("Total input tokens:", plain(metrics.total_input_tokens));
  table.line("Total generated tokens:", plain(metrics.total_output_tokens));
  table.line("Request throughput (req/s):", two(metrics.request_throughput));
  if (metrics.has_slo) {
    table.line("Request goodput (req/s):", two(metrics.request_goodput), "requests that meet every SLO term");
  }
  table.line("Output token throughput (tok/s):", two(metrics.output_throughput));
  if (metrics.scrapes > 0) {
    table.line("Peak concurrent requests:", two(static_cast<double>(metrics.max_concurrent_requests)),
               "running or waiting, at a scrape");
  }
  table.line("Total token throughput (tok/s):", two(metrics.total_token_throughput), "input + output");
}

void add_latencies(TextTable& table, const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  for (const LatencyText& text : kLatencies) {
    const LatencySummary& summary = metrics.*text.summary;
    // Only result files have NTPOT: the table is the same whichever of them were asked for.
    if (summary.count == 0 || text.summary == &Metrics::ntpot) continue;
    table.section(text.title, '-', text.definition);
    const auto row = [&](const char* statistic, double value, const std::string& remark = "") {
      table.line(fmt::format("{} {} (ms):", statistic, text.name), two(value), remark);
    };
    row("Mean", summary.mean, interval_text(forecast, text.key, "mean"));
    row("Median", summary.median, interval_text(forecast, text.key, "p50"));
    row("P90", summary.p90);
    row("P95", summary.p95);
    const double error = 100 * summary.relative_error_max;
    std::string remark = interval_text(forecast, text.key, "p99");
    if (error > 0)
      remark += fmt::format("{}percentiles within {:.2f} % (histogram)", remark.empty() ? "" : "; ", error);
    row("P99", summary.p99, remark);
  }
}

void add_tiers(TextTable& table, const Forecast& forecast) {
  if (forecast.record == nullptr) return;
  for (const TierTotals& tier : forecast.record->tiers) {
    table.line(
        fmt::format("Tier {}, tokens loaded:", tier.name),
        plain(tier.blocks_read * forecast.facts.tokens_per_block()),
        fmt::format("in {} loads{}; {} read, {} written, peak {:.1f} % of {} blocks", grouped(tier.loads),
                    tier.loads_lost > 0 ? fmt::format(" ({} lost)", grouped(tier.loads_lost)) : "",
                    bytes(tier.blocks_read * tier.block_bytes), bytes(tier.blocks_written * tier.block_bytes),
                    100.0 * static_cast<double>(tier.blocks_used_max) /
                        static_cast<double>(std::max<std::int64_t>(1, tier.blocks_total)),
                    grouped(tier.blocks_total)));
  }
}

void add_kv_size(TextTable& table, const DeploymentFacts& facts) {
  table.line("Bytes per token (per rank):", plain(facts.kv_bytes_per_token),
             facts.kv_bytes_per_token == 0 ? "no layer keeps every token" : "");
  if (facts.block_size > 1) {
    table.line("Blocks (per replica):", plain(facts.blocks_total),
               fmt::format("of {} tokens", facts.block_size));
  }
  table.line("Tokens (per replica):", plain(facts.tokens_total()));
}

void add_kv(TextTable& table, const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  const DeploymentFacts& facts = forecast.facts;
  if (facts.blocks_total == 0) return;  // no KV pool: nothing to say of it
  table.section("KV Cache", '-', plural(facts.replicas, "replica"));
  if (facts.pools.empty()) add_kv_size(table, facts);
  if (metrics.scrapes > 0)
    table.line("Mean usage (%):", two(100 * metrics.kv_usage_mean), "of all blocks, over the run");
  table.line("Peak usage (%):", two(100 * metrics.kv_usage_peak), "each replica at its own peak");
  if (metrics.scrapes > 0) {
    table.line("Mean waste (%):", two(100 * metrics.kv_waste_mean), "slots in use that hold no token");
    table.line("Mean external fragmentation (%):", two(100 * metrics.kv_external_fragmentation_mean),
               "free slots outside the largest free run");
  }
  std::string what =
      metrics.preemptions_swapped > 0 ? grouped(metrics.preemptions_swapped) + " of them to host memory" : "";
  if (metrics.recomputed_tokens > 0)
    what += (what.empty() ? "" : ", ") + grouped(metrics.recomputed_tokens) + " tokens recomputed";
  table.line("Preemptions:", plain(metrics.preemptions), what);
  table.line("Prefix hit rate (%):", two(100 * metrics.prefix_hit_rate_tokens),
             "cached prompt tokens / prompt tokens");
  add_tiers(table, forecast);
  if (metrics.branched_requests == 0) return;
  table.line("Requests with several answers:", plain(metrics.branched_requests), "n, best_of, beam_width");
  if (metrics.branch_saving == 0) return;
  table.line("Saved by copy on write (%):", two(100 * metrics.branch_saving),
             fmt::format("of the blocks that answers without sharing hold; {} blocks copied",
                         grouped(metrics.blocks_copied)));
}

void add_speculation(TextTable& table, const Forecast& forecast) {
  const std::vector<SpeculationLine> lines = speculation_lines(forecast);
  if (!lines.empty()) table.section("Speculative Decoding", '-', forecast.speculation->method);
  for (const SpeculationLine& line : lines) table.line(line.name + ":", line.value, line.remark);
}

void add_elasticity(TextTable& table, const Forecast& forecast) {
  const std::vector<ElasticityLine> lines = elasticity_lines(forecast);
  if (!lines.empty()) table.section("Elasticity", '-', "from first arrival to last token");
  for (const ElasticityLine& line : lines) table.line(line.name + ":", line.value, line.remark);
}

void add_gpu(TextTable& table, const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  const DeploymentFacts& facts = forecast.facts;
  table.section("GPU", '-', plural(facts.gpus, "GPU"));
  table.line("Busy (%):", two(100 * metrics.gpu_busy_fraction), "time in engine steps / duration");
  if (facts.hbm_bytes_per_s > 0) {
    table.line("HBM bandwidth used (%):", two(100 * metrics.gpu_hbm_fraction),
               "of the data sheet's, over the duration");
  }
  if (facts.flop_per_s > 0) {
    table.line("FLOP rate used (%):", two(100 * metrics.gpu_flop_fraction),
               "of the data sheet's, over the duration");
  }
  table.line("Engine steps:", plain(metrics.steps),
             fmt::format("{:.1f} tokens a step on average", metrics.mean_batch_tokens));
  if (!forecast.price) return;
  const Price& price = *forecast.price;
  table.line(fmt::format("Cost ({} per M output tokens):", price.currency),
             two(cost_of_run(price, forecast).per_million_output_tokens),
             fmt::format("{} a GPU and hour: {}", two(price.per_gpu_hour), price.source));
}

/// What was simulated, a line each.
void add_head(TextTable& table, const Forecast& forecast) {
  if (!forecast.title.empty()) table.paragraph(forecast.title, TextTable::kBold);
  for (const std::string* text :
       {&forecast.model, &forecast.gpu, &forecast.cluster, &forecast.engine, &forecast.workload}) {
    if (!text->empty()) table.paragraph(*text, TextTable::kPlain, 2);
  }
}

void add_verdict(TextTable& table, const Forecast& forecast) {
  const bool bad = forecast.metrics.stuck || forecast.metrics.completed == 0 || !slo_met(forecast);
  table.paragraph(verdict_of(forecast), bad ? TextTable::kBad : TextTable::kGood);
  for (const std::string& note : forecast.notes) table.paragraph("note: " + note, TextTable::kPlain, 2);
  if (forecast.calibrated)
    table.paragraph("calibrated: step times come from " + forecast.timer + ".", TextTable::kPlain, 2);
  else
    table.paragraph("uncalibrated: " + uncalibrated_text(forecast), TextTable::kWarn, 2);
  if (const std::string text = uncertainty_text(forecast); forecast.calibrated && !text.empty())
    table.paragraph("uncertainty: " + text, TextTable::kPlain, 2);
  for (const Assumption& assumption : forecast.assumptions)
    table.paragraph("assumed: " + assumption.text, TextTable::kPlain, 2);
}

}  // namespace

bool color_wanted(std::FILE* out) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  if (no_color != nullptr && *no_color != '\0') return false;
  return isatty(fileno(out)) != 0 && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

std::string to_table(const Forecast& forecast, bool color) {
  TextTable table(color);
  add_head(table, forecast);
  add_throughput(table, forecast.metrics);
  add_latencies(table, forecast);
  add_kv(table, forecast);
  add_speculation(table, forecast);
  add_elasticity(table, forecast);
  add_gpu(table, forecast);
  add_pools(table, forecast);
  table.rule();
  add_verdict(table, forecast);
  return table.take();
}

void write_table(std::FILE* out, const Forecast& forecast, bool color) {
  std::fputs(to_table(forecast, color).c_str(), out);
}

}  // namespace kvcast
