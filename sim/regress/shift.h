/// The shift between two timings of one kernel, in logarithms, before any verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/regress/regression.h"

namespace kvcast {

/// log(new / base) of one kernel and how sure it is.
struct TimingShift {
  double estimate = 0;
  Interval interval;  // 95 %
  bool decidable = false;
  std::string remark;  // why it is not
  std::int64_t n_base = 0, n_new = 0;
  bool blocks = false;

  /// Standard error that the interval's width stands for.
  [[nodiscard]] double standard_error() const;
  /// Two-sided p of a shift of `null`.
  [[nodiscard]] double p(double null) const;

  // What p() looks at; one of the two, else estimate and interval.
  std::vector<double> base, candidate;  // logarithms of samples
  std::vector<double> differences;      // of paired blocks
};

/// \param paired block i of both ran side by side
[[nodiscard]] TimingShift timing_shift(const std::vector<TimingBlock>& base,
                                       const std::vector<TimingBlock>& candidate, bool paired,
                                       MedianBootstrap& bootstrap);

}  // namespace kvcast
