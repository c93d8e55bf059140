/// The plot area that charts.cpp and time_charts.cpp draw into.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "reports/charts.h"

namespace kvcast {

/// A quantity's unit for values up to `max`.
struct AxisUnit {
  double scale = 1;  // from values to what the ticks show
  const char* name = "";
  const char* suffix = "";  // of a tick
};
[[nodiscard]] AxisUnit unit_of(Quantity quantity, double max);

/// An axis in the units that its ticks show. \param values their smallest and largest, in the caller's unit
struct ChartScale {
  ChartScale(const ChartAxis& axis, Axis::Span values, Axis::Span pixels);
  [[nodiscard]] double at(double value) const { return axis.at(value * unit.scale); }
  [[nodiscard]] std::string title() const;  // with unit and "logarithmic"

  AxisUnit unit;
  Axis axis;
  std::string name;
};

struct LegendEntry {
  std::string name;
  const char* colour;
  const char* kind;  // CSS class of the key: "line", "area", "dot", "ring", "limit"
};

/// Contract: draws axes at construction, then what it is told, in order; take() closes the figure. Places
/// across are percent of the plot's width.
class ChartFrame {
 public:
  /// \param y_ticks pixels and texts of an axis that is no line and no logarithm; empty: those of `y`
  ChartFrame(ChartScale x, ChartScale y, int height,
             std::vector<std::pair<double, std::string>> y_ticks = {});

  [[nodiscard]] double x(double value) const { return x_.at(value); }
  [[nodiscard]] double y(double value) const { return y_.at(value); }
  /// \param d of an SVG path whose x runs from 0 to 1,000
  void path(const std::string& css_class, const std::string& d);
  [[nodiscard]] std::string point_text(double value_x, double value_y) const;  // "12.5 40.0"
  void circle(const char* css_class, double value_x, double value_y, double radius, const std::string& label);
  void rect(const std::string& css_class, double x_percent, double width_percent, double top, double bottom,
            const std::string& label);
  void limit(const ChartLimit& limit);
  /// A dot with its text where there is room.
  void mark(const ChartMark& mark);
  struct Words {
    std::string id, title, description;
    bool caption = true;
  };
  [[nodiscard]] std::string take(const Words& words, const std::vector<LegendEntry>& legend,
                                 const std::string& after = "");

 private:
  struct Box {
    double left, right, top, bottom;
  };
  void y_axis(std::vector<std::pair<double, std::string>> ticks);
  void x_axis();
  void text_beside(double px, double py, const std::string& text, const char* css_class, bool prefer_left);
  void flush_paths();

  ChartScale x_, y_;
  int height_;
  int left_ = 0;  // margin for the ticks' texts
  std::string svg_, paths_;
  std::vector<Box> taken_;  // at the narrowest width
};

}  // namespace kvcast
