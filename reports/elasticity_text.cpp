#include "reports/elasticity_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

/// "2 fail, 1 hangs": what happened, by kind, in the order of the kinds; empty where nothing did.
std::string happenings(const FleetRecord& fleet) {
  std::string text;
  for (std::size_t k = 0; k < kFleetEventKinds; ++k) {
    const auto kind = static_cast<FleetEventKind>(k);
    if (const std::int64_t count = fleet.count(kind); count > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", grouped(count), name_of(kind));
  }
  return text;
}

}  // namespace

const char* name_of(FleetEventKind kind) {
  switch (kind) {
    case FleetEventKind::starts:
      return "starts";
    case FleetEventKind::ready:
      return "ready";
    case FleetEventKind::drains:
      return "drains";
    case FleetEventKind::stops:
      return "stops";
    case FleetEventKind::fails:
      return "fails";
    case FleetEventKind::hangs:
      return "hangs";
    case FleetEventKind::recovers:
      return "recovers";
    case FleetEventKind::taken_out:
      return "taken_out";
    case FleetEventKind::slows:
      return "slows";
    case FleetEventKind::speeds_up:
      return "speeds_up";
  }
  KVCAST_CHECK(false);
}

std::vector<ElasticityLine> elasticity_lines(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  if (!metrics.elastic || forecast.record == nullptr) return {};
  const FleetRecord& fleet = forecast.record->fleet;
  std::vector<ElasticityLine> lines;
  lines.push_back({"Replicas ready, mean", fixed(metrics.replicas_ready_mean, 2),
                   fmt::format("between {} and {}", metrics.replicas_ready_min, metrics.replicas_ready_max)});
  lines.push_back(
      {"GPU-seconds", fixed(metrics.gpu_seconds, 2),
       fmt::format("GPUs x time that they are held; {} of it ready",
                   percent(metrics.gpu_seconds > 0 ? metrics.gpu_seconds_ready / metrics.gpu_seconds : 0))});
  lines.push_back({"Requests sent again", fmt::format("{}", metrics.retried_requests),
                   fmt::format("{} time{}; {} failed with their replica", grouped(metrics.retries),
                               metrics.retries == 1 ? "" : "s", grouped(metrics.failed_with_replica))});
  lines.push_back({"Tokens computed again for them", fmt::format("{}", metrics.retry_recomputed_tokens),
                   "prompts that no cache held, and tokens of answers"});
  lines.push_back({"Events of replicas", fmt::format("{}", fleet.events.size()), happenings(fleet)});
  return lines;
}

std::vector<FleetStep> fleet_steps(const Forecast& forecast) {
  KVCAST_CHECK(forecast.record != nullptr);
  const RunRecord& record = *forecast.record;
  std::vector<FleetStep> steps;
  if (record.first_arrival == kNever) return steps;
  for (const FleetLevel& level : record.fleet.levels) {
    if (level.at > record.last_token && !steps.empty()) break;
    const double at_s =
        static_cast<double>((std::max(level.at, record.first_arrival) - record.first_arrival).count()) / 1e9;
    if (!steps.empty() && !(steps.back().at_s < at_s)) steps.pop_back();
    steps.push_back({at_s, level.ready, level.held});
  }
  return steps;
}

}  // namespace kvcast
