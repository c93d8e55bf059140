#include "reports/timeline_view.h"

#include "sim/base/error.h"

namespace kvcast {

TimelineView timeline_of(const Forecast& forecast, std::size_t points_max) {
  KVCAST_CHECK(forecast.record != nullptr && points_max > 0);
  const RunRecord& record = *forecast.record;
  const std::int64_t from = record.first_arrival.time_since_epoch().count();
  const std::int64_t to = record.last_token.time_since_epoch().count();
  std::vector<std::size_t> inside;
  for (std::size_t i = 0; i < record.timeline.points.size(); ++i) {
    const std::int64_t at = (static_cast<std::int64_t>(i) + 1) * record.timeline.spacing_ns;
    if (at >= from && at <= to) inside.push_back(i);
  }
  TimelineView view;
  view.blocks = static_cast<double>(forecast.facts.blocks_of_all_replicas());
  const std::size_t stride = (inside.size() + points_max - 1) / points_max;
  view.spacing_s = static_cast<double>(record.timeline.spacing_ns) / 1e9 * static_cast<double>(stride);
  if (inside.empty()) return view;
  view.first_s = static_cast<double>(
                     (static_cast<std::int64_t>(inside.front()) + 1) * record.timeline.spacing_ns - from) /
                 1e9;
  for (std::size_t k = 0; k < inside.size(); k += stride)
    view.points.push_back(record.timeline.points[inside[k]]);
  return view;
}

}  // namespace kvcast
