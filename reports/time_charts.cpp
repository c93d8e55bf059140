// Pictures over time: values on a grid, and the steps of an engine.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/chart_frame.h"
#include "reports/charts.h"
#include "reports/format.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

/// Neighbouring values that one stretch of the picture covers.
struct Band {
  double x, min, mean, max;
};

constexpr std::size_t kBandsMax = 320;

std::vector<Band> bands_of(const TimeChart& chart, const std::vector<double>& values) {
  const std::size_t each = (values.size() + kBandsMax - 1) / kBandsMax;
  std::vector<Band> bands;
  for (std::size_t begin = 0; begin < values.size(); begin += each) {
    const std::size_t end = std::min(begin + each, values.size());
    double sum = 0;
    Band band{0, values[begin], 0, values[begin]};
    for (std::size_t i = begin; i < end; ++i) {
      sum += values[i];
      band.min = std::min(band.min, values[i]);
      band.max = std::max(band.max, values[i]);
    }
    band.mean = sum / static_cast<double>(end - begin);
    band.x = chart.first_s + chart.spacing_s * static_cast<double>(begin + end - 1) / 2;
    bands.push_back(band);
  }
  return bands;
}

void draw_line(ChartFrame& frame, const std::vector<Band>& bands, const char* colour) {
  std::string line, upper, lower;
  bool wide = false;
  for (const Band& band : bands) {
    line += (line.empty() ? "M" : "L") + frame.point_text(band.x, band.mean);
    upper += (upper.empty() ? "M" : "L") + frame.point_text(band.x, band.max);
    lower = "L" + frame.point_text(band.x, band.min) + lower;
    wide = wide || band.max > band.min;
  }
  if (wide) frame.path(std::string("band ") + colour, upper + lower + "Z");
  frame.path(std::string("line ") + colour, line);
}

/// From one line to the next: a layer of a stack.
void draw_layer(ChartFrame& frame, const std::vector<Band>& below, const std::vector<Band>& bands,
                const char* colour) {
  std::string upper, lower;
  for (std::size_t i = 0; i < bands.size(); ++i) {
    const std::string at = frame.point_text(bands[i].x, bands[i].mean);
    upper += (upper.empty() ? "M" : "L") + at;
    lower = "L" + frame.point_text(bands[i].x, below.empty() ? 0 : below[i].mean) + lower;
  }
  frame.path(std::string("area ") + colour, upper + lower + "Z");
  frame.path(std::string("line ") + colour, upper);
}

/// Enough digits for a screen.
std::string short_number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e9) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

/// What report.js hands to uPlot.
std::string data_of(const TimeChart& chart) {
  std::string json = fmt::format(
      "{{\"first\":{:.9g},\"spacing\":{:.9g},\"unit\":\"{}\",\"percent\":{},\"stacked\":{}", chart.first_s,
      chart.spacing_s, escaped(chart.unit), chart.quantity == Quantity::share, chart.stacked);
  json += ",\"series\":[";
  for (std::size_t k = 0; k < chart.series.size(); ++k) {
    const TimeChart::Series& series = chart.series[k];
    json += fmt::format("{}{{\"name\":\"{}\",\"colour\":\"{}\",\"values\":[", k > 0 ? "," : "",
                        escaped(series.name), series.colour);
    for (std::size_t i = 0; i < series.values.size(); ++i)
      json += (i > 0 ? "," : "") + short_number(series.values[i]);
    json += "]}";
  }
  return "<script type=\"application/json\">" + json + "]}</script>\n";
}

/// Each series on top of those before it.
std::vector<std::vector<double>> stacked_values(const TimeChart& chart) {
  std::vector<std::vector<double>> sums;
  for (const TimeChart::Series& series : chart.series) {
    sums.push_back(series.values);
    if (!chart.stacked || sums.size() < 2) continue;
    for (std::size_t i = 0; i < series.values.size(); ++i) sums.back()[i] += sums[sums.size() - 2][i];
  }
  return sums;
}

std::string step_label(const StepSpan& step) {
  std::string text =
      fmt::format("step {}: {}", grouped(step.index), latency(static_cast<double>(step.time.count()) / 1e6));
  if (step.prompts > 0)
    text += fmt::format(", {} prompt tokens in {} chunk{}", grouped(step.prompt_tokens), step.prompts,
                        step.prompts == 1 ? "" : "s");
  if (step.decodes > 0) text += fmt::format(", {} decoding", grouped(step.decodes));
  text += fmt::format("; {} running, {} waiting", grouped(step.running), grouped(step.waiting));
  if (step.preempted > 0) text += fmt::format(", {} preempted", step.preempted);
  return text;
}

double seconds(Duration time) { return static_cast<double>(time.count()) / 1e9; }

}  // namespace

std::string draw(const TimeChart& chart) {
  KVCAST_CHECK(!chart.series.empty());
  KVCAST_CHECK(!chart.series.front().values.empty());
  KVCAST_CHECK(chart.spacing_s > 0);
  const std::vector<std::vector<double>> values = stacked_values(chart);
  const double last = chart.first_s + chart.spacing_s * static_cast<double>(values.front().size() - 1);
  // So that counts get whole-numbered ticks.
  double top = chart.quantity == Quantity::share ? 0 : 4;
  for (const std::vector<double>& series : values)
    top = std::max(top, *std::max_element(series.begin(), series.end()));
  ChartFrame frame(ChartScale({"time since the first arrival", Quantity::seconds, ChartAxis::Scale::zero},
                              {0, std::max(last, chart.spacing_s)}, {0, 100}),
                   ChartScale({chart.unit, chart.quantity, ChartAxis::Scale::zero}, {0, top},
                              {static_cast<double>(chart.height), 0}),
                   chart.height);
  std::vector<LegendEntry> legend;
  std::vector<Band> below;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const TimeChart::Series& series = chart.series[k];
    const std::vector<Band> bands = bands_of(chart, values[k]);
    if (chart.stacked)
      draw_layer(frame, below, bands, series.colour);
    else
      draw_line(frame, bands, series.colour);
    below = bands;
    if (chart.series.size() > 1)
      legend.push_back({series.name, series.colour, chart.stacked ? "area" : "line"});
  }
  return frame.take({chart.id, chart.title, chart.description}, legend, data_of(chart));
}

std::string draw(const StepChart& chart) {
  KVCAST_CHECK(!chart.steps.empty());
  const double begin = seconds(chart.steps.front().begin);
  const double end = seconds(chart.steps.back().begin + chart.steps.back().time);
  std::int64_t most = 1;
  for (const StepSpan& step : chart.steps) most = std::max(most, step.prompt_tokens + step.decodes);
  // Heights grow with the square root: a decode of 20 sequences and a chunk of 8,192 tokens are both seen.
  const double root_max = std::sqrt(static_cast<double>(most));
  const auto top_of = [&](std::int64_t tokens) {
    return chart.height * (1 - std::sqrt(static_cast<double>(tokens)) / root_max);
  };
  std::vector<std::pair<double, std::string>> ticks{{chart.height, "0"}};
  constexpr double kTickRoom = 16;
  for (std::int64_t tokens = 1; tokens <= most; tokens *= 10) {
    if (ticks.back().first - top_of(tokens) >= kTickRoom) ticks.emplace_back(top_of(tokens), grouped(tokens));
  }
  ChartFrame frame(
      ChartScale({fmt::format("time, from {} s after the first arrival on", significant(begin)),
                  Quantity::seconds, ChartAxis::Scale::zero},
                 {0, end - begin}, {0, 100}),
      ChartScale({"tokens in the step (square-root scale)", Quantity::number, ChartAxis::Scale::zero},
                 {0, static_cast<double>(most)}, {static_cast<double>(chart.height), 0}),
      chart.height, ticks);
  for (const StepSpan& step : chart.steps) {
    const double left = frame.x(seconds(step.begin) - begin);
    const double width = frame.x(seconds(step.begin + step.time) - begin) - left;
    const double decode_top = top_of(step.decodes);
    const double top = top_of(step.prompt_tokens + step.decodes);
    const std::string words = step_label(step);
    if (step.decodes > 0) frame.rect("step blue", left, width, decode_top, chart.height, words);
    if (step.prompts > 0) frame.rect("step orange", left, width, top, decode_top, words);
    if (step.preempted > 0) frame.rect("step bad", left, width, -7, -2, words);
  }
  std::vector<LegendEntry> legend{{"decoding sequences", "blue", "area"},
                                  {"prompt tokens", "orange", "area"}};
  if (std::any_of(chart.steps.begin(), chart.steps.end(),
                  [](const StepSpan& step) { return step.preempted > 0; }))
    legend.push_back({"preemption", "bad", "area"});
  return frame.take({chart.id, chart.title, chart.description}, legend);
}

}  // namespace kvcast
