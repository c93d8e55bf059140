#include "sim/app/plan_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reports/format.h"
#include "sim/base/error.h"
#include "sim/plan/parallel.h"

namespace kvcast {
namespace {

/// The term nearest to its limit, or furthest above it.
const SloTerm& closest_term(const Forecast& forecast) {
  KVCAST_CHECK(!forecast.slo.empty());
  return *std::max_element(forecast.slo.begin(), forecast.slo.end(), [](const SloTerm& a, const SloTerm& b) {
    return a.value_ms / a.limit_ms < b.value_ms / b.limit_ms;
  });
}

std::string term_name(const SloTerm& term) { return term.statistic + " " + latency_text(term.metric).name; }

std::string term_value(const SloTerm& term) {
  return fmt::format("{} {} (limit {})", term_name(term), latency(term.value_ms), latency(term.limit_ms));
}

struct Bottleneck {
  const char* key;
  std::string text;
};

/// Which resource a run is short of, from how it was used.
Bottleneck bottleneck_of(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  constexpr double kFull = 0.97;
  if (forecast.facts.blocks_total > 0 && (metrics.preemptions > 0 || metrics.kv_usage_peak >= kFull)) {
    return {"kv_capacity", fmt::format("KV capacity: the pool is {} full at its peak, with {} preemptions",
                                       percent(metrics.kv_usage_peak), grouped(metrics.preemptions))};
  }
  const double busy = metrics.gpu_busy_fraction;
  constexpr double kIdle = 0.6;
  if (busy < kIdle)
    return {"nothing",
            fmt::format("no resource: the GPUs are busy for {} of the time, single requests take this long",
                        percent(busy))};
  if (forecast.facts.hbm_bytes_per_s <= 0 || forecast.facts.flop_per_s <= 0)
    return {"step_time", fmt::format("step time: the engine is busy for {} of the time", percent(busy))};
  const double memory = metrics.gpu_hbm_fraction / busy, compute = metrics.gpu_flop_fraction / busy;
  constexpr double kBound = 0.4;
  if (std::max(memory, compute) < kBound)
    return {
        "host",
        fmt::format("what is neither memory nor tensor cores (host, launches, links): while busy the GPUs "
                    "move {} of the bytes and do {} of the FLOP that their data sheet allows",
                    percent(memory), percent(compute))};
  if (memory >= compute)
    return {"bandwidth",
            fmt::format("memory bandwidth: {} of it is used while a step runs", percent(memory))};
  return {"compute", fmt::format("compute: {} of the FLOP rate is used while a step runs", percent(compute))};
}

/// The winner's GPU with its rates changed, as a setting.
Setting gpu_with(const PlanBench& bench, const Chosen& winner, const char* key, double value) {
  const bool own = bench.space().gpus.empty() && bench.base().deployment.gpu &&
                   !bench.base().deployment.gpu->from_catalogue;
  if (own) return {std::string("cluster.gpu.") + key, fmt::format("{}", value)};
  return {"cluster.gpu", fmt::format("{{name: {}, {}: {}}}", winner.design.gpu, key, value)};
}

std::optional<GpuSpec> gpu_of(const PlanBench& bench, const Chosen& winner) {
  if (!bench.base().deployment.gpu) return std::nullopt;
  if (bench.space().gpus.empty()) return bench.base().deployment.gpu;
  return find_gpu(winner.design.gpu, bench.base_path());
}

/// "{bf16: 989, ...}" with every rate multiplied.
std::string scaled_rates(const GpuSpec& gpu, double factor) {
  std::string text;
  for (const auto& [dtype, rate] : gpu.tflops)
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", dtype, rate * factor);
  return "{" + text + "}";
}

struct NamedVariant {
  std::string name;
  Variant variant;
  NamedTraffic traffic;
};

/// Both directions of one assumption.
void add_both(std::vector<NamedVariant>& list, const std::string& name,
              const std::function<void(double, NamedVariant&)>& change, const NamedVariant& plain) {
  for (const double factor : {1.1, 0.9}) {
    NamedVariant changed = plain;
    changed.name = name + (factor > 1 ? " +10 %" : " -10 %");
    change(factor, changed);
    list.push_back(std::move(changed));
  }
}

std::vector<NamedVariant> assumptions_of(const PlanBench& bench, const Chosen& winner,
                                         const Forecast& forecast) {
  std::vector<NamedVariant> list;
  const NamedVariant plain{"", {.replicas = winner.replicas}, traffic_of(bench, winner)};
  const auto add = [&](const std::string& name, const std::function<void(double, NamedVariant&)>& change) {
    add_both(list, name, change, plain);
  };
  if (bench.traffic() != nullptr) {
    add("request rate",
        [&](double factor, NamedVariant& v) { v.traffic = traffic_of(bench, winner, {.rate = factor}); });
    add("output tokens", [&](double factor, NamedVariant& v) {
      v.traffic = traffic_of(bench, winner, {.output = factor}, v.name);
    });
    add("burstiness of arrivals (power of the gaps)", [&](double factor, NamedVariant& v) {
      v.traffic = traffic_of(bench, winner, {.burstiness = factor}, v.name);
    });
  }
  add("every step time", [](double factor, NamedVariant& v) { v.variant.step_factor = factor; });
  if (forecast.facts.blocks_total > 0)
    add("KV capacity", [](double factor, NamedVariant& v) { v.variant.pool_factor = factor; });
  const std::optional<GpuSpec> gpu = gpu_of(bench, winner);
  if (gpu && !forecast.calibrated) {  // a calibration does not follow the data sheet
    add("memory bandwidth", [&](double factor, NamedVariant& v) {
      v.variant.settings.push_back(
          gpu_with(bench, winner, "bandwidth_gb_per_s", gpu->bandwidth_gb_per_s * factor));
    });
    add("FLOP rates", [&](double factor, NamedVariant& v) {
      const bool own = bench.space().gpus.empty() && !gpu->from_catalogue;
      v.variant.settings.push_back(
          own ? Setting{"cluster.gpu.tflops", scaled_rates(*gpu, factor)}
              : Setting{"cluster.gpu", fmt::format("{{name: {}, tflops: {}}}", winner.design.gpu,
                                                   scaled_rates(*gpu, factor))});
    });
  }
  if (forecast.metrics.prefix_hit_rate_tokens > 0) {
    NamedVariant without = plain;
    without.name = "no prefix sharing at all";
    without.variant.settings.push_back({"engine.enable_prefix_caching", "false"});
    list.push_back(std::move(without));
  }
  return list;
}

/// The term nearest to its limit in a run that only its numbers are known of. \param terms of any run
SloTerm closest_term(const RunNumbers& numbers, std::vector<SloTerm> terms) {
  KVCAST_CHECK(!terms.empty() && terms.size() == numbers.terms.size());
  std::size_t closest = 0;
  for (std::size_t k = 0; k < terms.size(); ++k) {
    terms[k].value_ms = numbers.terms[k];
    terms[k].met = numbers.terms[k] <= terms[k].limit_ms;
    if (terms[k].value_ms / terms[k].limit_ms > terms[closest].value_ms / terms[closest].limit_ms)
      closest = k;
  }
  return terms[closest];
}

}  // namespace

NamedTraffic traffic_of(const PlanBench& bench, const Chosen& at, const TrafficChange& change,
                        const std::string& name) {
  if (bench.traffic() == nullptr || (at.rate == 1 && name.empty() && change.rate == 1)) return {};
  TrafficChange whole = change;
  whole.rate *= at.rate;
  return {fmt::format("{}{}rate {}", name, name.empty() ? "" : ", ", whole.rate),
          [&bench, whole] { return changed(bench.traffic(), whole); }};
}

void find_binding(PlanRuns& runs, const Chosen& winner, PlanResult& result) {
  const bool fewer = winner.replicas > 1 && result.goal == "cost";
  const Forecast run = fewer ? runs.forecast(winner.design, {.replicas = winner.replicas - 1},
                                             traffic_of(runs.bench(), winner))
                             : result.points.front().forecast;
  const Bottleneck bottleneck = bottleneck_of(run);
  result.binding_resource = bottleneck.key;
  const SloTerm& term = closest_term(run);
  result.binding =
      fewer ? fmt::format("with one replica less {} binds, by {}", term_value(term), bottleneck.text)
            : fmt::format("{} is nearest to its limit, by {}", term_value(term), bottleneck.text);
}

void find_knee(PlanRuns& runs, const Chosen& winner, unsigned threads, PlanResult& result) {
  const PlanBench& bench = runs.bench();
  if (bench.traffic() == nullptr) return;
  const double rate = result.rate * winner.rate;
  const auto run_at = [&](const std::vector<double>& factors) {
    std::vector<KneePoint> points(factors.size());
    for_each_parallel(factors.size(), threads, [&](std::size_t i) {
      const Score score = runs.run(winner.design, {.replicas = winner.replicas},
                                   traffic_of(bench, winner, {.rate = factors[i]}))
                              .score;
      points[i] = {factors[i], rate * factors[i], score.goodput, score.met};
    });
    return points;
  };
  result.knee = run_at({0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3});
  // The largest rate that meets the SLO, between the last point that does and the next, to 1 %; two runs at a
  // time, side by side.
  double low = 0, high = 0;
  const auto narrow = [&](const std::vector<KneePoint>& points) {
    for (const KneePoint& point : points) {
      if (point.met) {
        low = point.factor;
      } else if (low > 0) {
        high = point.factor;
        return;
      }
    }
  };
  narrow(result.knee);
  while (high > 0 && high / low > 1.01) {
    const std::vector<KneePoint> between = run_at({low + (high - low) / 3, low + (high - low) * 2 / 3});
    narrow(between);
    result.knee.insert(result.knee.end(), between.begin(), between.end());
  }
  result.rate_max_factor = low;
  std::sort(result.knee.begin(), result.knee.end(),
            [](const KneePoint& a, const KneePoint& b) { return a.factor < b.factor; });
}

void find_sensitivity(PlanRuns& runs, const Chosen& winner, unsigned threads, PlanResult& result) {
  const Forecast& forecast = result.points.front().forecast;
  const std::vector<NamedVariant> variants = assumptions_of(runs.bench(), winner, forecast);
  result.sensitivity.resize(variants.size());
  for_each_parallel(variants.size(), threads, [&](std::size_t i) {
    const RunNumbers numbers = runs.run(winner.design, variants[i].variant, variants[i].traffic);
    result.sensitivity[i] = {variants[i].name, numbers.score.met, closest_term(numbers, forecast.slo),
                             numbers.score.strain, numbers.score.goodput};
  });
}

void find_advice(PlanRuns& runs, const Chosen& nearest, const Forecast& forecast, PlanResult& result) {
  const PlanBench& bench = runs.bench();
  for (const SloTerm& term : forecast.slo) {
    if (!term.met) result.advice.push_back(fmt::format("It reaches {}", term_value(term)));
  }
  for (const std::int64_t factor : {2, 4}) {
    const std::int64_t replicas = nearest.replicas * factor;
    if (!runs.run(nearest.design, {.replicas = replicas}, traffic_of(bench, nearest)).score.met) continue;
    result.advice.push_back(fmt::format("With max_gpus {} the SLO would be met by {}",
                                        replicas * nearest.design.gpus_per_replica,
                                        bench.label(nearest.design, replicas)));
    break;
  }
  if (bench.traffic() == nullptr) return;
  double low = 0;
  for (double factor = 0.9; factor > 0.05 && low == 0; factor *= 0.8) {
    const NamedTraffic slower = traffic_of(bench, nearest, {.rate = factor});
    if (runs.run(nearest.design, {.replicas = nearest.replicas}, slower).score.met) low = factor;
  }
  result.advice.push_back(
      low > 0 ? fmt::format("It meets the SLO at {} of the rate ({} req/s)", percent(low),
                            significant(low * result.rate))
              : "Fewer requests do not help: the SLO is out of reach of this design at any rate tried");
}

}  // namespace kvcast
