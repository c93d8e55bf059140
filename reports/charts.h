/// The pictures of the reports: plain data in, one <figure> of HTML out. Drawn once for every width: places
/// across are shares of the figure's width, places down are pixels, so text keeps its size from a phone to a
/// wide screen, and the style sheet drops ticks that have no room. No script is needed; colours come from the
/// style sheet (light, dark and print share one drawing) and are told apart with every kind of colour vision.
/// Each chart has a title and a description for screen readers. A new kind of picture goes here, so that
/// every report draws alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reports/svg.h"
#include "sim/metrics/forecast.h"

namespace kvcast {

/// What an axis counts: decides units and how ticks read.
enum class Quantity : std::uint8_t {
  number,
  share,         // 0 to 1, shown in percent
  milliseconds,  // shown in ms or s
  seconds,       // shown in ms, s, min or h
};

struct ChartAxis {
  enum class Scale : std::uint8_t {
    automatic,  // from zero, or logarithmic where the values span more than a factor of Axis::kLogFrom
    zero,       // linear from zero
    tight,      // linear from the smallest value to the largest, zero among them
  };
  std::string title;  // "tokens/s a GPU"; units of time and logarithms are added
  Quantity quantity = Quantity::number;
  Scale scale = Scale::automatic;
};

struct ChartPoint {
  double x = 0;
  double y = 0;
  std::string label;  // shown on hover; empty: none
};

struct ChartSeries {
  enum class Form : std::uint8_t { line, dots, rings };
  std::string name;             // in the legend; empty: not there
  const char* colour = "blue";  // "blue", "orange", "green", "purple", "grey"
  Form form = Form::line;
  std::vector<ChartPoint> points;  // a line joins them in this order
};

/// A bound that the reader should see: a dashed line across the whole plot.
struct ChartLimit {
  std::string label;  // "SLO p99 2,000 ms"
  double at = 0;
  bool upright = true;  // at an x; else at a y
  double height = 0;    // an upright one: the y that must be reached there, ringed; 0: no ring
};

/// A point that is named in the picture.
struct ChartMark {
  std::string label;
  double x = 0;
  double y = 0;
};

/// Lines and dots in two dimensions: distributions, Pareto fronts, knees, rooflines, residuals.
struct XyChart {
  std::string id;  // unique in the page
  std::string title;
  std::string description;  // one or two sentences: what the picture shows
  ChartAxis x, y;
  std::vector<ChartSeries> series;
  std::vector<ChartLimit> limits;
  std::vector<ChartMark> marks;
  int height = 260;     // pixels of the plot
  bool caption = true;  // shows the description below the title; else only screen readers have it
};
/// Empty where no series has a point.
[[nodiscard]] std::string draw(const XyChart& chart);

/// Values on a grid of time, as lines or stacked areas. With scripts, uPlot takes its place: zoom, and one
/// cursor for all charts of the page. Lines carry a band from the smallest to the largest value that each
/// pixel covers.
struct TimeChart {
  struct Series {
    std::string name;
    const char* colour = "blue";
    std::vector<double> values;
  };
  std::string id;
  std::string title;
  std::string description;
  std::string unit;  // of the values, as the y axis says it
  Quantity quantity = Quantity::number;
  double first_s = 0;  // time of the first value, from the first arrival
  double spacing_s = 0;
  std::vector<Series> series;  // equally long, not empty
  bool stacked = false;
  int height = 150;
};
[[nodiscard]] std::string draw(const TimeChart& chart);

/// Engine steps one after another: a box for each, as wide as it took and as high as the tokens it computed.
struct StepChart {
  std::string id;
  std::string title;
  std::string description;
  std::vector<StepSpan> steps;  // in order of time, not empty
  int height = 170;
};
[[nodiscard]] std::string draw(const StepChart& chart);

/// Amounts that are added up or taken off one after another, ending in a total: a table with a bar in each
/// row.
struct Waterfall {
  struct Row {
    std::string item;
    double amount = 0;  // negative: taken off
    std::string text;   // the amount as people read it
    std::string source;
  };
  std::string item_title = "Item", amount_title = "Size", source_title = "Source";
  std::vector<Row> rows;
  Row total;  // its amount is the sum of the rows
};
[[nodiscard]] std::string draw(const Waterfall& waterfall);

/// A horizontal bar from `begin` to `end` (fractions of the full width) for a table cell; the caller writes
/// its number beside it.
[[nodiscard]] std::string bar(double begin, double end, std::string_view css_class);

/// A dot with its interval on a scale from `low` to `high`, with a mark at `zero` (no change, a limit), for a
/// table cell: one column of them is a forest plot. The caller writes the numbers beside it.
struct WhiskerScale {
  double low = 0;
  double high = 1;
  double zero = 0;
};
struct Whisker {
  double at = 0;
  double low = 0;
  double high = 0;
  bool strong = false;
  std::optional<double> limit = std::nullopt;  // a bound of its own, marked
};
[[nodiscard]] std::string draw(const Whisker& whisker, const WhiskerScale& scale);

/// Rows and columns of numbers, shaded from -1 (orange) over 0 (plain) to 1 (blue): what changes where, at a
/// glance. The number stands in each cell.
struct HeatTable {
  struct Cell {
    std::string text;
    double shade = 0;  // -1 to 1
  };
  std::string row_title;
  std::vector<std::string> columns;
  std::vector<std::pair<std::string, std::vector<Cell>>> rows;
};
[[nodiscard]] std::string draw(const HeatTable& table);

}  // namespace kvcast
