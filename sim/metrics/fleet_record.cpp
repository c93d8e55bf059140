#include "sim/metrics/fleet_record.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {

void RetryTotals::add(const RetryTotals& other) {
  failed += other.failed;
  retried += other.retried;
  retries += other.retries;
  recomputed_tokens += other.recomputed_tokens;
}

std::int64_t FleetRecord::count(FleetEventKind kind) const {
  return std::count_if(events.begin(), events.end(),
                       [kind](const FleetEventNote& note) { return note.kind == kind; });
}

FleetTime integrate(const FleetRecord& fleet, Instant from, Instant to) {
  KVCAST_CHECK(!fleet.empty());
  KVCAST_CHECK(from <= to);
  FleetTime time;
  bool any = false;
  for (std::size_t i = 0; i < fleet.levels.size(); ++i) {
    const FleetLevel& level = fleet.levels[i];
    const bool last = i + 1 == fleet.levels.size();
    const Instant begin = std::max(level.at, from);
    const Instant end = last ? to : std::min(fleet.levels[i + 1].at, to);
    if (end < begin || (end == begin && end != to)) continue;
    time.ready_ns += static_cast<Int128>((end - begin).count()) * level.ready;
    time.held_ns += static_cast<Int128>((end - begin).count()) * level.held;
    time.ready_min = any ? std::min(time.ready_min, level.ready) : level.ready;
    time.ready_max = any ? std::max(time.ready_max, level.ready) : level.ready;
    any = true;
  }
  return time;
}

}  // namespace kvcast
