// A plan for a terminal and as Markdown.
#include <fmt/format.h>

#include "reports/compare_text.h"
#include "reports/format.h"
#include "reports/markdown_text.h"
#include "reports/plan_report.h"
#include "reports/report.h"
#include "reports/text_table.h"

namespace kvcast {
namespace {

std::string probability(const PlanPoint& point) {
  return point.meets_probability ? fixed(*point.meets_probability, 2) : "-";
}

std::string usd(double per_hour) { return fixed(per_hour, 2) + " USD/h"; }

void add_winner(TextTable& table, const PlanResult& plan) {
  const PlanPoint& best = plan.points.front();
  const Metrics& metrics = best.forecast.metrics;
  table.section(plan.feasible ? " Best " : " Nearest ", '=',
                plan.feasible ? "" : "no cluster of the space meets the SLO");
  table.paragraph(best.label, TextTable::kBold, 2);
  table.line("Cost:", usd(best.cost_per_hour));
  if (plan.goal == "rate") table.line("Times the traffic:", significant(best.rate_factor));
  for (const PlanTerm& term : best.terms)
    table.line(term.term.statistic + " " + latency_text(term.term.metric).name + ":",
               latency(term.term.value_ms), term_text(term));
  if (best.meets_probability)
    table.line("Meets the SLO with probability:", probability(best), "for another sample of this traffic");
  table.line("Goodput:", significant(metrics.request_goodput) + " req/s");
  table.line("Output throughput:", significant(metrics.output_throughput) + " tok/s",
             significant(metrics.output_throughput / static_cast<double>(best.gpus)) + " a GPU");
  table.line("KV usage, peak:", percent(metrics.kv_usage_peak));
  table.line("GPU busy:", percent(metrics.gpu_busy_fraction));
  if (!plan.binding.empty()) table.line("Binds:", plan.binding_resource, plan.binding);
  if (plan.rate_max_factor > 0)
    table.line("Carries:", "x " + significant(plan.rate_max_factor), "of the rate before the SLO is missed");
}

void add_others(TextTable& table, const PlanResult& plan) {
  if (plan.points.size() < 2) return;
  table.section(plan.feasible ? " Runners-up " : " Next ", '-',
                "value / limit of the term nearest to its limit");
  for (std::size_t i = 1; i < plan.points.size(); ++i) {
    const PlanPoint& point = plan.points[i];
    table.paragraph(fmt::format("{}. {}: {}, {}{}", i + 1, point.label, usd(point.cost_per_hour),
                                fixed(point.score.strain, 2), point.score.met ? "" : " (SLO missed)"),
                    TextTable::kPlain, 4);
  }
}

void add_fronts(TextTable& table, const PlanResult& plan) {
  table.section(" Pareto front ", '-', "of the points simulated on the whole traffic");
  for (const FrontPoint& point : plan.front) {
    if (!point.on_speed_front && !point.on_cost_front) continue;
    table.paragraph(
        fmt::format("{}: {} tok/s a GPU, {} tok/s a user, {}, p99 TTFT {}{}", point.label,
                    significant(point.output_per_gpu), significant(point.output_per_user),
                    usd(point.cost_per_hour), latency(point.p99_ttft_ms), point.met ? "" : " (SLO missed)"),
        TextTable::kPlain, 4);
  }
}

void add_studies(TextTable& table, const PlanResult& plan) {
  if (!plan.knee.empty()) {
    table.section(" Goodput against rate ", '-', "the best point, its traffic faster or slower");
    for (const KneePoint& point : plan.knee)
      table.line(fmt::format("x {} ({} req/s):", significant(point.factor), significant(point.rate)),
                 significant(point.goodput) + " req/s", point.met ? "SLO met" : "SLO missed");
  }
  if (!plan.sensitivity.empty()) {
    table.section(" Sensitivity ", '-', "the best point with one assumption changed");
    for (const SensitivityRow& row : plan.sensitivity)
      table.line(
          row.change + ":", row.met ? "SLO met" : "SLO missed",
          fmt::format("{} {} of {}", row.closest.statistic + " " + latency_text(row.closest.metric).name,
                      latency(row.closest.value_ms), latency(row.closest.limit_ms)));
  }
}

}  // namespace

std::string term_text(const PlanTerm& term) {
  const double room = 1 - term.term.value_ms / term.term.limit_ms;
  std::string text;
  if (term.interval_ms)
    text = fmt::format("90 %: {} to {}; ", latency(term.interval_ms->low), latency(term.interval_ms->high));
  return text + fmt::format("limit {}, {}", latency(term.term.limit_ms),
                            room >= 0 ? "head room " + percent(room) : percent(-room) + " above it");
}

std::string search_text(const PlanResult& plan) {
  const auto count = [](std::size_t value) { return grouped(static_cast<std::int64_t>(value)); };
  return fmt::format(
      "{} combinations of choices, of which {} do not fit into memory and {} cannot meet the SLO at any size "
      "allowed; "
      "{} points, {} of them excluded by bounds that hold for every scheduler. {} runs simulated {} of the "
      "requests that "
      "every point on the whole traffic would take.",
      count(plan.candidates), count(plan.candidates_unfit), count(plan.candidates_hopeless),
      count(plan.points_total), count(plan.points_bounded), count(plan.runs), percent(plan.work_share));
}

std::string interval_method(const PlanResult& plan) {
  const bool calibrated = !plan.points.empty() && plan.points.front().forecast.calibrated;
  const std::string count = grouped(static_cast<std::int64_t>(plan.replications));
  std::string text;
  switch (plan.replicating) {
    case Replicating::by_seed:
      text = fmt::format("Intervals (90 %) come from {} more simulations with traffic drawn from other seeds",
                         count);
      break;
    case Replicating::by_blocks:
      text =
          fmt::format("Intervals (90 %) come from {} more simulations of traffic resampled from the trace {}",
                      count, blocks_text(plan.blocks, plan.requests));
      break;
    case Replicating::by_outcomes:
      text =
          "Intervals (90 %) come from resampling what requests saw in blocks (the traffic waits for the "
          "server)";
      break;
  }
  return text + ": how much another sample of this traffic would change the numbers. " +
         (calibrated
              ? "They and the probability count the error that the calibration states for step times, too."
              : "Step times are not calibrated: how wrong they are is not known and not in them.");
}

std::string to_table(const PlanResult& plan, bool color) {
  TextTable table(color);
  table.section(" Plan ", '=', "forecast by kvcast");
  table.paragraph(plan.title, TextTable::kDim, 2);
  add_winner(table, plan);
  for (const std::string& advice : plan.advice) table.paragraph(advice + ".", TextTable::kWarn, 2);
  add_others(table, plan);
  add_fronts(table, plan);
  add_studies(table, plan);
  if (!plan.deploy_vllm.empty()) {
    table.section(" Start it ", '-');
    table.verbatim("  " + plan.deploy_vllm + "\n  " + plan.deploy_sglang + "\n");
    table.paragraph(plan.deploy_note + ".", TextTable::kDim, 2);
  }
  table.rule();
  table.paragraph(plan.verdict, TextTable::kBold, 0);
  for (const std::string& note : plan.notes) table.paragraph("note: " + note + ".", TextTable::kDim, 2);
  table.paragraph(search_text(plan), TextTable::kDim, 2);
  table.paragraph(interval_method(plan), TextTable::kDim, 2);
  if (!plan.points.front().forecast.calibrated)
    table.paragraph("uncalibrated: " + uncalibrated_text(plan.points.front().forecast), TextTable::kWarn, 2);
  return table.take();
}

std::string to_markdown(const PlanResult& plan) {
  std::string text =
      "## Plan: " + markdown_cell(plan.title) + "\n\n**" + markdown_cell(plan.verdict) + "**\n\n";
  if (!plan.points.front().forecast.calibrated)
    text += "> **Uncalibrated**: " + markdown_cell(uncalibrated_text(plan.points.front().forecast)) + "\n\n";
  for (const std::string& advice : plan.advice) text += "* " + markdown_cell(advice) + "\n";
  text +=
      "\n| | cluster | USD/h | nearest term / limit | SLO | probability |\n|---:|---|---:|---:|---|---:|\n";
  for (std::size_t i = 0; i < plan.points.size(); ++i) {
    const PlanPoint& point = plan.points[i];
    text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", i + 1, markdown_cell(point.label),
                        fixed(point.cost_per_hour, 2), fixed(point.score.strain, 2),
                        point.score.met ? "met" : "missed", probability(point));
  }
  if (!plan.sensitivity.empty()) {
    text += "\n| with | SLO | nearest term | limit |\n|---|---|---:|---:|\n";
    for (const SensitivityRow& row : plan.sensitivity)
      text += fmt::format("| {} | {} | {} {} {} | {} |\n", row.change, row.met ? "met" : "missed",
                          row.closest.statistic, latency_text(row.closest.metric).name,
                          latency(row.closest.value_ms), latency(row.closest.limit_ms));
  }
  if (!plan.deploy_vllm.empty())
    text += "\n```sh\n" + plan.deploy_vllm + "\n" + plan.deploy_sglang + "\n```\n" +
            markdown_cell(plan.deploy_note) + ".\n";
  text += "\n" + markdown_cell(search_text(plan)) + " " + markdown_cell(interval_method(plan)) + "\n";
  for (const std::string& note : plan.notes) text += "\n" + markdown_cell(note) + ".\n";
  return text + fmt::format("\nkvcast {}, seed {}.\n", plan.version, plan.seed);
}

}  // namespace kvcast
