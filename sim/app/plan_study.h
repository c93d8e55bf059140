/// What a plan says beside its winner: what binds, how far it carries, what it rests on, and how to start it.
#pragma once

#include <functional>
#include <string>

#include "sim/app/plan_runs.h"

namespace kvcast {

/// One design at a size.
struct Chosen {
  Design design;
  std::int64_t replicas = 1;
  double rate = 1;  // of the plan's traffic; other than 1 only where the goal is the largest rate
};

/// The plan's traffic, so many times as fast as `at` has it, changed otherwise too.
/// \param name tells the change from others, beside the rate; empty: none but the rate
[[nodiscard]] NamedTraffic traffic_of(const PlanBench& bench, const Chosen& at,
                                      const TrafficChange& change = {}, const std::string& name = {});

/// Fills binding and binding_resource from the cluster with one replica less (or the winner itself, where it
/// has one).
void find_binding(PlanRuns& runs, const Chosen& winner, PlanResult& result);

/// Fills knee and rate_max_factor.
void find_knee(PlanRuns& runs, const Chosen& winner, unsigned threads, PlanResult& result);

/// Fills sensitivity.
void find_sensitivity(PlanRuns& runs, const Chosen& winner, unsigned threads, PlanResult& result);

/// Fills advice: what more GPUs, less traffic or another SLO would do. \param nearest the point closest to
/// the SLO
void find_advice(PlanRuns& runs, const Chosen& nearest, const Forecast& forecast, PlanResult& result);

/// Samples of the traffic that a point is judged by: with the point's own, Student's t has as many degrees of
/// freedom.
inline constexpr std::size_t kReplications = 16;
inline constexpr std::size_t kReplicationsMax = 2000;

struct Judging {
  std::uint64_t seed = 1;
  /// Half-width over value of the 90 % interval of the expectation of every term of the first point; 0:
  /// kReplications are enough
  double relative_error = 0;
  unsigned threads = 1;
};

/// Intervals of the terms and figures, and with which probability another sample of the traffic meets the
/// SLO; the error of a calibration is counted where it is known. All points see the same samples.
/// \param points what was chosen, in that order \returns replications of the first; 0: by_outcomes
std::size_t judge_points(PlanRuns& runs, const std::vector<Chosen>& chosen, const Judging& judging,
                         std::vector<PlanPoint>& points);

/// Fills the commands that start one replica.
void fill_deploy(const PlanBench& bench, const Chosen& winner, PlanResult& result);

}  // namespace kvcast
