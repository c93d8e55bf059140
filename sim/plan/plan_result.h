/// What a plan answers: plain data for the writers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/metrics/forecast.h"
#include "sim/plan/bootstrap.h"
#include "sim/plan/replication.h"
#include "sim/plan/search.h"

namespace kvcast {

/// One choice of a point: "cluster.gpu", "h200".
struct PlanChoice {
  std::string key;
  std::string value;
};

/// One term of the SLO with what the sample of requests leaves open.
struct PlanTerm {
  SloTerm term;
  std::optional<Interval> interval_ms = {};  // 90 %; absent for statistics that have none
  // Of the mean over all samples of the traffic, where a relative error was asked for.
  std::optional<double> mean_ms = {};
  std::optional<Interval> mean_interval_ms = {};
};

/// A number of a point beside its SLO, with its 90 % interval.
struct PlanFigure {
  std::string key;  // as in a result's JSON
  double value = 0;
  Interval interval;
};

/// One cluster, simulated on the whole traffic.
struct PlanPoint {
  std::string label;  // "8 x h100-sxm: 4 replicas of TP 2, kv_cache_dtype fp8"
  std::vector<PlanChoice> choices;
  std::int64_t replicas = 1;
  std::int64_t gpus = 1;
  double cost_per_hour = 0;
  Score score;
  double rate_factor = 1;  // of the traffic; other than 1 only where the goal is the largest rate
  Forecast forecast;       // record is null
  std::vector<PlanTerm> terms;
  std::vector<PlanFigure> figures;  // of the first points only
  std::optional<double>
      meets_probability;  // that another sample of the traffic meets the SLO; of the first points only
};

/// A point as the Pareto fronts show it.
struct FrontPoint {
  std::string label;
  double output_per_gpu = 0;   // tokens/s/GPU
  double output_per_user = 0;  // 1 / median TPOT, tokens/s
  double cost_per_hour = 0;
  double p99_ttft_ms = 0;
  bool met = false;
  bool on_speed_front = false;  // no other has more of both tokens/s/GPU and tokens/s/user
  bool on_cost_front = false;   // no other costs less and answers sooner
};

/// Goodput at a multiple of the traffic's rate.
struct KneePoint {
  double factor = 1;
  double rate = 0;     // requests/s offered
  double goodput = 0;  // requests/s within the SLO
  bool met = false;
};

/// The winner with one assumption changed.
struct SensitivityRow {
  std::string change;  // "output tokens +10 %"
  bool met = false;
  SloTerm closest;  // the term nearest to its limit, or furthest above it
  double strain = 0;
  double goodput = 0;
};

struct PlanResult {
  std::string goal;  // "cost", "goodput", "rate"
  bool feasible = false;
  std::string title;              // "llama-3.1-8b: 12 requests/s, p99 TTFT 2,000 ms, p99 TPOT 50 ms"
  std::string verdict;            // the answer in one sentence
  std::vector<PlanPoint> points;  // best first; where nothing is feasible, the nearest first
  std::vector<FrontPoint> front;  // every point that was simulated on the whole traffic
  std::string binding;            // what stands in the way of the next cheaper cluster, one sentence
  std::string binding_resource;   // "kv_capacity", "compute", "bandwidth", "host", "nothing"
  double rate_max_factor = 0;  // the winner meets the SLO up to this multiple of the rate; 0: not looked for
  std::vector<KneePoint> knee;
  std::vector<SensitivityRow> sensitivity;
  std::vector<std::string> advice;  // what would make an infeasible ask feasible
  std::string deploy_vllm, deploy_sglang;
  std::string deploy_note;

  // The search.
  std::size_t candidates = 0;           // combinations of choices
  std::size_t candidates_unfit = 0;     // of them, those that do not fit into memory or are impossible
  std::size_t candidates_hopeless = 0;  // of them, those that a bound excludes at any size allowed
  std::size_t points_total = 0;         // candidates that fit x replicas
  std::size_t points_bounded = 0;       // of them, excluded by bounds
  std::size_t runs = 0;
  double work_share = 0;           // of simulating every point on the whole traffic
  std::vector<std::string> unfit;  // reasons, the first few

  std::size_t requests = 0;
  double rate = 0;  // requests/s of the traffic
  Replicating replicating = Replicating::by_seed;
  std::size_t replications = 0;  // other samples of the traffic that the winner was simulated on
  TrafficBlocks blocks;          // where samples are drawn by blocks
  std::vector<std::string> notes;
  std::vector<Assumption> assumptions;
  std::vector<InputHash> inputs;
  std::uint64_t seed = 0;
  std::string version;
  std::string command;  // shown by the HTML report only
};

/// Marks who is on which front.
void mark_fronts(std::vector<FrontPoint>& points);

}  // namespace kvcast
