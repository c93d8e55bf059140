#include "sim/plan/plan_result.h"

#include <algorithm>

namespace kvcast {
namespace {

/// Whether some other point is at least as good in both and better in one.
template <class First, class Second>
bool dominated(const std::vector<FrontPoint>& points, const FrontPoint& point, First first, Second second) {
  return std::any_of(points.begin(), points.end(), [&](const FrontPoint& other) {
    const bool not_worse = first(other) >= first(point) && second(other) >= second(point);
    return not_worse && (first(other) > first(point) || second(other) > second(point));
  });
}

}  // namespace

void mark_fronts(std::vector<FrontPoint>& points) {
  for (FrontPoint& point : points) {
    point.on_speed_front = !dominated(
        points, point, [](const FrontPoint& p) { return p.output_per_gpu; },
        [](const FrontPoint& p) { return p.output_per_user; });
    point.on_cost_front = !dominated(
        points, point, [](const FrontPoint& p) { return -p.cost_per_hour; },
        [](const FrontPoint& p) { return -p.p99_ttft_ms; });
  }
}

}  // namespace kvcast
