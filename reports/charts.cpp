#include "reports/charts.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/chart_frame.h"
#include "reports/html_parts.h"

namespace kvcast {
namespace {

void widen(Axis::Span& span, double value) {
  span.min = std::min(span.min, value);
  span.max = std::max(span.max, value);
}

struct Extent {
  Axis::Span x{1e300, -1e300}, y{1e300, -1e300};
};

Extent extent_of(const XyChart& chart) {
  Extent extent;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      widen(extent.x, point.x);
      widen(extent.y, point.y);
    }
  }
  // A bound keeps a little room, so that its label stands inside.
  constexpr double kRoom = 1.05;
  for (const ChartLimit& limit : chart.limits) widen(limit.upright ? extent.x : extent.y, limit.at * kRoom);
  // A single value, or equal ones, stand in the middle of a scale rather than on its end.
  if (extent.x.max <= extent.x.min && extent.x.max > 0) extent.x.max *= 2;
  if (extent.y.max <= extent.y.min && extent.y.max > 0) extent.y.max *= 2;
  return extent;
}

/// Dots in the middle of a scale, not cut by its ends.
Axis::Span with_room(Axis::Span span, const XyChart& chart) {
  const bool dots = std::any_of(chart.series.begin(), chart.series.end(), [](const ChartSeries& series) {
    return series.form != ChartSeries::Form::line;
  });
  if (dots) span.max = span.max > 0 ? span.max * 1.04 : span.max;
  return span;
}

void draw_series(ChartFrame& frame, const ChartSeries& series) {
  if (series.form == ChartSeries::Form::line) {
    std::string d;
    for (const ChartPoint& point : series.points)
      d += (d.empty() ? "M" : "L") + frame.point_text(point.x, point.y);
    frame.path(std::string("line ") + series.colour, d);
    return;
  }
  const std::string css_class =
      std::string(series.form == ChartSeries::Form::dots ? "dot " : "hollow ") + series.colour;
  for (const ChartPoint& point : series.points)
    frame.circle(css_class.c_str(), point.x, point.y, 4, point.label);
}

const char* key_of(ChartSeries::Form form) {
  switch (form) {
    case ChartSeries::Form::line:
      return "line";
    case ChartSeries::Form::dots:
      return "dot";
    case ChartSeries::Form::rings:
      break;
  }
  return "hollow";
}

}  // namespace

std::string draw(const XyChart& chart) {
  const bool empty = std::all_of(chart.series.begin(), chart.series.end(),
                                 [](const ChartSeries& series) { return series.points.empty(); });
  if (empty) return "";
  const Extent extent = extent_of(chart);
  ChartFrame frame(ChartScale(chart.x, with_room(extent.x, chart), {0, 100}),
                   ChartScale(chart.y, with_room(extent.y, chart), {static_cast<double>(chart.height), 0}),
                   chart.height);
  std::vector<LegendEntry> legend;
  for (const ChartSeries& series : chart.series) {
    if (series.points.empty()) continue;
    draw_series(frame, series);
    if (!series.name.empty()) legend.push_back({series.name, series.colour, key_of(series.form)});
  }
  for (const ChartLimit& limit : chart.limits) frame.limit(limit);
  for (const ChartMark& mark : chart.marks) frame.mark(mark);
  return frame.take({chart.id, chart.title, chart.description, chart.caption}, legend);
}

std::string draw(const Waterfall& waterfall) {
  double peak = 1;
  double level = 0;
  for (const Waterfall::Row& row : waterfall.rows) {
    level += row.amount;
    peak = std::max(peak, level);
  }
  HtmlTable table("bars", {{waterfall.item_title},
                           {"Share", "pic"},
                           {waterfall.amount_title, "num"},
                           {waterfall.source_title, "source"}});
  level = 0;
  for (const Waterfall::Row& row : waterfall.rows) {
    const char* css_class = row.amount >= 0 ? "blue" : "used";
    table.row({escaped(row.item), bar(level / peak, (level + row.amount) / peak, css_class),
               escaped(row.text), escaped(row.source)});
    level += row.amount;
  }
  const Waterfall::Row& total = waterfall.total;
  table.row({escaped(total.item), bar(0, level / peak, "green"), escaped(total.text), escaped(total.source)},
            "total");
  return table.take();
}

std::string bar(double begin, double end, std::string_view css_class) {
  const double low = std::clamp(std::min(begin, end), 0.0, 1.0);
  const double high = std::clamp(std::max(begin, end), 0.0, 1.0);
  return fmt::format(
      "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
      "<rect class=\"rail\" width=\"1000\" height=\"10\"/>"
      "<rect class=\"{}\" x=\"{:.1f}\" width=\"{:.1f}\" height=\"10\"/></svg>",
      css_class, 1000 * low, high > low ? std::max(1.0, 1000 * (high - low)) : 0.0);
}

std::string draw(const Whisker& whisker, const WhiskerScale& scale) {
  const double span = scale.high > scale.low ? scale.high - scale.low : 1;
  const auto x = [&](double value) { return 2 + 96 * std::clamp((value - scale.low) / span, 0.0, 1.0); };
  const std::string limit =
      whisker.limit
          ? fmt::format("<line class=\"limit\" x1=\"{0:.1f}%\" x2=\"{0:.1f}%\" y1=\"1\" y2=\"15\"/>",
                        x(*whisker.limit))
          : "";
  return fmt::format(
      "<svg class=\"whisker\" aria-hidden=\"true\"><line class=\"rail\" x1=\"0%\" x2=\"100%\" y1=\"8\" "
      "y2=\"8\"/>"
      "<line class=\"zero\" x1=\"{0:.1f}%\" x2=\"{0:.1f}%\" y1=\"0\" y2=\"16\"/>{5}"
      "<line class=\"span{1}\" x1=\"{2:.1f}%\" x2=\"{3:.1f}%\" y1=\"8\" y2=\"8\"/>"
      "<circle class=\"point{1}\" cx=\"{4:.1f}%\" cy=\"8\" r=\"4\"/></svg>",
      x(scale.zero), whisker.strong ? " strong" : "", x(whisker.low), x(whisker.high), x(whisker.at), limit);
}

std::string draw(const HeatTable& heat) {
  std::vector<HtmlTable::Column> columns{{heat.row_title}};
  for (const std::string& column : heat.columns) columns.push_back({column, "num"});
  HtmlTable table("roomy heat", columns);
  for (const auto& [name, cells] : heat.rows) {
    std::vector<std::string> texts{escaped(name)};
    for (const HeatTable::Cell& cell : cells) {
      const double shade = std::clamp(cell.shade, -1.0, 1.0);
      texts.push_back(shade == 0 ? escaped(cell.text)
                                 : fmt::format("<span class=\"heat {}\" style=\"--shade:{:.0f}%\">{}</span>",
                                               shade > 0 ? "blue" : "orange",
                                               8 + 22 * (shade > 0 ? shade : -shade), escaped(cell.text)));
    }
    table.row(texts);
  }
  return table.take();
}

}  // namespace kvcast
