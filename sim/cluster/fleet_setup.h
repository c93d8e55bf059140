/// What is to happen to the replicas of a cluster.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/units.h"
#include "sim/cluster/autoscaler.h"
#include "sim/cluster/engine.h"

namespace kvcast {

enum class FleetAction : std::uint8_t { start, drain, fail, hang, slow, upgrade };

/// Something that happens at a given time.
struct FleetEvent {
  Instant at;
  FleetAction action = FleetAction::fail;
  std::size_t replica = 0;        // of all but an upgrade, which is of every replica
  std::optional<Duration> lasts;  // repair, hang or slow-down; none: it does not end by itself
  double factor = 1;              // by which steps take longer
};

/// Something that happens to each ready replica again and again: exponential times between, and until it is
/// over.
struct RandomTrouble {
  Duration mtbf{};  // mean, from being ready (from the end of the last) to the next
  Duration mttr{};  // mean
  double factor = 1;
};

/// A probe of every replica on a grid of times; one that hangs fails it.
struct HealthCheck {
  Duration interval{10'000'000'000};
  Duration timeout{1'000'000'000};
  std::int64_t failures = 3;  // in a row, after which the replica is taken out and started again
};

/// ClusterSetup::replicas counts all replicas that may ever be; those below are told by their number.
struct FleetSetup {
  std::int64_t replicas = 1;       // that are ready at the start, but for those whose first event is a start
  std::vector<FleetEvent> events;  // in order of time
  std::optional<RandomTrouble> failures, hangs, slowdowns;
  std::optional<HealthCheck> health_check;
  std::optional<Duration> drain_timeout;  // after which a draining replica is stopped with what it has
  Duration load_time{};                   // from the start to being ready
  RetryPolicy retry;
  std::optional<AutoscalerSetup> autoscaler;
  std::uint64_t seed = 1;
};

}  // namespace kvcast
