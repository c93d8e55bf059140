#include "hwmodels/log_table.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kEveryRow = 512;  // tables are asked for each row up to here
constexpr std::int64_t kTile = 16;       // then for its multiples and one beyond, where tiles of a GEMM begin
constexpr double kUsMax = 4e6;           // a shape beyond has no meaning
constexpr std::int64_t kCostMax = std::int64_t{1} << 61;

/// from + (to - from) * part / whole, rounded down; exact ends, so that it never falls over borders.
std::int64_t between(std::int64_t from, std::int64_t to, std::int64_t part, std::int64_t whole) {
  if (part == 0) return from;
  std::int64_t product = 0;
  if (!__builtin_mul_overflow(to - from, part, &product)) return from + product / whole;
  const Int128 value = from + static_cast<Int128>(to - from) * part / whole;
  return value > kCostMax ? kCostMax : static_cast<std::int64_t>(value);
}

/// cost * x / x_last: beyond a table, in proportion.
std::int64_t beyond(std::int64_t cost, std::int64_t x, std::int64_t x_last) {
  const Int128 value = static_cast<Int128>(cost) * x / x_last;
  return value > kCostMax ? kCostMax : static_cast<std::int64_t>(value);
}

}  // namespace

std::int64_t fine_us(double us) {
  return std::llround(std::clamp(us, 0.0, kUsMax) * 1e3 * static_cast<double>(std::int64_t{1} << kFineBits));
}

std::int64_t HalfOctaves::at(std::size_t index) {
  if (index == 0) return 1;
  const std::int64_t power = std::int64_t{1} << ((index + 1) / 2);
  return index % 2 == 1 ? power : power + power / 2;
}

std::size_t HalfOctaves::below(std::int64_t x) {
  const auto octave = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(x)) - 1);
  if (octave == 0) return 0;
  const bool second = x >= (std::int64_t{3} << (octave - 1));
  return 2 * octave - 1 + (second ? 1 : 0);
}

RowTable::RowTable(std::int64_t rows_max, const std::function<double(std::int64_t)>& us) {
  cost_.assign(static_cast<std::size_t>(rows_max) + 1, 0);
  std::int64_t last = 0;
  for (std::int64_t rows = 1; rows <= rows_max; ++rows) {
    const bool asked = rows <= kEveryRow || rows % kTile <= 1 || rows == rows_max;
    if (!asked) continue;
    const std::int64_t before = cost_[static_cast<std::size_t>(last)];
    const std::int64_t cost = std::max(fine_us(us(rows)), before);
    for (std::int64_t i = last + 1; i <= rows; ++i)
      cost_[static_cast<std::size_t>(i)] = between(before, cost, i - last, rows - last);
    last = rows;
  }
}

std::int64_t RowTable::at(std::int64_t rows) const {
  if (cost_.empty() || rows <= 0) return 0;
  const auto last = static_cast<std::int64_t>(cost_.size()) - 1;
  if (rows <= last) return cost_[static_cast<std::size_t>(rows)];
  const std::int64_t middle = last / 2;
  return between(cost_[static_cast<std::size_t>(middle)], cost_.back(), rows - middle, last - middle);
}

void RowTable::pad(const std::vector<std::int64_t>& capture_sizes) {
  std::int64_t from = 1;
  for (const std::int64_t size : capture_sizes) {
    if (size >= static_cast<std::int64_t>(cost_.size())) return;
    for (; from < size; ++from) cost_[static_cast<std::size_t>(from)] = cost_[static_cast<std::size_t>(size)];
    from = size + 1;
  }
}

GridTable::GridTable(std::int64_t x_max, std::int64_t y_max,
                     const std::function<double(std::int64_t, std::int64_t)>& us) {
  x_count_ = HalfOctaves::below(x_max) + 1;
  y_count_ = HalfOctaves::below(y_max) + 1;
  KVCAST_CHECK(x_count_ > 1 && y_count_ > 1);
  cost_.resize(x_count_ * y_count_);
  for (std::size_t y = 0; y < y_count_; ++y) {
    for (std::size_t x = 0; x < x_count_; ++x) {
      std::int64_t& cost = cost_[y * x_count_ + x];
      cost = fine_us(us(HalfOctaves::at(x), HalfOctaves::at(y)));
      if (x > 0) cost = std::max(cost, cost_[y * x_count_ + x - 1]);
      if (y > 0) cost = std::max(cost, cost_[(y - 1) * x_count_ + x]);
    }
  }
}

GridTable::Edge GridTable::edge(std::int64_t x, std::size_t y_knot) const {
  const std::int64_t* low_row = &cost_[y_knot * x_count_];
  const std::int64_t* high_row = low_row + x_count_;
  if (x <= 1) return {low_row[0], high_row[0]};
  const std::int64_t last = HalfOctaves::at(x_count_ - 1);
  if (x >= last) return {beyond(low_row[x_count_ - 1], x, last), beyond(high_row[x_count_ - 1], x, last)};
  const std::size_t index = HalfOctaves::below(x);
  const std::int64_t low = HalfOctaves::at(index), width = HalfOctaves::at(index + 1) - low;
  return {between(low_row[index], low_row[index + 1], x - low, width),
          between(high_row[index], high_row[index + 1], x - low, width)};
}

std::int64_t GridTable::at(std::int64_t x, std::int64_t y) const {
  if (y <= 1) return edge(x, 0).low;
  const std::int64_t last = HalfOctaves::at(y_count_ - 1);
  if (y >= last) return beyond(edge(x, y_count_ - 2).high, y, last);
  const std::size_t index = HalfOctaves::below(y);
  const std::int64_t low = HalfOctaves::at(index);
  const Edge values = edge(x, index);
  return between(values.low, values.high, y - low, HalfOctaves::at(index + 1) - low);
}

}  // namespace kvcast
