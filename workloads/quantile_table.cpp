#include "workloads/quantile_table.h"

#include <algorithm>
#include <cstddef>

namespace kvcast {
namespace {

double between(double x0, double y0, double x1, double y1, double x) {
  return x1 > x0 ? y0 + (y1 - y0) * ((x - x0) / (x1 - x0)) : y0;
}

}  // namespace

double QuantileTable::at(double u) const {
  const std::size_t last = steps.size() - 1;
  const double position = u * static_cast<double>(last);
  const std::size_t i = std::min(static_cast<std::size_t>(position), last - 1);
  if (i + 1 < last || tail_p.empty())
    return steps[i] + (steps[i + 1] - steps[i]) * (position - static_cast<double>(i));
  double p0 = static_cast<double>(i) / static_cast<double>(last);
  double q0 = steps[i];
  for (std::size_t k = 0; k < tail_p.size(); ++k) {
    if (u < tail_p[k]) return between(p0, q0, tail_p[k], tail_q[k], u);
    p0 = tail_p[k];
    q0 = tail_q[k];
  }
  return between(p0, q0, 1, steps.back(), u);
}

double QuantileTable::below(double x) const {
  const std::size_t last = steps.size() - 1;
  const auto above =
      static_cast<std::size_t>(std::lower_bound(steps.begin(), steps.end(), x) - steps.begin());
  if (above > last) return 1;
  if (above == 0) return 0;
  const double step = 1 / static_cast<double>(last);
  double p0 = static_cast<double>(above - 1) * step;
  double q0 = steps[above - 1];
  if (above == last) {
    for (std::size_t k = 0; k < tail_p.size(); ++k) {
      if (x <= tail_q[k]) return between(q0, p0, tail_q[k], tail_p[k], x);
      p0 = tail_p[k];
      q0 = tail_q[k];
    }
  }
  return between(q0, p0, steps[above], static_cast<double>(above) * step, x);
}

}  // namespace kvcast
