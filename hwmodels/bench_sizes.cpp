#include "hwmodels/bench_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kErrorPerDoubling = 0.1;  // of a row's time, where nothing says more

struct Known {
  double size;
  const BenchFit* fit;
};

std::string shape_of(const BenchFit& fit) {
  std::string text;
  for (const auto& [name, value] : fit.constants)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  return text;
}

/// Half of what two sizes differ by in the time of a row per byte, relative to their mean.
double disagreement(const Known& a, const Known& b) {
  const double one = a.fit->us[1] / a.size, other = b.fit->us[1] / b.size;
  return one + other > 0 ? std::abs(one - other) / (one + other) : 0;
}

}  // namespace

double bench_row_size(std::string_view op,
                      const std::vector<std::pair<std::string, std::int64_t>>& constants) {
  const auto of = [&constants](std::string_view name) -> double {
    for (const auto& [key, value] : constants)
      if (key == name) return static_cast<double>(value);
    return 0;
  };
  if (op == "append") return (2 * of("heads") + 4 * of("kv_heads")) * of("head_size");
  return of(op == "sample" ? "vocabulary" : "width");
}

SizedFit fit_of_size(const std::vector<const BenchFit*>& known, double size) {
  KVCAST_CHECK(!known.empty());
  std::vector<Known> sizes;
  for (const BenchFit* fit : known) sizes.push_back({bench_row_size(fit->op, fit->constants), fit});
  std::stable_sort(sizes.begin(), sizes.end(),
                   [](const Known& a, const Known& b) { return a.size < b.size; });
  std::size_t above = 0;
  while (above < sizes.size() && sizes[above].size < size) ++above;
  const bool between = above > 0 && above < sizes.size();
  const Known& near = sizes[above > 0 ? above - 1 : 0];
  SizedFit result{*near.fit, shape_of(*near.fit)};
  BenchFit& fit = result.fit;
  double error = 0;
  if (between && sizes[above].size > near.size) {
    const Known& next = sizes[above];
    const double part = (size - near.size) / (next.size - near.size);
    for (std::size_t i = 0; i < fit.us.size(); ++i) fit.us[i] += part * (next.fit->us[i] - fit.us[i]);
    fit.relative_error = std::max(fit.relative_error, next.fit->relative_error);
    error = disagreement(near, next);
    result.from += " and " + shape_of(*next.fit);
  } else if (near.size > 0 && size > 0) {
    const double ratio = size / near.size;
    fit.us[1] *= ratio;
    double each = kErrorPerDoubling;
    if (sizes.size() > 1) {
      const std::size_t other = above > 0 ? sizes.size() - 2 : 1;
      each = std::max(each, disagreement(near, sizes[other]));
    }
    error = each * std::abs(std::log2(ratio));
  }
  fit.relative_error = std::min(1.0, std::hypot(fit.relative_error, error));
  return result;
}

}  // namespace kvcast
