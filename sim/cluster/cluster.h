/// The event loop: a source of requests, a router, and engines that serve them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/cluster/admission.h"
#include "sim/cluster/engine.h"
#include "sim/cluster/fleet_setup.h"
#include "sim/cluster/router.h"
#include "sim/kv/block_allocator.h"
#include "sim/kv/kv_network.h"
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

/// What the engines of a pool do for a request: all of it, its prompt, or what follows.
enum class Role : std::uint8_t { whole, prefill, decode };

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
  Role role = Role::whole;
  bool tells_first = false;                        // Role::prefill: the user has the first token from here
  std::shared_ptr<const Speculation> speculation;  // what batch.speculation points to, where it owns any
  BatchOptions
      batch;  // asynchronous scheduling, speculation, rules by version; the rest follows from the above
};

/// Replicas of one shape among several behind one router.
struct PoolSetup {
  std::string name;
  EngineSetup engine;
  std::int64_t replicas = 1;
  std::shared_ptr<const StepTimer> timer;
};

/// Prompts are computed by the replicas of `engine`, answers made by those of the only further pool.
struct Disaggregation {
  /// pull: a prompt is computed, then a replica that decodes takes room for its KV and reads it (vLLM's
  /// NixlConnector). push: room is taken first, then the prompt is computed and its KV written there (SGLang,
  /// Mooncake).
  bool push = false;
  bool by_layers =
      false;  // push: each layer's KV leaves when it is computed, else all of it behind the prompt
  /// A prompt with no more tokens than this, less what the router has sent to where it would decode, is
  /// computed there.
  Tokens local_prompt_max;
  bool decode_caches = false;  // prefixes: else the whole prompt counts
  RouterMaker decode_router;
  PortRates rates;               // out of a replica that computes prompts, into one that decodes
  FineTime latency = 0;          // of a transfer
  Tokens block_tokens{1};        // what is moved: whole blocks
  std::int64_t block_bytes = 0;  // of all ranks
  std::int64_t layers = 1;
  Duration scrape_interval{};  // of decode_router (set by run())
};

struct ClusterSetup {
  EngineSetup engine;
  std::int64_t replicas = 1;
  std::vector<PoolSetup> further_pools;  // replicas of other shapes; those of `engine` come first
  RouterMaker router;
  std::optional<Disaggregation> disaggregation;
  std::uint64_t seed = 1;
  std::optional<Duration> sim_time_max;  // cut-off: what is not done by then is unfinished
  SloLimits slo;
  std::shared_ptr<const FleetSetup> fleet;         // null: all replicas are there from the start to the end
  Duration delay_after{};                          // from a token's step to the client
  std::shared_ptr<SharedTiers> shared_tiers;       // of this run (set by run())
  std::shared_ptr<const AdmissionSpec> admission;  // before the router; null: everything enters
  Duration
      scrape_interval{};  // at which the router reads the engines' metrics; 0: it does not (set by run())

  [[nodiscard]] std::int64_t replicas_of_all_pools() const;
  /// In all pools.
  void set_path(StepPath path);
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
/// replicas are simulated side by side; the result is the same for any number of threads. With several pools
/// the record has that of each, too. \param timer of setup.engine; further pools have their own \throws
/// InputError from the source
[[nodiscard]] RunRecord run(const ClusterSetup& setup, const SourceMaker& source, const StepTimer& timer,
                            const RunHooks& hooks, unsigned threads = 1);

}  // namespace kvcast
