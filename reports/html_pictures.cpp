// The pictures of one run: distributions, time lines, steps.
#include <fmt/format.h>

#include <algorithm>

#include "reports/charts.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "reports/html_parts.h"
#include "reports/timeline_view.h"

namespace kvcast {
namespace {

/// Terms of one metric as bounds on its distribution; a mean or a spread has no height on the curve.
std::vector<ChartLimit> limits_of(const Forecast& forecast, const std::string& metric) {
  std::vector<ChartLimit> limits;
  for (const SloTerm& term : forecast.slo) {
    if (term.metric != metric) continue;
    const std::string& name = term.statistic;
    const double share = name == "median" ? 0.5 : name[0] == 'p' ? std::stod(name.substr(1)) / 100 : 0;
    limits.push_back({"SLO " + name + " " + latency(term.limit_ms), term.limit_ms, true, share});
  }
  return limits;
}

std::string distribution(const Forecast& forecast, const LatencyText& text, const Samples& samples) {
  if (samples.count() == 0) return "";
  const LatencySummary& summary = forecast.metrics.*text.summary;
  XyChart chart;
  chart.id = std::string("cdf-") + text.key;
  chart.title = text.name;
  chart.description =
      fmt::format("Half of the requests are at or below {}, 90 % at or below {}, 99 % at or below {}.",
                  latency(summary.p50), latency(summary.p90), latency(summary.p99));
  chart.x = {"", Quantity::milliseconds};
  chart.y = {"requests at or below", Quantity::share, ChartAxis::Scale::zero};
  ChartSeries curve;
  for (const CdfPoint& point : samples.cdf(200))
    curve.points.push_back({point.value_ns / 1e6, point.share, ""});
  chart.series.push_back(std::move(curve));
  for (const auto& [name, ms, share] :
       {std::tuple{"p50", summary.p50, 0.5}, {"p90", summary.p90, 0.9}, {"p99", summary.p99, 0.99}})
    chart.marks.push_back({fmt::format("{} {}", name, latency(ms)), ms, share});
  chart.limits = limits_of(forecast, text.key);
  chart.height = 190;
  chart.caption = false;
  return draw(chart);
}

std::string latency_table(const Metrics& metrics) {
  HtmlTable table("roomy", {{"Milliseconds"},
                            {"mean", "num"},
                            {"std", "num"},
                            {"p50", "num"},
                            {"p90", "num"},
                            {"p95", "num"},
                            {html_term("percentile", "p99"), "num"},
                            {"Definition", "source"}});
  for (const LatencyText& text : kLatencies) {
    const LatencySummary& summary = metrics.*text.summary;
    if (summary.count == 0) continue;
    std::string definition = text.definition;
    if (summary.relative_error_max > 0) {
      definition +=
          fmt::format("; percentiles from a histogram, within {:.2f} %", 100 * summary.relative_error_max);
    }
    table.row({html_term(text.key, text.name), significant(summary.mean), significant(summary.std),
               significant(summary.p50), significant(summary.p90), significant(summary.p95),
               significant(summary.p99), escaped(definition)});
  }
  return table.take();
}

/// A few rows for readers who cannot use the pictures.
std::string timeline_table(const Forecast& forecast) {
  constexpr std::size_t kRows = 12;
  const TimelineView view = timeline_of(forecast, kRows);
  HtmlTable table("compact", {{"Time, s", "num"},
                              {html_term("kv_usage"), "num"},
                              {html_term("running"), "num"},
                              {html_term("waiting"), "num"},
                              {html_term("preemption", "Preemptions so far"), "num"}});
  for (std::size_t i = 0; i < view.points.size(); ++i) {
    const TimelinePoint& point = view.points[i];
    table.row({significant(view.first_s + static_cast<double>(i) * view.spacing_s),
               view.blocks > 0 ? percent(static_cast<double>(point.blocks_used) / view.blocks) : "-",
               grouped(point.running), grouped(point.waiting), grouped(point.preemptions)});
  }
  return "<details><summary>Over time, as a table</summary>\n" + table.take() + "</details>\n";
}

std::string kv_over_time(const Forecast& forecast, TimeChart chart, const TimelineView& view) {
  if (view.blocks <= 0) return "";
  TimeChart::Series used{"KV blocks in use", "green", {}};
  for (const TimelinePoint& point : view.points)
    used.values.push_back(static_cast<double>(point.blocks_used) / view.blocks);
  chart.id = "kv";
  chart.title = "KV cache in use";
  chart.description = fmt::format("Mean {}, peak {} of all blocks.", percent(forecast.metrics.kv_usage_mean),
                                  percent(forecast.metrics.kv_usage_peak));
  chart.quantity = Quantity::share;
  chart.series.push_back(std::move(used));
  return draw(chart);
}

std::string requests_over_time(const Forecast& forecast, TimeChart chart, const TimelineView& view) {
  TimeChart::Series running{"running", "blue", {}};
  TimeChart::Series waiting{"waiting", "orange", {}};
  for (const TimelinePoint& point : view.points) {
    running.values.push_back(static_cast<double>(point.running));
    waiting.values.push_back(static_cast<double>(point.waiting));
  }
  chart.id = "requests";
  chart.title = "Requests, running and waiting";
  chart.description = fmt::format("One on top of the other; at most {} are in the system.",
                                  grouped(forecast.metrics.max_concurrent_requests));
  chart.unit = "requests";
  chart.stacked = true;
  chart.series.push_back(std::move(running));
  chart.series.push_back(std::move(waiting));
  return draw(chart);
}

std::string preemptions_over_time(const Forecast& forecast, TimeChart chart, const TimelineView& view) {
  if (forecast.metrics.preemptions == 0) return "";
  TimeChart::Series preempted{"preemptions so far", "purple", {}};
  for (const TimelinePoint& point : view.points)
    preempted.values.push_back(static_cast<double>(point.preemptions));
  chart.id = "preemptions";
  chart.title = "Preemptions so far";
  chart.description = "Where the curve is steep, the KV cache was full and sequences had to give way.";
  chart.unit = "preemptions";
  chart.height = 110;
  chart.series.push_back(std::move(preempted));
  return draw(chart);
}

}  // namespace

std::string html_latencies(const Forecast& forecast) {
  if (forecast.record == nullptr || forecast.metrics.completed == 0) return "";
  std::string charts;
  charts += distribution(forecast, latency_text("ttft"), forecast.record->ttft);
  charts += distribution(forecast, latency_text("tpot"), forecast.record->tpot);
  charts += distribution(forecast, latency_text("e2el"), forecast.record->e2el);
  return html_section("latency", "Latency", "The share of completed requests at or below each latency.",
                      "<div class=\"plots\">\n" + charts + "</div>\n" + latency_table(forecast.metrics));
}

std::string html_timeline(const Forecast& forecast) {
  if (forecast.record == nullptr || forecast.metrics.scrapes == 0) return "";
  const TimelineView view = timeline_of(forecast, Timeline::kPointsMax);
  TimeChart chart;
  chart.first_s = view.first_s;
  chart.spacing_s = view.spacing_s;
  return html_section("time", "Over time", forecast.facts.replicas > 1 ? "All replicas together." : "",
                      kv_over_time(forecast, chart, view) + requests_over_time(forecast, chart, view) +
                          preemptions_over_time(forecast, chart, view) + timeline_table(forecast));
}

std::string html_steps(const Forecast& forecast) {
  if (forecast.steps.empty()) return "";
  StepChart chart;
  chart.id = "steps";
  chart.title = fmt::format("{} steps of {}", forecast.steps.size(),
                            forecast.facts.replicas > 1 ? "the first replica" : "the engine");
  chart.description =
      "Each box is a step: as wide as it takes, as high as the tokens it computes. Gaps are time without "
      "work.";
  chart.steps = forecast.steps;
  return html_section("steps", "Step by step",
                      "A stretch from the middle of the run: how prompts and decodes share the engine.",
                      draw(chart));
}

}  // namespace kvcast
