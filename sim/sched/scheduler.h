/// Who runs in the next step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "sim/base/catalog.h"
#include "sim/sched/sequence.h"

namespace kvcast {

class Batch;
class Config;
struct BatchOptions;

/// Release of the engine whose rules are in force: (0, 32) for vLLM 0.32.
struct EngineVersion {
  int major = 0;
  int minor = 32;
  friend constexpr auto operator<=>(const EngineVersion&, const EngineVersion&) = default;
};

/// What an engine version and its GPU set where the scenario is silent.
struct EngineDefaults {
  std::int64_t max_num_seqs = 256;
  std::int64_t max_num_batched_tokens = 8192;
  bool enable_chunked_prefill = true;
  Tokens max_model_len{8192};  // in force, not a default
  EngineVersion version;
};

/// Contract:
/// - plan() builds one step on `batch` with its primitives (schedule_running, admit_front, ...). It must schedule something whenever
///   something running or the head of the queue could run (work conservation), and depends on the batch alone.
/// - A plan that schedules the running decodes and nothing else stays right until a sequence arrives or ends, or a block is lacking: the
///   engine then repeats it in closed form without asking again. A policy for which time itself matters overrides repeats().
/// - can_ever_run() is asked once, on arrival: false refuses the request at the door ("never fits").
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  virtual void plan(Batch& batch) = 0;
  [[nodiscard]] virtual bool repeats() const { return true; }
  [[nodiscard]] virtual bool can_ever_run(const Batch& /*batch*/, const Sequence& /*sequence*/) const { return true; }
  /// True: what a finished sequence holds is freed only when the whole batch has ended.
  [[nodiscard]] virtual bool holds_finished() const { return false; }
};

/// Makes the scheduler of one replica. The factory reads its parameters once, from the scenario's `engine` section.
using SchedulerMaker = std::function<std::unique_ptr<Scheduler>()>;
SchedulerMaker make_static(Config& engine, const EngineDefaults& defaults);
SchedulerMaker make_continuous(Config& engine, const EngineDefaults& defaults);
SchedulerMaker make_vllm_v1(Config& engine, const EngineDefaults& defaults);
SchedulerMaker make_vllm_v0(Config& engine, const EngineDefaults& defaults);
SchedulerMaker make_sarathi(Config& engine, const EngineDefaults& defaults);
SchedulerMaker make_tensorrt_llm(Config& engine, const EngineDefaults& defaults);

/// What a version of vLLM's v1 scheduler asks of the batch.
[[nodiscard]] BatchOptions vllm_batch_rules(EngineVersion version);

using SchedulerCatalog = Catalog<SchedulerMaker (*)(Config&, const EngineDefaults&)>;
[[nodiscard]] const SchedulerCatalog& scheduler_catalog();

}  // namespace kvcast
