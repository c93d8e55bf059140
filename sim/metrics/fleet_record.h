/// What becomes of replicas over a run that starts, drains, loses and scales them, and of the requests that
/// were on those that were lost. Raw integers, as everything that a run leaves behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

/// Requests whose replica was lost under them.
struct RetryTotals {
  std::int64_t failed = 0;             // that were not sent again, and so never completed
  std::int64_t retried = 0;            // that were sent again, once or more often
  std::int64_t retries = 0;            // times that they were
  std::int64_t recomputed_tokens = 0;  // computed once more after a retry: prompt tokens that no cache held,
                                       // and tokens of the answer

  void add(const RetryTotals& other);
};

/// What can happen to a replica.
enum class FleetEventKind : std::uint8_t {
  starts,     // has GPUs, loads weights
  ready,      // takes requests
  drains,     // takes no more, ends those that it has
  stops,      // gives its GPUs back
  fails,      // is lost, and so is its KV cache
  hangs,      // starts no more steps
  recovers,   // goes on after a hang
  taken_out,  // its health check has failed: it is stopped, and starts again
  slows,      // steps take longer
  speeds_up,  // and no longer do
};
inline constexpr std::size_t kFleetEventKinds = 10;

struct FleetEventNote {
  Instant at;
  std::uint32_t replica = 0;
  FleetEventKind kind = FleetEventKind::starts;
};

/// From a moment on.
struct FleetLevel {
  Instant at;
  std::int32_t ready = 0;  // replicas that take requests
  std::int32_t held = 0;   // replicas that hold GPUs: loading, ready, draining or being repaired
};

/// Of the whole cluster; empty where its replicas are always there.
struct FleetRecord {
  std::vector<FleetLevel> levels;  // rising in time, the first at the start
  std::vector<FleetEventNote> events;
  [[nodiscard]] bool empty() const { return levels.empty(); }
  [[nodiscard]] std::int64_t count(FleetEventKind kind) const;
};

/// Integrals over a span, in nanoseconds of one replica.
struct FleetTime {
  Int128 ready_ns = 0;
  Int128 held_ns = 0;
  std::int32_t ready_min = 0, ready_max = 0;
};
[[nodiscard]] FleetTime integrate(const FleetRecord& fleet, Instant from, Instant to);

}  // namespace kvcast
