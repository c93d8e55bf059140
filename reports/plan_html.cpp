// The HTML report of a plan.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/plan_report.h"
#include "reports/report.h"
#include "reports/svg.h"

namespace kvcast {
namespace {

const char* met(bool is_met) {
  return is_met ? "<span class=\"met\">&#10003; met</span>" : "<span class=\"missed\">&#10007; missed</span>";
}

std::string points(const PlanResult& plan) {
  HtmlTable table("roomy", {{"Cluster"},
                            {"USD an hour", "num"},
                            {"SLO"},
                            {"Nearest term / limit", "num"},
                            {"Probability", "num"},
                            {"Goodput, req/s", "num"},
                            {"Output tok/s a GPU", "num"}});
  for (const PlanPoint& point : plan.points) {
    const Metrics& metrics = point.forecast.metrics;
    table.row(
        {escaped(point.label), fixed(point.cost_per_hour, 2), met(point.score.met),
         fixed(point.score.strain, 2), point.meets_probability ? fixed(*point.meets_probability, 2) : "-",
         significant(metrics.request_goodput),
         significant(metrics.output_throughput / static_cast<double>(point.gpus))},
        &point == &plan.points.front() ? "base" : "");
  }
  return html_section("points", plan.feasible ? "The best clusters" : "The nearest clusters",
                      escaped(interval_method(plan)).c_str(), table.take());
}

std::string terms(const PlanPoint& best) {
  HtmlTable table(
      "bars", {{"Term"}, {"Value, interval, limit", "pic"}, {"Forecast", "num"}, {"Met"}, {"", "source"}});
  for (const PlanTerm& term : best.terms) {
    const SloTerm& slo = term.term;
    const Interval interval = term.interval_ms.value_or(Interval{slo.value_ms, slo.value_ms});
    const WhiskerScale scale{0, std::max(slo.limit_ms, interval.high) * 1.1, slo.limit_ms};
    table.row({escaped(slo.statistic) + " " + latency_text(slo.metric).name,
               draw(Whisker{slo.value_ms, interval.low, interval.high, true}, scale), latency(slo.value_ms),
               met(slo.met), escaped(term_text(term))});
  }
  return html_section("terms", "Head room",
                      "Each term of the SLO with its 90 % interval; the line is the limit.", table.take());
}

struct Dot {
  double x = 0, y = 0;
  std::string label;
  bool front = false;
  bool is_met = false;
};

/// Points in two dimensions from zero: filled ones meet the SLO, the front is joined by a line.
std::string scatter(const char* id, const char* title, const char* x_name, const char* y_name,
                    std::vector<Dot> dots) {
  constexpr double kLeft = 70, kRight = 700, kTop = 14, kBottom = 300;
  double x_max = 0, y_max = 0;
  for (const Dot& dot : dots) {
    x_max = std::max(x_max, dot.x);
    y_max = std::max(y_max, dot.y);
  }
  if (!(x_max > 0) || !(y_max > 0)) return "";
  const Axis x = Axis::linear({0, x_max * 1.05}, {kLeft, kRight}),
             y = Axis::linear({0, y_max * 1.05}, {kBottom, kTop});
  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 720 350\" role=\"img\" aria-labelledby=\"{0}-t\"><title "
      "id=\"{0}-t\">{1}</title>",
      id, escaped(title));
  for (const double tick : y.ticks(5))
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/><text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>",
        kLeft, y.at(tick), kRight, kLeft - 6, y.at(tick) + 4, significant(tick));
  for (const double tick : x.ticks(6))
    svg += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                       x.at(tick), kBottom + 18, significant(tick));
  svg += fmt::format(
      "<path class=\"axis\" d=\"M{0} {1}H{2}\"/><text class=\"tick\" x=\"{2}\" y=\"{3}\" "
      "text-anchor=\"end\">{4}</text><text class=\"tick\" x=\"4\" y=\"{5}\">{6}</text>",
      kLeft, kBottom, kRight, kBottom + 38, escaped(x_name), kTop - 2, escaped(y_name));
  std::stable_sort(dots.begin(), dots.end(), [](const Dot& a, const Dot& b) { return a.x < b.x; });
  std::string line;
  for (const Dot& dot : dots) {
    if (dot.front) line += fmt::format("{}{:.1f} {:.1f}", line.empty() ? "M" : "L", x.at(dot.x), y.at(dot.y));
  }
  svg += "<path class=\"line blue\" d=\"" + line + "\"/>";
  for (const Dot& dot : dots) {
    svg += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}</title></circle>",
                       dot.is_met ? "dot" : "ring", x.at(dot.x), y.at(dot.y), dot.front ? 5 : 3,
                       escaped(dot.label));
  }
  return svg + "</svg>\n";
}

std::string fronts(const PlanResult& plan) {
  constexpr std::size_t kDotsMax = 3000;  // the page stays below 1 MB
  std::vector<Dot> speed, cost;
  for (std::size_t i = 0; i < std::min(plan.front.size(), kDotsMax); ++i) {
    const FrontPoint& point = plan.front[i];
    speed.push_back(
        {point.output_per_user, point.output_per_gpu, point.label, point.on_speed_front, point.met});
    cost.push_back({point.cost_per_hour, point.p99_ttft_ms, point.label, point.on_cost_front, point.met});
  }
  HtmlTable table("roomy", {{"On a front"},
                            {"tok/s a GPU", "num"},
                            {"tok/s a user", "num"},
                            {"USD an hour", "num"},
                            {"p99 TTFT", "num"},
                            {"SLO"}});
  for (const FrontPoint& point : plan.front) {
    if (!point.on_speed_front && !point.on_cost_front) continue;
    table.row({escaped(point.label), significant(point.output_per_gpu), significant(point.output_per_user),
               fixed(point.cost_per_hour, 2), latency(point.p99_ttft_ms), met(point.met)});
  }
  return html_section(
      "pareto", "Pareto fronts",
      "Every cluster that was simulated on the whole traffic. Filled dots meet the SLO; the line joins those "
      "that no other "
      "beats in both.",
      "<figure><h3>Throughput against interactivity</h3>\n" +
          scatter("speed", "Output tokens per second and GPU against tokens per second and user",
                  "tokens/s a user", "tokens/s a GPU", std::move(speed)) +
          "</figure>\n<figure><h3>Latency against cost</h3>\n" +
          scatter("cost", "p99 TTFT in milliseconds against cost an hour", "USD an hour", "p99 TTFT, ms",
                  std::move(cost)) +
          "</figure>\n" + table.take());
}

std::string knee(const PlanResult& plan) {
  if (plan.knee.empty()) return "";
  std::vector<Dot> dots;
  HtmlTable table("compact", {{"Rate"}, {"req/s offered", "num"}, {"Goodput, req/s", "num"}, {"SLO"}});
  for (const KneePoint& point : plan.knee) {
    dots.push_back(
        {point.rate, point.goodput, fmt::format("x {}", significant(point.factor)), true, point.met});
    table.row({"x " + significant(point.factor), significant(point.rate), significant(point.goodput),
               met(point.met)});
  }
  const std::string lead = plan.rate_max_factor > 0
                               ? fmt::format("The best cluster meets the SLO up to {} times the rate.",
                                             significant(plan.rate_max_factor))
                               : "The best cluster, its traffic faster or slower.";
  return html_section("knee", "Goodput against rate", lead.c_str(),
                      scatter("knee-chart", "Goodput against the rate offered", "requests/s offered",
                              "goodput, req/s", std::move(dots)) +
                          table.take());
}

std::string sensitivity(const PlanResult& plan) {
  if (plan.sensitivity.empty()) return "";
  HtmlTable table("roomy", {{"Assumption"},
                            {"SLO"},
                            {"Nearest term"},
                            {"Value", "num"},
                            {"Limit", "num"},
                            {"Goodput, req/s", "num"}});
  for (const SensitivityRow& row : plan.sensitivity) {
    table.row({escaped(row.change), met(row.met),
               escaped(row.closest.statistic) + " " + latency_text(row.closest.metric).name,
               latency(row.closest.value_ms), latency(row.closest.limit_ms), significant(row.goodput)});
  }
  return html_section("sensitivity", "Sensitivity", "The best cluster with one assumption changed.",
                      table.take());
}

std::string deploy(const PlanResult& plan) {
  if (plan.deploy_vllm.empty()) return "";
  return html_section(
      "deploy", "Start it", escaped(plan.deploy_note).c_str(),
      "<pre tabindex=\"0\">" + escaped(plan.deploy_vllm) + "\n\n" + escaped(plan.deploy_sglang) + "</pre>\n");
}

std::string origin(const PlanResult& plan) {
  std::string list;
  const auto pair = [&](const char* term, const std::string& text) {
    if (!text.empty()) list += fmt::format("<dt>{}</dt><dd>{}</dd>\n", term, escaped(text));
  };
  const Forecast& best = plan.points.front().forecast;
  pair("Search", search_text(plan));
  pair("Model", best.model);
  pair("GPU", best.gpu);
  pair("Engine", best.engine);
  pair("Workload", best.workload);
  pair("Step times", best.timer + (best.calibrated ? "" : " (uncalibrated)"));
  for (const std::string& reason : plan.unfit) pair("Did not fit", reason);
  for (const std::string& note : plan.notes) pair("Note", note);
  pair("Version", "kvcast " + plan.version);
  pair("Seed", fmt::format("{}", plan.seed));
  pair("Command", plan.command);
  for (const InputHash& input : plan.inputs) pair("Input", input.path + " " + input.hash);
  std::string assumptions;
  for (const Assumption& assumption : plan.assumptions)
    assumptions += "<li>" + escaped(assumption.text) + " <span class=\"source\">(" +
                   escaped(assumption.source) + ")</span></li>\n";
  return html_section("origin", "How it was found, and what it rests on",
                      "Equal scenario, seed and version give an equal report.",
                      "<dl>\n" + list + "</dl>\n<ul>\n" + assumptions + "</ul>\n");
}

}  // namespace

std::string to_html(const PlanResult& plan) {
  HtmlPage page;
  page.title = "Plan: " + plan.title;
  page.sub = plan.points.front().forecast.workload;
  page.verdict = plan.verdict;
  page.bad = !plan.feasible;
  std::string advice;
  for (const std::string& text : plan.advice) advice += "<li>" + escaped(text) + "</li>\n";
  if (!advice.empty())
    advice = html_section("advice", "What would help", "From runs beyond the space.",
                          "<ul>\n" + advice + "</ul>\n");
  const bool calibrated = plan.points.front().forecast.calibrated;
  const std::string warning = calibrated
                                  ? ""
                                  : "<p class=\"warn\"><b>Uncalibrated:</b> " +
                                        escaped(uncalibrated_text(plan.points.front().forecast)) + "</p>\n";
  page.body = warning + terms(plan.points.front()) + advice + points(plan) + fronts(plan) + knee(plan) +
              sensitivity(plan) + deploy(plan) + origin(plan);
  return to_html(page);
}

}  // namespace kvcast
