/// Scenario: one experiment, typed. Every key of a scenario file is read here (SGLang's own in
/// scenario_sglang.h), and nowhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/expert_load.h"
#include "hwmodels/memory_report.h"
#include "hwmodels/retention.h"
#include "hwmodels/spread_options.h"
#include "sim/app/plan_space.h"
#include "sim/app/speculation_plan.h"
#include "sim/app/step_time.h"
#include "sim/base/config.h"
#include "sim/cluster/cluster.h"
#include "sim/cluster/frontend.h"
#include "sim/sglang/settings.h"
#include "workloads/workload.h"

namespace kvcast {

/// What serves: model, engine settings and GPU. Shared by `kvcast memory` and `kvcast simulate`.
struct Deployment {
  std::optional<ModelSpec> model;  // absent only with step_time.by_formula() and a pool that is given
  std::optional<GpuSpec> gpu;      // absent only together with the model
  StepTime step_time;
  std::optional<SpeculationPlan> speculation;
  SpreadOptions spread;              // of memory's parallelism, for step times
  double communication_overlap = 0;  // share of the communication that may run beside computation
  MemoryOptions memory;              // every option in force; zero only where the model or the engine chooses
  std::optional<MemoryReport> report;  // of the model without num_gpu_blocks_override; set by
                                       // read_scenario(). It may say that nothing fits
  std::string scheduler;               // name in the catalogue; only where it is read to be simulated
  std::string allocator;               // name in the catalogue
  RetentionPlan retention;             // what that keeps of a sequence; applied to the model
  std::int64_t max_model_len = 0;      // in force; 0: no model and none given
  bool top_k_top_p = false;            // requests are sampled so, rather than greedily
  bool enable_kv_cache = true;
};

/// One bound of the SLO as the user wrote it.
struct SloBound {
  std::string metric;     // "ttft"
  std::string statistic;  // "p99"
  double limit_ms = 0;
};

struct Scenario {
  std::string name;  // file name without folders
  std::string path;  // as the user named it
  std::string hash;  // of the file's text
  Deployment deployment;
  std::string policy, allocator, router;  // names in the catalogues
  EngineSetup engine;                     // all but the pool
  std::optional<SglangSettings> sglang;   // of scheduler sglang alone; engine.make runs it
  std::vector<std::string> assumptions;   // what the simulated engine simplifies
  RouterMaker make_router;
  std::shared_ptr<const AdmissionSpec> admission;
  std::int64_t replicas = 1;          // at the start
  std::int64_t replicas_max = 1;      // that may be at any time
  std::shared_ptr<FleetSetup> fleet;  // null: the replicas are always there
  std::optional<double> price_per_gpu_hour;
  std::string pool_name;                         // of cluster.pools; empty: all replicas are of one shape
  std::optional<Disaggregation> disaggregation;  // of the only further pool from this one
  std::vector<Scenario> further_pools;  // behind the same router: what serves, and no more of a scenario
  std::string resolved_pools;           // every setting of the pools in force, as comments

  WorkloadSetup workload;
  std::vector<SloBound> slo;
  std::uint64_t seed = 1;
  std::optional<Duration> sim_time_max;
  FrontendDelays frontend;
  PlanSpace plan;  // read by kvcast plan alone
};

/// A scenario's text with the command line's changes to it.
struct ScenarioText {
  Config config;
  std::string path;  // as named, or the embedded file's
  std::string hash;
  std::string folder;  // relative paths are looked up here first; empty: the working directory
};

/// One `--set a.b=c`.
struct Setting {
  std::string path;
  std::string value;
};

/// Splits "a.b=c".
/// \throws InputError where there is no "=" or no path
[[nodiscard]] Setting parse_setting(const std::string& text);

/// Opens a scenario: a file, or a built-in one by its path ("configs/scenarios/default.yaml") or name
/// ("default"), and applies the settings in order. \throws InputError naming the built-in scenarios where
/// there is neither
[[nodiscard]] ScenarioText open_scenario(const std::string& path, const std::vector<Setting>& settings);

/// What a deployment is read for: `memory` sizes settings that this version does not simulate yet, and needs
/// no workload.
enum class ReadFor { memory, simulate };

/// Reads `model`, `engine` (what decides memory) and `cluster`. \param folder see ScenarioText
[[nodiscard]] Deployment read_deployment(Config& root, const std::string& folder, ReadFor use);

/// Reads what serves: `model`, `engine` and `cluster` but for `cluster.pools`. \param scenario has its path
void read_serving(Config& root, const std::string& folder, Scenario& scenario);

/// Reads everything and checks that no key is left over.
/// \throws InputError for unknown keys, impossible values and what this version does not simulate
[[nodiscard]] Scenario read_scenario(ScenarioText& text);

}  // namespace kvcast
