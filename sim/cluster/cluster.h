/// The event loop: a source of requests, a router, and engines that serve them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "sim/cluster/admission.h"
#include "sim/cluster/engine.h"
#include "sim/cluster/fleet_setup.h"
#include "sim/cluster/router.h"
#include "sim/kv/block_allocator.h"
#include "sim/kv/tiers.h"
#include "sim/metrics/record.h"
#include "sim/metrics/step_record.h"
#include "sim/request_source.h"
#include "sim/sched/batch.h"
#include "sim/sched/queue_order.h"
#include "sim/sched/scheduler.h"
#include "sim/step_timer.h"

namespace kvcast {

/// What contiguous allocation reserves: to max_model_len, or to the prompt plus the client's max_tokens where
/// it sent one.
enum class Reservation { max_model_len, max_tokens };

/// Runs of decode steps in one go, or every step and every sequence by itself. Equal results, to the
/// nanosecond.
enum class StepPath { closed_form, step_by_step };

/// One engine.
struct EngineSetup {
  EngineMaker make = make_replica;
  SchedulerMaker scheduler;
  QueueOrderMaker order;
  AllocatorMaker allocator;
  PoolSize pool;
  Tokens max_model_len;
  bool enable_kv_cache = true;
  Reservation reservation = Reservation::max_model_len;
  StepPath path = StepPath::closed_form;
  std::shared_ptr<const TiersSpec> tiers;  // below the GPU's memory; null: none
  std::int64_t layers = 1;                 // of the model, for loads that are overlapped by layers
  std::int64_t stages = 1;                 // of the pipeline that the timer's stages() has
  std::int64_t ranks = 1;                  // data-parallel ones of `make`, each with a pool of its own
  std::shared_ptr<const Speculation> speculation;  // what batch.speculation points to, where it owns any
  BatchOptions
      batch;  // asynchronous scheduling, speculation, rules by version; the rest follows from the above
};

struct ClusterSetup {
  EngineSetup engine;
  std::int64_t replicas = 1;
  RouterMaker router;
  std::uint64_t seed = 1;
  std::optional<Duration> sim_time_max;  // cut-off: what is not done by then is unfinished
  SloLimits slo;
  std::shared_ptr<const FleetSetup> fleet;         // null: all replicas are there from the start to the end
  Duration delay_after{};                          // from a token's step to the client
  std::shared_ptr<SharedTiers> shared_tiers;       // of this run (set by run())
  std::shared_ptr<const AdmissionSpec> admission;  // before the router; null: everything enters
  Duration
      scrape_interval{};  // at which the router reads the engines' metrics; 0: it does not (set by run())
};

/// Who watches a run; all optional.
struct RunHooks {
  RequestObserver* requests = nullptr;
  StepObserver* steps = nullptr;  // only with StepPath::step_by_step
  StepSizeObserver* sizes = nullptr;
  std::function<void(std::int64_t arrived)> progress;  // now and then
  bool ntpot = false;                                  // also measure E2EL / output tokens of every request
};

/// Makes the same stream of requests at every call.
using SourceMaker = std::function<std::unique_ptr<RequestSource>()>;

/// Runs the source to its end (or to the cut-off). With several threads and a router that reads no loads,
/// replicas are simulated side by side; the result is the same for any number of threads. \throws InputError
/// from the source
[[nodiscard]] RunRecord run(const ClusterSetup& setup, const SourceMaker& source, const StepTimer& timer,
                            const RunHooks& hooks, unsigned threads = 1);

}  // namespace kvcast
