// The HTML report of a plan.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/charts.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/plan_report.h"
#include "reports/report.h"

namespace kvcast {
namespace {

std::string slo_term(const SloTerm& term) {
  return html_term(term.metric, term.statistic + " " + latency_text(term.metric).name);
}

std::string cards(const PlanResult& plan) {
  const PlanPoint& best = plan.points.front();
  const Metrics& metrics = best.forecast.metrics;
  std::string html =
      html_card("cost_hour", "Cost", fixed(best.cost_per_hour, 2) + " USD/h",
                fmt::format("{} GPU{}, {} a month", grouped(best.gpus), best.gpus == 1 ? "" : "s",
                            fixed(best.cost_per_hour * 730, 0) + " USD"));
  if (best.meets_probability)
    html += html_card("probability", "Meets the SLO with probability", fixed(*best.meets_probability, 2),
                      "for another sample of this traffic");
  if (plan.goal == "rate")
    html += html_card("knee", "Times the traffic", significant(best.rate_factor), "that it still carries");
  else if (plan.rate_max_factor > 0)
    html += html_card("knee", "Carries", significant(plan.rate_max_factor) + " x the rate",
                      "before the SLO is missed");
  html += html_card("goodput", "Goodput", significant(metrics.request_goodput) + " req/s",
                    "requests that meet every term of the SLO");
  html += html_card("per_gpu", "Output a GPU",
                    significant(metrics.output_throughput / static_cast<double>(best.gpus)) + " tok/s",
                    significant(metrics.output_throughput) + " tok/s in all");
  html += html_card(
      "kv_usage", "KV cache, peak", percent(metrics.kv_usage_peak),
      fmt::format("{} preemption{}", grouped(metrics.preemptions), metrics.preemptions == 1 ? "" : "s"));
  html +=
      html_card("busy", "GPU busy", percent(metrics.gpu_busy_fraction), "time in engine steps / duration");
  return html_cards(html);
}

std::string binding(const PlanResult& plan) {
  if (plan.binding.empty()) return "";
  return html_section("binding", "What binds", "What stands in the way of the next cheaper cluster.",
                      "<p>" + escaped(plan.binding) + "</p>\n");
}

std::string points(const PlanResult& plan) {
  HtmlTable table("roomy", {{"Cluster"},
                            {html_term("cost_hour"), "num"},
                            {html_term("slo")},
                            {html_term("nearest_term", "Nearest term / limit"), "num"},
                            {html_term("probability"), "num"},
                            {html_term("goodput", "Goodput, req/s"), "num"},
                            {html_term("per_gpu", "Output tok/s a GPU"), "num"}});
  for (const PlanPoint& point : plan.points) {
    const Metrics& metrics = point.forecast.metrics;
    table.row(
        {escaped(point.label), fixed(point.cost_per_hour, 2), html_met(point.score.met),
         fixed(point.score.strain, 2), point.meets_probability ? fixed(*point.meets_probability, 2) : "-",
         significant(metrics.request_goodput),
         significant(metrics.output_throughput / static_cast<double>(point.gpus))},
        &point == &plan.points.front() ? "base" : "");
  }
  return html_section("points", plan.feasible ? "The best clusters" : "The nearest clusters",
                      escaped(interval_method(plan)), table.take());
}

std::string terms(const PlanPoint& best) {
  HtmlTable table(
      "bars",
      {{"Term"}, {"Value, interval, limit", "pic"}, {"Forecast", "num"}, {"Met"}, {"Room", "source"}});
  for (const PlanTerm& term : best.terms) {
    const SloTerm& slo = term.term;
    const Interval interval = term.interval_ms.value_or(Interval{slo.value_ms, slo.value_ms});
    const WhiskerScale scale{0, std::max(slo.limit_ms, interval.high) * 1.1, slo.limit_ms};
    table.row({slo_term(slo), draw(Whisker{slo.value_ms, interval.low, interval.high, true}, scale),
               latency(slo.value_ms), html_met(slo.met), escaped(term_text(term))});
  }
  return html_section(
      "terms", html_term("head_room"),
      "Each term of the SLO with its " + html_term("interval") + "; the upright line is the limit.",
      table.take());
}

/// The largest limit of one metric's terms, as a bound on the picture; 0: there is none.
double limit_of(const PlanResult& plan, const char* metric) {
  double limit = 0;
  for (const PlanTerm& term : plan.points.front().terms) {
    if (term.term.metric == metric) limit = std::max(limit, term.term.limit_ms);
  }
  return limit;
}

/// Points that meet the SLO filled, those that miss it hollow, and the front as a line.
struct FrontSeries {
  ChartSeries front{"Pareto front", "blue", ChartSeries::Form::line, {}};
  ChartSeries met{"meets the SLO", "blue", ChartSeries::Form::dots, {}};
  ChartSeries missed{"misses it", "orange", ChartSeries::Form::rings, {}};

  void add(ChartPoint point, bool is_met, bool on_front) {
    if (on_front) front.points.push_back({point.x, point.y, ""});
    (is_met ? met : missed).points.push_back(std::move(point));
  }
  [[nodiscard]] std::vector<ChartSeries> take() {
    std::stable_sort(front.points.begin(), front.points.end(),
                     [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    std::vector<ChartSeries> all;
    all.push_back(std::move(front));
    all.push_back(std::move(missed));
    all.push_back(std::move(met));
    return all;
  }
};

constexpr std::size_t kDotsMax = 2000;  // the page stays below 1 MB

std::string speed_front(const PlanResult& plan) {
  FrontSeries series;
  for (std::size_t i = 0; i < std::min(plan.front.size(), kDotsMax); ++i) {
    const FrontPoint& point = plan.front[i];
    series.add({point.output_per_user, point.output_per_gpu, point.on_speed_front ? point.label : ""},
               point.met, point.on_speed_front);
  }
  XyChart chart;
  chart.id = "speed";
  chart.title = "Throughput against interactivity";
  chart.description =
      "To the right, users see faster answers; upwards, a GPU does more. Up and to the right is better.";
  chart.x = {"tokens/s a user", Quantity::number, ChartAxis::Scale::zero};
  chart.y = {"tokens/s a GPU", Quantity::number, ChartAxis::Scale::zero};
  chart.series = series.take();
  if (const double limit = limit_of(plan, "tpot"); limit > 0)
    chart.limits.push_back({"SLO: TPOT " + latency(limit), 1000 / limit, true, 0});
  return draw(chart);
}

std::string cost_front(const PlanResult& plan) {
  FrontSeries series;
  for (std::size_t i = 0; i < std::min(plan.front.size(), kDotsMax); ++i) {
    const FrontPoint& point = plan.front[i];
    series.add({point.cost_per_hour, point.p99_ttft_ms, point.on_cost_front ? point.label : ""}, point.met,
               point.on_cost_front);
  }
  XyChart chart;
  chart.id = "cost-latency";
  chart.title = "Latency against cost";
  chart.description =
      "To the left is cheaper, downwards the first token comes sooner. Down and to the left is better.";
  chart.x = {"USD an hour", Quantity::number, ChartAxis::Scale::zero};
  chart.y = {"p99 TTFT", Quantity::milliseconds};
  chart.series = series.take();
  if (const double limit = limit_of(plan, "ttft"); limit > 0)
    chart.limits.push_back({"SLO: TTFT " + latency(limit), limit, false, 0});
  return draw(chart);
}

std::string fronts(const PlanResult& plan) {
  const std::string pictures = speed_front(plan) + cost_front(plan);
  if (pictures.empty()) return "";
  HtmlTable table("roomy", {{"On a front"},
                            {html_term("per_gpu"), "num"},
                            {html_term("interactivity"), "num"},
                            {html_term("cost_hour"), "num"},
                            {html_term("ttft", "p99 TTFT"), "num"},
                            {html_term("slo")}});
  for (const FrontPoint& point : plan.front) {
    if (!point.on_speed_front && !point.on_cost_front) continue;
    table.row({escaped(point.label), significant(point.output_per_gpu), significant(point.output_per_user),
               fixed(point.cost_per_hour, 2), latency(point.p99_ttft_ms), html_met(point.met)});
  }
  return html_section("pareto", html_term("pareto", "Pareto fronts"),
                      "Every cluster that was simulated on the whole traffic.",
                      "<div class=\"plots\">\n" + pictures + "</div>\n" + table.take());
}

std::string knee(const PlanResult& plan) {
  if (plan.knee.empty()) return "";
  XyChart chart;
  chart.id = "knee-chart";
  chart.title = "Goodput against rate";
  chart.x = {"requests/s offered", Quantity::number, ChartAxis::Scale::zero};
  chart.y = {"requests/s within the SLO", Quantity::number, ChartAxis::Scale::zero};
  FrontSeries series;
  series.front.name = "goodput";
  double rate_max = 0;
  HtmlTable table("compact", {{"Times the rate"},
                              {"req/s offered", "num"},
                              {html_term("goodput", "Goodput, req/s"), "num"},
                              {html_term("slo")}});
  for (const KneePoint& point : plan.knee) {
    series.add({point.rate, point.goodput, fmt::format("{} times the rate", significant(point.factor))},
               point.met, true);
    rate_max = std::max(rate_max, point.rate);
    table.row({significant(point.factor), significant(point.rate), significant(point.goodput),
               html_met(point.met)});
  }
  ChartSeries offered{"all of them", "grey", ChartSeries::Form::line, {}};
  offered.points.push_back({0, 0, ""});
  offered.points.push_back({rate_max, rate_max, ""});
  chart.series.push_back(std::move(offered));
  for (ChartSeries& one : series.take()) chart.series.push_back(std::move(one));
  chart.description = "The grey line is what was offered; where goodput leaves it, requests come too late.";
  if (plan.rate_max_factor > 0 && plan.rate > 0)
    chart.limits.push_back(
        {fmt::format("SLO met up to {} req/s", significant(plan.rate_max_factor * plan.rate)),
         plan.rate_max_factor * plan.rate, true, 0});
  const std::string lead = plan.rate_max_factor > 0
                               ? fmt::format("The best cluster meets the SLO up to {} times the rate.",
                                             significant(plan.rate_max_factor))
                               : "The best cluster, its traffic faster or slower.";
  return html_section("knee", "Goodput against rate, and its " + html_term("knee", "knee"), escaped(lead),
                      draw(chart) + table.take());
}

std::string sensitivity(const PlanResult& plan) {
  if (plan.sensitivity.empty()) return "";
  double most = 1;
  for (const SensitivityRow& row : plan.sensitivity)
    if (row.closest.limit_ms > 0) most = std::max(most, row.closest.value_ms / row.closest.limit_ms);
  HtmlTable table("bars", {{"With"},
                           {"Nearest term, against its limit", "pic"},
                           {html_term("nearest_term", "Value / limit"), "num"},
                           {html_term("slo")},
                           {"Nearest term", "source"}});
  for (const SensitivityRow& row : plan.sensitivity) {
    const double strain = row.closest.limit_ms > 0 ? row.closest.value_ms / row.closest.limit_ms : 0;
    table.row({escaped(row.change), draw(Whisker{strain, strain, strain, true}, {0, most * 1.1, 1}),
               fixed(strain, 2), html_met(row.met),
               slo_term(row.closest) +
                   escaped(fmt::format(" {} of {}; goodput {} req/s", latency(row.closest.value_ms),
                                       latency(row.closest.limit_ms), significant(row.goodput)))});
  }
  return html_section("sensitivity", "Sensitivity",
                      "The best cluster with one assumption changed; the upright line is the limit.",
                      table.take());
}

std::string cost(const PlanResult& plan) {
  HtmlTable table("roomy", {{"Cluster"},
                            {"GPUs", "num"},
                            {html_term("cost_hour"), "num"},
                            {"USD a month", "num"},
                            {html_term("cost_tokens", "USD a million output tokens"), "num"}});
  for (const PlanPoint& point : plan.points) {
    const double per_hour = point.forecast.metrics.output_throughput * 3600 / 1e6;
    table.row(
        {escaped(point.label), grouped(point.gpus), fixed(point.cost_per_hour, 2),
         fixed(point.cost_per_hour * 730, 0), per_hour > 0 ? fixed(point.cost_per_hour / per_hour, 2) : "-"},
        &point == &plan.points.front() ? "base" : "");
  }
  const auto& price = plan.points.front().forecast.price;
  return html_section("cost", "Cost",
                      escaped("GPUs only, busy or not; a month has 730 hours." +
                              (price ? " Price: " + price->source + "." : std::string())),
                      table.take());
}

std::string deploy(const PlanResult& plan) {
  if (plan.deploy_vllm.empty()) return "";
  return html_section("deploy", "Start it", escaped(plan.deploy_note + "."),
                      "<pre class=\"wrap\" tabindex=\"0\">" + escaped(plan.deploy_vllm) + "\n\n" +
                          escaped(plan.deploy_sglang) + "</pre>\n");
}

Origin origin(const PlanResult& plan) {
  const Forecast& best = plan.points.front().forecast;
  Origin origin{.facts = {{"Search", search_text(plan)},
                          {"Model", best.model},
                          {"GPU", best.gpu},
                          {"Engine", best.engine},
                          {"Workload", best.workload},
                          {"Step times", best.timer + (best.calibrated ? "" : " (uncalibrated)")}},
                .version = plan.version,
                .command = plan.command,
                .seed = fmt::format("{}", plan.seed),
                .inputs = plan.inputs,
                .resolved = ""};
  for (const std::string& reason : plan.unfit) origin.facts.emplace_back("Did not fit", reason);
  return origin;
}

}  // namespace

std::string to_html(const PlanResult& plan) {
  const PlanPoint& best = plan.points.front();
  HtmlPage page;
  page.title = "Plan: " + plan.title;
  page.sub = best.forecast.workload;
  page.verdict = plan.verdict;
  page.bad = !plan.feasible;
  if (!best.forecast.calibrated)
    page.warnings.push_back("<b>Uncalibrated:</b> " + escaped(uncalibrated_text(best.forecast)));
  for (const std::string& note : plan.notes) page.warnings.push_back(escaped(note));
  std::string advice = html_list(plan.advice);
  if (!advice.empty())
    advice = html_section("advice", "What would help", "From runs beyond the space.", advice);
  page.body = cards(plan) + terms(best) + binding(plan) + advice + points(plan) + html_budget(best.forecast) +
              fronts(plan) + knee(plan) + sensitivity(plan) + cost(plan) + deploy(plan) +
              html_uncertainty(best.forecast) + html_assumptions(plan.assumptions) +
              html_origin(origin(plan));
  return to_html(page);
}

}  // namespace kvcast
