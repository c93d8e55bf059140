#include "sim/app/scenario_elasticity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/app/scenario_parallel.h"

namespace kvcast {
namespace {

constexpr RealRange kSeconds{0, 1e8};
constexpr RealRange kSomeSeconds{1e-3, 1e8};
constexpr std::int64_t kReplicasMax = 1 << 12;

Duration seconds(double s) { return Duration{std::llround(s * 1e9)}; }

/// Why replicas cannot come and go here; empty: they can.
std::string obstacle(const Scenario& scenario) {
  if (scenario.engine.tiers)
    return "engine.kv_offload: what a tier keeps when its replica is lost is not simulated; leave one of "
           "them out";
  if (scenario.deployment.memory.data_parallel_size > 1)
    return "engine.data_parallel_size above 1: ranks that step together fail together, which is not "
           "simulated; "
           "use replicas of one rank";
  return "";
}

/// load: {seconds: 60}, or {gb_per_s: 2, fixed_s: 15}: all weights of a replica at that rate, and the rest.
Duration read_load(Config& elasticity, const Scenario& scenario) {
  constexpr double kFixed = 0;
  if (!elasticity.has("load")) return {};
  Config load = elasticity.child("load");
  if (load.has("seconds")) {
    if (load.has("gb_per_s"))
      load.fail("gb_per_s", "the time is given: seconds alone, or gb_per_s and fixed_s");
    return seconds(load.get_real("seconds", kSeconds));
  }
  if (!load.has("gb_per_s"))
    load.fail("", "needs seconds (the whole time) or gb_per_s (at which the weights of a replica are read)");
  if (!scenario.deployment.report)
    load.fail("gb_per_s", "a model is needed: its weights decide how long it takes; or give seconds");
  const MemoryReport& report = *scenario.deployment.report;
  if (!report.weights.refused.empty()) load.fail("gb_per_s", report.weights.refused + "; give seconds");
  const double bytes = static_cast<double>(report.weights.loaded_bytes) *
                       static_cast<double>(shape_of(scenario.deployment.memory).gpus());
  const double rate = load.get_real("gb_per_s", {1e-3, 1e6}) * 1e9;
  return seconds(bytes / rate + load.get_real("fixed_s", kSeconds, kFixed));
}

RetryPolicy read_retry(Config& elasticity) {
  Config section = elasticity.child("retry");
  RetryPolicy retry;
  const std::string mode = section.get_choice("mode", {"resend", "resume", "none"}, "resend");
  retry.mode = mode == "resend" ? RetryMode::resend : mode == "resume" ? RetryMode::resume : RetryMode::none;
  retry.retries_max = static_cast<std::int32_t>(section.get_int("retries_max", {1, 1000}, 3));
  retry.delay = seconds(section.get_real("delay_ms", {0, 1e8}, 0) / 1e3);
  return retry;
}

std::optional<HealthCheck> read_health_check(Config& elasticity) {
  if (!elasticity.has("health_check")) return std::nullopt;
  Config section = elasticity.child("health_check");
  HealthCheck check;  // the defaults are those of a Kubernetes probe
  check.interval = seconds(section.get_real("interval_s", kSomeSeconds, 10));
  check.timeout = seconds(section.get_real("timeout_s", kSeconds, 1));
  check.failures = section.get_int("failures", {1, 1000}, 3);
  return check;
}

/// A replica by its number, from 0.
std::size_t read_replica(Config& event, std::int64_t replicas) {
  return static_cast<std::size_t>(event.get_int("replica", {0, replicas - 1}));
}

FleetEvent read_event(Config& event, std::int64_t replicas) {
  FleetEvent read;
  read.at = kStart + seconds(event.get_real("at_s", kSeconds));
  const std::string kind =
      event.get_choice("kind", {"fail", "start", "drain", "hang", "slow", "upgrade"}, "fail");
  if (kind == "upgrade") {
    read.action = FleetAction::upgrade;
    return read;
  }
  read.replica = read_replica(event, replicas);
  if (kind == "start" || kind == "drain") {
    read.action = kind == "start" ? FleetAction::start : FleetAction::drain;
    return read;
  }
  if (event.has("for_s")) read.lasts = seconds(event.get_real("for_s", kSomeSeconds));
  if (kind == "slow") {
    read.action = FleetAction::slow;
    read.factor = event.get_real("factor", {1, 1000});
  } else {
    read.action = kind == "fail" ? FleetAction::fail : FleetAction::hang;
  }
  return read;
}

std::optional<RandomTrouble> read_trouble(Config& random, const char* kind) {
  if (!random.has(kind)) return std::nullopt;
  Config section = random.child(kind);
  RandomTrouble trouble;
  trouble.mtbf = seconds(section.get_real("mtbf_s", kSomeSeconds));
  trouble.mttr = seconds(section.get_real("mttr_s", kSomeSeconds));
  if (std::string_view(kind) == "slow") trouble.factor = section.get_real("factor", {1, 1000}, 2);
  return trouble;
}

AutoscalerSetup read_autoscaler(Config& elasticity, std::int64_t replicas, Duration load_time) {
  Config section = elasticity.child("autoscale");
  AutoscalerSetup scaler;
  const std::string metric =
      section.get_choice("metric", {"queue", "concurrency", "kv_usage", "ttft_ms", "rate"}, "queue");
  scaler.metric = metric == "queue"         ? ScaleMetric::queue
                  : metric == "concurrency" ? ScaleMetric::concurrency
                  : metric == "kv_usage"    ? ScaleMetric::kv_usage
                  : metric == "ttft_ms"     ? ScaleMetric::ttft
                                            : ScaleMetric::rate;
  scaler.target = section.get_real("target", {1e-6, metric == "kv_usage" ? 1 : 1e9});
  scaler.replicas_min = section.get_int("min_replicas", {1, kReplicasMax}, 1);
  scaler.replicas_max = section.get_int("max_replicas", {1, kReplicasMax});
  if (scaler.replicas_min > scaler.replicas_max)
    section.fail("min_replicas", fmt::format("is above max_replicas, {}", scaler.replicas_max));
  if (replicas < scaler.replicas_min || replicas > scaler.replicas_max) {
    section.fail("max_replicas", fmt::format("cluster.replicas is {}: the cluster starts with between "
                                             "min_replicas ({}) and max_replicas ({})",
                                             replicas, scaler.replicas_min, scaler.replicas_max));
  }
  // Kubernetes' defaults: --horizontal-pod-autoscaler-sync-period, -tolerance and behavior's windows.
  scaler.interval = seconds(section.get_real("interval_s", kSomeSeconds, 15));
  scaler.tolerance = section.get_real("tolerance", {0, 1}, 0.1);
  scaler.up_window = seconds(section.get_real("scale_up_window_s", kSeconds, 0));
  scaler.down_window = seconds(section.get_real("scale_down_window_s", kSeconds, 300));
  if (scaler.metric != ScaleMetric::rate) return scaler;
  scaler.rate_window = seconds(section.get_real("rate_window_s", kSomeSeconds, 60));
  const double load_s = static_cast<double>(load_time.count()) / 1e9;
  scaler.horizon = seconds(section.get_real("horizon_s", kSeconds, load_s));
  return scaler;
}

void assume(const FleetSetup& fleet, Scenario& scenario) {
  const auto add = [&](const char* text) { scenario.assumptions.emplace_back(text); };
  add("Elasticity: a replica holds its GPUs from the start of its load until it is drained or lost for good, "
      "repairs included; a router knows of a lost or draining replica at once, of one that hangs when its "
      "health check says so, and forgets what it sent there; a step under way when a replica is lost gives "
      "no "
      "token and does not count as busy");
  if (fleet.retry.mode == RetryMode::resend)
    add("Retries: a request is sent whole to another replica; tokens that the client has are made again and "
        "not "
        "told again");
  if (fleet.retry.mode == RetryMode::resume)
    add("Retries: an answer goes on elsewhere, with what the client has of it as a part of the prompt");
}

}  // namespace

void read_elasticity(Config& cluster, Scenario& scenario) {
  scenario.replicas_max = scenario.replicas;
  if (!cluster.has("elasticity")) return;
  if (const std::string why = obstacle(scenario); !why.empty()) cluster.fail("elasticity", why);
  Config elasticity = cluster.child("elasticity");
  auto fleet = std::make_shared<FleetSetup>();
  fleet->replicas = scenario.replicas;
  fleet->load_time = read_load(elasticity, scenario);
  fleet->retry = read_retry(elasticity);
  fleet->health_check = read_health_check(elasticity);
  if (elasticity.has("drain_timeout_s"))
    fleet->drain_timeout = seconds(elasticity.get_real("drain_timeout_s", kSeconds));
  if (elasticity.has("autoscale")) {
    fleet->autoscaler = read_autoscaler(elasticity, scenario.replicas, fleet->load_time);
    scenario.replicas_max = fleet->autoscaler->replicas_max;
  }
  for (Config& event : elasticity.children("events"))
    fleet->events.push_back(read_event(event, scenario.replicas_max));
  std::stable_sort(fleet->events.begin(), fleet->events.end(),
                   [](const FleetEvent& a, const FleetEvent& b) { return a.at < b.at; });
  Config random = elasticity.child("random");
  fleet->failures = read_trouble(random, "fail");
  fleet->hangs = read_trouble(random, "hang");
  fleet->slowdowns = read_trouble(random, "slow");
  assume(*fleet, scenario);
  scenario.fleet = std::move(fleet);
}

std::string describe_fleet(const FleetSetup& fleet) {
  std::string text;
  if (fleet.autoscaler) {
    const AutoscalerSetup& scaler = *fleet.autoscaler;
    const char* metric = "";
    switch (scaler.metric) {
      case ScaleMetric::queue:
        metric = "waiting requests";
        break;
      case ScaleMetric::concurrency:
        metric = "requests inside";
        break;
      case ScaleMetric::kv_usage:
        metric = "KV usage";
        break;
      case ScaleMetric::ttft:
        metric = "ms of TTFT";
        break;
      case ScaleMetric::rate:
        metric = "requests/s as forecast";
        break;
    }
    text += fmt::format(" at first ({} to {}, {:g} {} each)", scaler.replicas_min, scaler.replicas_max,
                        scaler.target, metric);
  }
  if (!fleet.events.empty())
    text += fmt::format(", {} scripted event{}", fleet.events.size(), fleet.events.size() == 1 ? "" : "s");
  if (fleet.failures || fleet.hangs || fleet.slowdowns) text += ", random troubles";
  return text;
}

void refuse_elasticity(const ClusterSetup& cluster, const std::string& what) {
  if (cluster.fleet)
    throw InputError("cluster.elasticity: " + what + "; leave it out, or use kvcast simulate without that");
}

}  // namespace kvcast
