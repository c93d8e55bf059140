/// A distribution given by its quantiles: what `kvcast trace fit` writes and synthetic workloads draw from.
#pragma once

#include <vector>

namespace kvcast {

/// Quantiles at equal steps of probability from 0 to 1, and between the last two of them, where lengths
/// spread most, at any others. Linear in between. A length is the nearest whole number, at least 1.
struct QuantileTable {
  std::vector<double> steps;   // at least 2, not falling
  std::vector<double> tail_p;  // rising, above the last step but one, below 1
  std::vector<double> tail_q;  // as long, not falling, within the last step

  /// \param u in [0, 1)
  [[nodiscard]] double at(double u) const;
  /// The largest u with at(u) below x, 1 where all are.
  [[nodiscard]] double below(double x) const;
};

}  // namespace kvcast
