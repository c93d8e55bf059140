// The report's pictures: distributions and time lines.
#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"
#include "reports/html_parts.h"
#include "reports/svg.h"

namespace kvcast {
namespace {

/// Terms of one metric as marks on its distribution; a mean or a spread has no height on the curve.
std::vector<CdfChart::Mark> limits_of(const Forecast& forecast, const std::string& metric) {
  std::vector<CdfChart::Mark> limits;
  for (const SloTerm& term : forecast.slo) {
    if (term.metric != metric) continue;
    const std::string& name = term.statistic;
    const double share = name == "median" ? 0.5 : name[0] == 'p' ? std::stod(name.substr(1)) / 100 : 0;
    limits.push_back({name, term.limit_ms, share});
  }
  return limits;
}

std::string distribution(const Forecast& forecast, const LatencyText& text, const Samples& samples) {
  if (samples.count() == 0) return "";
  const LatencySummary& summary = forecast.metrics.*text.summary;
  CdfChart chart;
  chart.id = std::string("cdf-") + text.key;
  chart.title = fmt::format("Distribution of {}", text.name);
  chart.description =
      fmt::format("Half of the requests are at or below {}, 90 % at or below {}, 99 % at or below {}.",
                  latency(summary.p50), latency(summary.p90), latency(summary.p99));
  chart.curve = samples.cdf(200);
  chart.marks = {{"p50", summary.p50, 0.5}, {"p90", summary.p90, 0.9}, {"p99", summary.p99, 0.99}};
  chart.limits = limits_of(forecast, text.key);
  return fmt::format("<figure>\n<h3>{}</h3>\n<figcaption>{}</figcaption>\n{}</figure>\n", text.name,
                     escaped(text.definition), draw(chart));
}

std::string latency_table(const Metrics& metrics) {
  HtmlTable table("roomy", {{"Milliseconds"},
                            {"mean", "num"},
                            {"std", "num"},
                            {"p50", "num"},
                            {"p90", "num"},
                            {"p95", "num"},
                            {"p99", "num"},
                            {"Definition", "source"}});
  for (const LatencyText& text : kLatencies) {
    const LatencySummary& summary = metrics.*text.summary;
    if (summary.count == 0) continue;
    std::string definition = text.definition;
    if (summary.relative_error_max > 0) {
      definition += fmt::format("; from a histogram, within {:.2f} %", 100 * summary.relative_error_max);
    }
    table.row({text.name, significant(summary.mean), significant(summary.std), significant(summary.p50),
               significant(summary.p90), significant(summary.p95), significant(summary.p99),
               escaped(definition)});
  }
  return table.take();
}

/// Both widths of one chart: the style sheet shows the one that fits, so that text keeps its size on a phone.
std::string both_widths(TimeChart chart, const char* heading) {
  constexpr int kWide = 1000;
  constexpr int kNarrow = 360;
  std::string html = fmt::format("<figure>\n<h3>{}</h3>\n", heading);
  const std::string id = chart.id;
  for (const auto& [css_class, width] : {std::pair{"wide", kWide}, std::pair{"narrow", kNarrow}}) {
    chart.id = id + "-" + css_class;
    chart.width = width;
    html += fmt::format("<div class=\"{}\">{}</div>\n", css_class, draw(chart));
  }
  return html + "</figure>\n";
}

/// The scrapes between first arrival and last token.
struct Window {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::int64_t first_ns = 0;  // of points[begin], from the first arrival
};

Window window_of(const RunRecord& record) {
  const Timeline& timeline = record.timeline;
  const std::int64_t from = record.first_arrival.time_since_epoch().count();
  const std::int64_t to = record.last_token.time_since_epoch().count();
  Window window;
  for (std::size_t i = 0; i < timeline.points.size(); ++i) {
    const std::int64_t at = (static_cast<std::int64_t>(i) + 1) * timeline.spacing_ns;
    if (at < from) window.begin = i + 1;
    if (at <= to) window.end = i + 1;
  }
  window.end = std::max(window.begin, window.end);
  window.first_ns = (static_cast<std::int64_t>(window.begin) + 1) * timeline.spacing_ns - from;
  return window;
}

double blocks_of(const Forecast& forecast) {
  return static_cast<double>(forecast.facts.blocks_total * forecast.facts.replicas);
}

/// Twelve rows for readers who cannot use the pictures.
std::string timeline_table(const Forecast& forecast, const Window& window) {
  constexpr std::size_t kRows = 12;
  const Timeline& timeline = forecast.record->timeline;
  const double blocks = blocks_of(forecast);
  HtmlTable table("compact",
                  {{"Time, s", "num"}, {"KV in use", "num"}, {"Running", "num"}, {"Waiting", "num"}});
  const std::size_t count = window.end - window.begin;
  const std::size_t rows = std::min(kRows, count);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t index = rows == 1 ? 0 : row * (count - 1) / (rows - 1);
    const TimelinePoint& point = timeline.points[window.begin + index];
    const std::int64_t at_ns = window.first_ns + static_cast<std::int64_t>(index) * timeline.spacing_ns;
    table.row({significant(static_cast<double>(at_ns) / 1e9),
               blocks > 0 ? percent(static_cast<double>(point.blocks_used) / blocks) : "",
               grouped(point.running), grouped(point.waiting)});
  }
  return "<details><summary>As a table</summary>\n" + table.take() + "</details>\n";
}

}  // namespace

std::string html_latencies(const Forecast& forecast) {
  if (forecast.record == nullptr || forecast.metrics.completed == 0) return "";
  std::string charts;
  charts += distribution(forecast, latency_text("ttft"), forecast.record->ttft);
  charts += distribution(forecast, latency_text("tpot"), forecast.record->tpot);
  charts += distribution(forecast, latency_text("e2el"), forecast.record->e2el);
  return html_section("latency", "Latency", "Share of completed requests at or below each latency.",
                      "<div class=\"charts\">\n" + charts + "</div>\n" + latency_table(forecast.metrics));
}

std::string html_timeline(const Forecast& forecast) {
  if (forecast.record == nullptr || forecast.metrics.scrapes == 0) return "";
  const RunRecord& record = *forecast.record;
  const Window window = window_of(record);
  const double blocks = blocks_of(forecast);
  TimeChart::Series used{"KV blocks in use", "green", {}};
  TimeChart::Series running{"running", "blue", {}};
  TimeChart::Series waiting{"waiting", "orange", {}};
  for (std::size_t i = window.begin; i < window.end; ++i) {
    const TimelinePoint& point = record.timeline.points[i];
    used.values.push_back(blocks > 0 ? 100 * static_cast<double>(point.blocks_used) / blocks : 0);
    running.values.push_back(static_cast<double>(point.running));
    waiting.values.push_back(static_cast<double>(point.waiting));
  }
  TimeChart chart;
  chart.first_ns = window.first_ns;
  chart.spacing_ns = record.timeline.spacing_ns;
  std::string body;
  if (blocks > 0) {
    chart.id = "kv";
    chart.title = "KV cache in use over time";
    chart.description =
        fmt::format("Mean {}, peak {} of all blocks.", percent(forecast.metrics.kv_usage_mean),
                    percent(forecast.metrics.kv_usage_peak));
    chart.series = {used};
    chart.is_percent = true;
    body += both_widths(chart, "KV cache in use");
  }
  chart.id = "requests";
  chart.title = "Running and waiting requests over time";
  chart.description = fmt::format("At most {} requests are running or waiting.",
                                  grouped(forecast.metrics.max_concurrent_requests));
  chart.series = {running, waiting};
  chart.is_percent = false;
  body += both_widths(chart, "Requests");
  return html_section(
      "time", "Over time",
      "All replicas together. Lines are means, bands span the smallest and the largest value that one "
      "point of the picture covers.",
      body + timeline_table(forecast, window));
}

}  // namespace kvcast
