// Replicas that come and go: how many there were over time, and what became of them.
#include <fmt/format.h>

#include "reports/charts.h"
#include "reports/elasticity_text.h"
#include "reports/html_parts.h"
#include "reports/timeline_view.h"

namespace kvcast {
namespace {

/// At the moments of the other charts over time.
std::string replicas_over_time(const Forecast& forecast) {
  const TimelineView view = timeline_of(forecast, Timeline::kPointsMax);
  const std::vector<FleetStep> steps = fleet_steps(forecast);
  if (view.points.empty() || steps.empty()) return "";
  TimeChart chart;
  chart.id = "replicas";
  chart.title = "Replicas";
  chart.description = fmt::format(
      "Between {} and {} take requests; those that hold GPUs besides load weights, drain or "
      "are being repaired.",
      forecast.metrics.replicas_ready_min, forecast.metrics.replicas_ready_max);
  chart.unit = "replicas";
  chart.first_s = view.first_s;
  chart.spacing_s = view.spacing_s;
  chart.height = 110;
  TimeChart::Series held{"hold GPUs", "grey", {}}, ready{"ready", "green", {}};
  std::size_t step = 0;
  for (std::size_t i = 0; i < view.points.size(); ++i) {
    const double at_s = view.first_s + static_cast<double>(i) * view.spacing_s;
    while (step + 1 < steps.size() && steps[step + 1].at_s <= at_s) ++step;
    held.values.push_back(static_cast<double>(steps[step].held));
    ready.values.push_back(static_cast<double>(steps[step].ready));
  }
  chart.series.push_back(std::move(ready));
  chart.series.push_back(std::move(held));
  return draw(chart);
}

std::string events_table(const Forecast& forecast) {
  constexpr std::size_t kRows = 200;
  const RunRecord& record = *forecast.record;
  if (record.fleet.events.empty()) return "";
  HtmlTable table("compact", {{"Time, s", "num"}, {"Replica", "num"}, {"Event"}});
  std::size_t rows = 0;
  for (const FleetEventNote& note : record.fleet.events) {
    if (rows++ == kRows) break;
    table.row({fmt::format("{:.3f}", static_cast<double>((note.at - record.first_arrival).count()) / 1e9),
               fmt::format("{}", note.replica), name_of(note.kind)});
  }
  return fmt::format("<details><summary>Events of replicas, {} of {}</summary>\n{}</details>\n",
                     std::min(kRows, record.fleet.events.size()), record.fleet.events.size(), table.take());
}

}  // namespace

std::string html_elasticity(const Forecast& forecast) {
  const std::vector<ElasticityLine> lines = elasticity_lines(forecast);
  if (lines.empty()) return "";
  HtmlTable table("roomy", {{"Elasticity"}, {"", "num"}, {"Definition", "source"}});
  for (const ElasticityLine& line : lines) table.row({line.name, line.value, escaped(line.remark)});
  return html_section("elasticity", "Elasticity",
                      "Replicas that start, drain, fail, hang, slow down or are scaled.",
                      (forecast.metrics.scrapes > 0 ? replicas_over_time(forecast) : "") + table.take() +
                          events_table(forecast));
}

}  // namespace kvcast
