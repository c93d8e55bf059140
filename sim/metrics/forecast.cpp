#include "sim/metrics/forecast.h"

#include <algorithm>
#include <array>

#include "sim/base/error.h"

namespace kvcast {
namespace {

template <class Member>
struct Named {
  const char* name;
  Member member;
};

constexpr std::array<Named<LatencySummary Metrics::*>, 5> kMetrics{{{"ttft", &Metrics::ttft},
                                                                    {"tpot", &Metrics::tpot},
                                                                    {"itl", &Metrics::itl},
                                                                    {"e2el", &Metrics::e2el},
                                                                    {"queue", &Metrics::queue}}};

constexpr std::array<Named<double LatencySummary::*>, 7> kStatistics{{{"mean", &LatencySummary::mean},
                                                                      {"median", &LatencySummary::median},
                                                                      {"std", &LatencySummary::std},
                                                                      {"p50", &LatencySummary::p50},
                                                                      {"p90", &LatencySummary::p90},
                                                                      {"p95", &LatencySummary::p95},
                                                                      {"p99", &LatencySummary::p99}}};

template <class List>
auto find(const List& list, const std::string& what, const std::string& name) {
  std::vector<std::string> known;
  for (const auto& entry : list) {
    if (entry.name == name) return entry.member;
    known.emplace_back(entry.name);
  }
  throw InputError("unknown " + what + " \"" + name + "\"" + known_names(name, known));
}

}  // namespace

bool slo_met(const Forecast& forecast) {
  if (forecast.slo.empty()) return true;
  if (forecast.metrics.stuck) return false;  // whatever ended before the hang, the rest never does
  return std::all_of(forecast.slo.begin(), forecast.slo.end(), [](const SloTerm& term) { return term.met; });
}

Cost cost_of_run(const Price& price, const Forecast& forecast) {
  constexpr double kSecondsPerHour = 3600;
  constexpr double kMillion = 1e6;
  const auto output_tokens = static_cast<double>(forecast.metrics.total_output_tokens);
  Cost cost;
  cost.per_hour = price.per_gpu_hour * static_cast<double>(forecast.facts.gpus);
  cost.total = cost.per_hour * forecast.metrics.duration_s / kSecondsPerHour;
  if (forecast.metrics.elastic && forecast.metrics.duration_s > 0) {
    cost.total = price.per_gpu_hour * forecast.metrics.gpu_seconds / kSecondsPerHour;
    cost.per_hour = cost.total * kSecondsPerHour / forecast.metrics.duration_s;
  }
  if (output_tokens > 0) cost.per_million_output_tokens = cost.total / output_tokens * kMillion;
  return cost;
}

Cost cost_of_pool(const PoolForecast& pool, const Forecast& forecast) {
  Forecast own;
  own.facts.gpus = pool.facts.gpus;
  own.metrics.duration_s = forecast.metrics.duration_s;
  own.metrics.total_output_tokens = pool.metrics.total_output_tokens;
  return cost_of_run(*pool.price, own);
}

SloTerm judge_slo(const Metrics& metrics, const std::string& metric, const std::string& statistic,
                  double limit_ms) {
  SloTerm term{.metric = metric, .statistic = statistic, .limit_ms = limit_ms};
  term.value_ms = statistic_ms(metrics, metric, statistic);
  term.met = metrics.completed > 0 && term.value_ms <= limit_ms;
  return term;
}

double statistic_ms(const Metrics& metrics, const std::string& metric, const std::string& statistic) {
  const auto summary = find(kMetrics, "latency", metric);
  const auto value = find(kStatistics, "statistic", statistic);
  return metrics.*summary.*value;
}

}  // namespace kvcast
