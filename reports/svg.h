/// What the drawings of the reports are made of: escaped text, axes with round ticks. The charts themselves:
/// charts.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

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
  /// \param values both positive
  static Axis logarithmic(Span values, Span pixels);
  /// Linear from zero, or logarithmic, as the values need.
  static Axis fitted(Span values, Span pixels);

  [[nodiscard]] double at(double value) const;
  /// Round values within the axis (1, 2, 5 times a power of ten), about `wanted` of them.
  [[nodiscard]] std::vector<double> ticks(int wanted) const;
  [[nodiscard]] bool is_log() const { return log_; }
  [[nodiscard]] Span values() const { return values_; }

 private:
  Axis(bool log, Span values, Span pixels) : log_(log), values_(values), pixels_(pixels) {}
  bool log_;
  Span values_;
  Span pixels_;
};

/// A tick's number: as few digits as tell it from its neighbours.
[[nodiscard]] std::string tick_text(double value);

}  // namespace kvcast
