/// Tables of step costs over counts, integers in and out, so that every machine reads the same value: dense
/// over small counts, on knots at 2^j and 3 * 2^j beyond.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace kvcast {

/// Knots 1, 2, 3, 4, 6, 8, 12, 16, ...: half an octave or less apart.
struct HalfOctaves {
  [[nodiscard]] static std::int64_t at(std::size_t index);
  /// The last knot at or below x (x > 0).
  [[nodiscard]] static std::size_t below(std::int64_t x);
};

/// Contract: a function of a row count, in units of 2^-20 ns; 0 at 0 rows; never falls. Beyond the last row
/// it goes on with the slope of the second half.
class RowTable {
 public:
  RowTable() = default;
  /// \param us microseconds of `rows`; asked for every row up to 512, then near multiples of 16, and straight
  /// between
  RowTable(std::int64_t rows_max, const std::function<double(std::int64_t)>& us);
  [[nodiscard]] bool empty() const { return cost_.empty(); }
  [[nodiscard]] std::int64_t at(std::int64_t rows) const;
  /// Rows up to the largest capture size take the time of the next size.
  void pad(const std::vector<std::int64_t>& capture_sizes);

 private:
  std::vector<std::int64_t> cost_;
};

/// Contract: a function of two counts on half-octave knots, straight between them; never falls as either
/// rises; goes on in proportion beyond its last knots.
class GridTable {
 public:
  GridTable() = default;
  /// \param us microseconds at (x, y), for the knots up to x_max and y_max
  GridTable(std::int64_t x_max, std::int64_t y_max,
            const std::function<double(std::int64_t, std::int64_t)>& us);
  [[nodiscard]] bool empty() const { return cost_.empty(); }
  [[nodiscard]] std::int64_t at(std::int64_t x, std::int64_t y) const;
  /// Values at x on knot `y_knot` of y and the next.
  struct Edge {
    std::int64_t low = 0;
    std::int64_t high = 0;
  };
  [[nodiscard]] Edge edge(std::int64_t x, std::size_t y_knot) const;
  [[nodiscard]] std::size_t y_knots() const { return y_count_; }
  [[nodiscard]] std::int64_t lowest() const { return cost_.empty() ? 0 : cost_.front(); }

 private:
  std::size_t x_count_ = 0, y_count_ = 0;
  std::vector<std::int64_t> cost_;  // [y][x]
};

/// Microseconds in units of 2^-20 ns.
[[nodiscard]] std::int64_t fine_us(double us);

}  // namespace kvcast
