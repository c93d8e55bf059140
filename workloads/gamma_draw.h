/// Gamma variates for hot paths.
#pragma once

#include "sim/base/rng.h"

namespace kvcast {

/// Contract: gamma variables of one shape and mean 1. RandomStream::gamma() serves occasional draws; this one
/// keeps the shape's constants, takes its normal from the inverse distribution function and tests Marsaglia &
/// Tsang's squeeze before any logarithm (ACM TOMS 26, 2000): a third of the time, for one draw a request.
class GammaDraw {
 public:
  /// \pre shape > 0
  explicit GammaDraw(double shape);

  [[nodiscard]] double operator()(RandomStream& stream) const;

 private:
  double shape_;
  double d_;  // of the shape, or of shape + 1 where it is below 1
  double c_;
};

}  // namespace kvcast
