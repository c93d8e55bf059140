/// One engine of a cluster, as the event loop drives it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/engine/fine_instant.h"
#include "sim/metrics/record.h"
#include "sim/request.h"

namespace kvcast {

/// What becomes of requests whose replica is lost.
enum class RetryMode {
  none,    // they have failed
  resend,  // they are sent whole to another replica; tokens that the client has are made again, not told
           // again
  resume,  // the answer goes on: what the client has of it is a part of the prompt (request migration)
};

struct RetryPolicy {
  RetryMode mode = RetryMode::resend;
  std::int32_t retries_max = 3;  // of one request
  Duration delay{};              // until it is at the router again
};

struct ClusterSetup;
struct RunHooks;
class KvPeer;
class StepTimer;

/// Contract: times only move forward, and at one moment output comes first, then arrivals, then plans.
/// - enqueue() adds a request at its arrival; false: it was refused at the door.
/// - plan() starts what can start at `now` and returns the time of the engine's next event, or nothing when
/// it stays idle. It is called after complete(),
///   and when a request has arrived at an idle engine.
/// - cut(), after an enqueue() into a busy engine: the time of the next event, which may have come nearer,
/// never before the arrival.
/// - complete() takes the output that is due at the next event.
/// - stop() ends the run, at the cut-off or (none given) when nothing can happen any more; who is still
/// inside is unfinished.
class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual bool enqueue(Request&& request) = 0;
  [[nodiscard]] virtual std::optional<FineInstant> plan(FineInstant now) = 0;
  [[nodiscard]] virtual FineInstant cut(FineInstant arrival) = 0;
  virtual void complete() = 0;
  [[nodiscard]] virtual bool busy() const = 0;
  /// Requests that the last complete() ended, in order.
  [[nodiscard]] virtual const std::vector<RequestId>& finished() const = 0;
  virtual void stop(std::optional<FineInstant> cutoff) = 0;
  [[nodiscard]] virtual RunRecord& record() = 0;
  /// What the last scrape before `now` on the grid of ClusterSetup::scrape_interval saw.
  [[nodiscard]] virtual const TimelinePoint& metrics_before(FineInstant now) = 0;
  /// Tokens of the request's front whose KV the engine has at `now`, as an admission at that moment would
  /// find them. Only of engines that find prefixes and have one cache.
  [[nodiscard]] virtual Tokens held_prefix(const Request& /*request*/, FineInstant /*now*/) {
    return Tokens{0};
  }

  // Elasticity: after cut(now), with all output up to `now` taken. Engines that cannot do it are not composed
  // with it.
  /// The engine is lost with all that it holds, and is not used again but for its record. Returns the
  /// requests that are to be sent again, by id; the others have failed, and finished() names them.
  [[nodiscard]] virtual std::vector<Request> fail(FineInstant now, const RetryPolicy& retry);
  /// While held, plan() starts no step; those under way end.
  virtual void hold(bool held);
  /// What a look at its metrics sees.
  [[nodiscard]] virtual TimelinePoint look(FineInstant now);
  /// For requests that two replicas serve; null: the engine has no part in that.
  [[nodiscard]] virtual KvPeer* peer() { return nullptr; }
};

using EngineMaker =
    std::function<std::unique_ptr<Engine>(ReplicaId, const ClusterSetup&, const StepTimer&, const RunHooks&)>;

/// The engine that Scheduler, QueueOrder and BlockAllocator policies plug into.
[[nodiscard]] std::unique_ptr<Engine> make_replica(ReplicaId id, const ClusterSetup& setup,
                                                   const StepTimer& timer, const RunHooks& hooks);

}  // namespace kvcast
