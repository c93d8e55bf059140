#include "workloads/gamma_draw.h"

#include <cmath>

#include "sim/base/portable_math.h"
#include "workloads/special_functions.h"

namespace kvcast {

GammaDraw::GammaDraw(double shape)
    : shape_(shape), d_((shape < 1 ? shape + 1 : shape) - 1.0 / 3), c_(1 / std::sqrt(9 * d_)) {
  KVCAST_CHECK(shape > 0);
}

double GammaDraw::operator()(RandomStream& stream) const {
  double v = 0;
  while (true) {
    const double x = normal_from_uniform(stream.uniform());
    const double root = 1 + c_ * x;
    if (root <= 0) continue;
    v = root * root * root;
    const double u = stream.uniform_positive();
    const double square = x * x;
    if (u < 1 - 0.0331 * square * square) break;
    if (portable_log(u) < 0.5 * square + d_ * (1 - v + portable_log(v))) break;
  }
  const double value = d_ * v / shape_;
  if (shape_ >= 1) return value;
  return value * portable_exp(portable_log(stream.uniform_positive()) / shape_);
}

}  // namespace kvcast
