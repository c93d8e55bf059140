/// What a plan simulates with: its traffic in memory, its designs as settings of one scenario, and single
/// runs of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/app/compose.h"
#include "sim/app/experiments.h"
#include "sim/app/plan_space.h"
#include "sim/plan/bounds.h"
#include "sim/plan/plan_result.h"
#include "sim/plan/replication.h"
#include "sim/plan/traffic.h"

namespace kvcast {

/// Everything about a cluster but the number of replicas.
struct Design {
  std::vector<PlanChoice> choices;  // of what is searched over, in the order of the space
  std::vector<Setting> settings;    // the same as settings of the scenario
  std::string gpu;                  // name
  std::int64_t gpus_per_replica = 1;
  std::int64_t tensor_parallel_size = 1;
  double price_per_gpu_hour = 0;
  bool calibrated = false;  // its step times were measured
  std::string refusal;      // why it cannot run at all; empty: it can
};

/// What a run may change about a design.
struct Variant {
  std::int64_t replicas = 1;
  std::size_t requests = 0;   // the first so many; 0: all
  Traffic traffic = nullptr;  // null: the plan's own
  std::vector<Setting> settings = {};
  double step_factor = 1;      // of every step time
  double frontend_factor = 1;  // of the time between client and engine
  double pool_factor = 1;      // of the KV pool's blocks
};

/// Contract: reads the scenario once; run() is thread-safe and deterministic.
class PlanBench {
 public:
  /// \throws InputError for a scenario that cannot be read, that has no SLO, or whose traffic is empty
  PlanBench(std::string scenario, std::vector<Setting> settings, PlanSpace space);

  /// Every combination of the choices, those that cannot run with the reason.
  /// \throws InputError for a value that no combination accepts, and for a GPU without a price
  [[nodiscard]] std::vector<Design> designs(unsigned threads) const;

  [[nodiscard]] Scenario scenario(const Design& design, const Variant& variant) const;
  [[nodiscard]] Experiment experiment(const Design& design, const Variant& variant) const;
  [[nodiscard]] RanExperiment run(const Design& design, const Variant& variant) const;
  /// Without what each request saw: quicker.
  [[nodiscard]] Forecast forecast(const Design& design, const Variant& variant) const;
  [[nodiscard]] Score score(const Forecast& forecast) const;

  /// How another sample of the traffic is had.
  [[nodiscard]] Replicating replicating() const;
  /// \param index which; equal ones are equal traffic for every design. Not where replicating() is
  /// by_outcomes
  [[nodiscard]] Traffic replication(std::size_t index) const;
  /// Where replications are by blocks; else zeros.
  [[nodiscard]] TrafficBlocks blocks() const { return resampler_ ? resampler_->blocks() : TrafficBlocks{}; }
  [[nodiscard]] Resampled resampled() const { return resampler_ ? resampler_->resampled() : Resampled{}; }

  /// What no scheduler can do with a design.
  struct Floor {
    std::int64_t replicas_min = 1;
    bool hopeless = false;  // no number of replicas meets the SLO
  };
  /// \param traffic null: nothing is known of it, and nothing is excluded
  [[nodiscard]] Floor floor(const Design& design, const Traffic& traffic) const;

  [[nodiscard]] const PlanSpace& space() const { return space_; }
  [[nodiscard]] const Scenario& base() const { return base_; }
  [[nodiscard]] const std::string& base_path() const { return path_; }
  [[nodiscard]] const std::vector<Setting>& settings() const { return settings_; }
  [[nodiscard]] const Traffic& traffic() const { return traffic_; }  // null: it depends on the server
  [[nodiscard]] std::size_t requests() const { return requests_; }
  [[nodiscard]] double rate() const;  // requests per second
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  [[nodiscard]] std::string label(const Design& design, std::int64_t replicas) const;

 private:
  void read_base();
  void fit_max_model_len(bool given);
  void set_price(Design& design) const;

  std::string path_;
  std::vector<Setting> settings_;
  PlanSpace space_;
  Scenario base_;
  Traffic traffic_;
  std::size_t requests_ = 0;
  std::vector<std::string> notes_;
  std::optional<TrafficResampler> resampler_;
};

/// What one engine of a scenario can do in a step. \param traffic says whether prompts can share anything;
/// may be null
[[nodiscard]] EngineLimits engine_limits(const Scenario& scenario, const DeploymentFacts& facts,
                                         const Traffic& traffic);

/// The terms of an SLO that have an analytical bound.
[[nodiscard]] std::vector<LatencyLimit> latency_limits(const std::vector<SloBound>& slo);

}  // namespace kvcast
