/// Plain SVG for the HTML report: no script, colours by CSS class (so light and dark share one drawing), each
/// chart with a title and a description for screen readers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/metrics/samples.h"

namespace kvcast {

/// Text for HTML and XML: & < > " ' escaped; control characters, which XML forbids, become U+FFFD.
[[nodiscard]] std::string escaped(std::string_view text);

/// An axis from values to pixels; logarithmic where the values span more than a factor of kLogFrom.
class Axis {
 public:
  static constexpr double kLogFrom = 20;
  struct Span {
    double min = 0;
    double max = 1;
  };
  /// \param pixels where min and max land
  static Axis linear(Span values, Span pixels);
  /// Linear from zero, or logarithmic, as the values need.
  static Axis fitted(Span values, Span pixels);

  [[nodiscard]] double at(double value) const;
  /// Round values within the axis (1, 2, 5 times a power of ten), about `wanted` of them.
  [[nodiscard]] std::vector<double> ticks(int wanted) const;
  [[nodiscard]] bool is_log() const { return log_; }

 private:
  Axis(bool log, Span values, Span pixels) : log_(log), values_(values), pixels_(pixels) {}
  bool log_;
  Span values_;
  Span pixels_;
};

/// A cumulative distribution of one latency, in milliseconds.
struct CdfChart {
  struct Mark {
    std::string label;  // "p99"
    double ms = 0;
    double share = 0;  // height on the curve
  };
  std::string id;  // unique in the page
  std::string title;
  std::string description;
  std::vector<CdfPoint> curve;
  std::vector<Mark> marks;
  /// The SLO: the curve must pass left of (ms, share). share 0: only the line, no point.
  std::vector<Mark> limits;
};
[[nodiscard]] std::string draw(const CdfChart& chart);

/// Values over time as lines with a band from the smallest to the largest value that each pixel covers.
struct TimeChart {
  struct Series {
    std::string name;
    std::string css_class;  // "blue", "orange", "green"; also its dash pattern
    std::vector<double> values;
  };
  std::string id;
  std::string title;
  std::string description;
  std::int64_t first_ns = 0;  // time of the first value, from the first arrival
  std::int64_t spacing_ns = 0;
  std::vector<Series> series;  // equally long, not empty
  bool is_percent = false;     // values are percentages
  int width = 920;
};
[[nodiscard]] std::string draw(const TimeChart& chart);

/// A horizontal bar from `begin` to `end` (fractions of the full width); the caller writes its number beside
/// it.
[[nodiscard]] std::string bar(double begin, double end, std::string_view css_class);

}  // namespace kvcast
