#include "sim/plan/comparison.h"

#include <cmath>
#include <limits>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/plan/replication.h"

namespace kvcast {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// The first kStatistics metrics are the sampled statistics, in their order; then these.
enum Rest : std::size_t {
  cost_per_million = kStatistics,
  duration,
  failed,
  p50_itl,
  p99_itl,
  kv_bytes_per_token,
  kv_tokens,
  kv_usage_mean,
  kv_usage_peak,
  kv_waste_mean,
  kv_preemptions,
  kv_hit_rate,
  gpu_busy,
  gpu_hbm,
  gpu_flop,
  gpus,
  cost_per_hour,
  count,
};

double known(bool is_known, double value) { return is_known ? value : kNan; }

void add_latency(std::vector<double>& values, Statistic mean, const LatencySummary& summary) {
  const auto at = static_cast<std::size_t>(mean);
  const double list[] = {summary.mean, summary.p50, summary.p90, summary.p95, summary.p99};
  for (std::size_t k = 0; k < 5; ++k) values[at + k] = known(summary.count > 0, list[k]);
}

std::vector<double> known_values(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  const DeploymentFacts& facts = forecast.facts;
  std::vector<double> values(Rest::count, kNan);
  const auto at = [&](Statistic statistic) -> double& { return values[static_cast<std::size_t>(statistic)]; };
  at(Statistic::request_throughput) = metrics.request_throughput;
  at(Statistic::output_throughput) = metrics.output_throughput;
  at(Statistic::total_token_throughput) = metrics.total_token_throughput;
  at(Statistic::request_goodput) = known(metrics.has_slo, metrics.request_goodput);
  at(Statistic::mean_itl) = known(metrics.itl.count > 0, metrics.itl.mean);
  add_latency(values, Statistic::mean_ttft, metrics.ttft);
  add_latency(values, Statistic::mean_tpot, metrics.tpot);
  add_latency(values, Statistic::mean_e2el, metrics.e2el);
  add_latency(values, Statistic::mean_queue, metrics.queue);
  values[Rest::duration] = metrics.duration_s;
  values[Rest::failed] = static_cast<double>(metrics.failed);
  values[Rest::p50_itl] = known(metrics.itl.count > 0, metrics.itl.p50);
  values[Rest::p99_itl] = known(metrics.itl.count > 0, metrics.itl.p99);
  const bool pool = facts.blocks_total > 0;
  values[Rest::kv_bytes_per_token] =
      known(facts.kv_bytes_per_token > 0, static_cast<double>(facts.kv_bytes_per_token));
  values[Rest::kv_tokens] = known(pool, static_cast<double>(facts.tokens_total() * facts.replicas));
  values[Rest::kv_usage_mean] = known(pool && metrics.scrapes > 0, metrics.kv_usage_mean);
  values[Rest::kv_usage_peak] = known(pool, metrics.kv_usage_peak);
  values[Rest::kv_waste_mean] = known(pool && metrics.scrapes > 0, metrics.kv_waste_mean);
  values[Rest::kv_preemptions] = static_cast<double>(metrics.preemptions);
  values[Rest::kv_hit_rate] = metrics.prefix_hit_rate_tokens;
  values[Rest::gpu_busy] = metrics.gpu_busy_fraction;
  values[Rest::gpu_hbm] = known(facts.hbm_bytes_per_s > 0, metrics.gpu_hbm_fraction);
  values[Rest::gpu_flop] = known(facts.flop_per_s > 0, metrics.gpu_flop_fraction);
  values[Rest::gpus] = static_cast<double>(facts.gpus);
  if (!forecast.price) return values;
  const Cost cost = cost_of_run(*forecast.price, forecast);
  values[Rest::cost_per_hour] = cost.per_hour;
  values[Rest::cost_per_million] = known(metrics.total_output_tokens > 0, cost.per_million_output_tokens);
  return values;
}

}  // namespace

const std::vector<ComparedMetric>& compared_metrics() {
  constexpr Better kLow = Better::lower, kHigh = Better::higher, kNone = Better::neither;
  static const std::vector<ComparedMetric> metrics = {
      {"request_throughput", "Request throughput", "req/s", kHigh, true},
      {"output_throughput", "Output throughput", "tok/s", kHigh, true},
      {"total_token_throughput", "Total token throughput", "tok/s", kHigh, true},
      {"request_goodput", "Goodput", "req/s", kHigh, true},
      {"mean_ttft_ms", "Mean TTFT", "ms", kLow, true},
      {"p50_ttft_ms", "p50 TTFT", "ms", kLow, true},
      {"p90_ttft_ms", "p90 TTFT", "ms", kLow, true},
      {"p95_ttft_ms", "p95 TTFT", "ms", kLow, true},
      {"p99_ttft_ms", "p99 TTFT", "ms", kLow, true},
      {"mean_tpot_ms", "Mean TPOT", "ms", kLow, true},
      {"p50_tpot_ms", "p50 TPOT", "ms", kLow, true},
      {"p90_tpot_ms", "p90 TPOT", "ms", kLow, true},
      {"p95_tpot_ms", "p95 TPOT", "ms", kLow, true},
      {"p99_tpot_ms", "p99 TPOT", "ms", kLow, true},
      {"mean_itl_ms", "Mean ITL", "ms", kLow, true},
      {"mean_e2el_ms", "Mean E2EL", "ms", kLow, true},
      {"p50_e2el_ms", "p50 E2EL", "ms", kLow, true},
      {"p90_e2el_ms", "p90 E2EL", "ms", kLow, true},
      {"p95_e2el_ms", "p95 E2EL", "ms", kLow, true},
      {"p99_e2el_ms", "p99 E2EL", "ms", kLow, true},
      {"mean_queue_ms", "Mean queue", "ms", kLow, true},
      {"p50_queue_ms", "p50 queue", "ms", kLow, true},
      {"p90_queue_ms", "p90 queue", "ms", kLow, true},
      {"p95_queue_ms", "p95 queue", "ms", kLow, true},
      {"p99_queue_ms", "p99 queue", "ms", kLow, true},
      {"cost.per_million_output_tokens", "Cost of a million output tokens", "USD", kLow, true},
      {"duration", "Duration", "s", kNone, false},
      {"failed", "Failed requests", "", kLow, false},
      {"p50_itl_ms", "p50 ITL", "ms", kLow, false},
      {"p99_itl_ms", "p99 ITL", "ms", kLow, false},
      {"kv.bytes_per_token", "KV bytes a token and rank", "B", kLow, false},
      {"kv.tokens_total", "KV tokens, all replicas", "tokens", kHigh, false},
      {"kv.usage_mean", "Mean KV usage", "share", kNone, false},
      {"kv.usage_peak", "Peak KV usage", "share", kNone, false},
      {"kv.waste_mean", "Mean KV waste", "share", kLow, false},
      {"kv.preemptions", "Preemptions", "", kLow, false},
      {"kv.prefix_hit_rate_tokens", "Prefix hit rate", "share", kHigh, false},
      {"gpu.busy_fraction", "GPU busy", "share", kNone, false},
      {"gpu.hbm_fraction", "HBM bandwidth used", "share", kNone, false},
      {"gpu.flop_fraction", "FLOP rate used", "share", kNone, false},
      {"gpu.count", "GPUs", "", kLow, false},
      {"cost.per_hour", "Cost an hour", "USD", kLow, false},
  };
  KVCAST_CHECK(metrics.size() == Rest::count);
  return metrics;
}

std::size_t metric_index(const std::string& key) {
  const std::vector<ComparedMetric>& metrics = compared_metrics();
  for (std::size_t k = 0; k < metrics.size(); ++k) {
    if (metrics[k].key == key) return k;
  }
  check_failed("no such metric", __FILE__, __LINE__);
}

MeasuredRun measure(const Forecast& forecast, const std::vector<RequestOutcome>& outcomes,
                    const Resampling& resampling, const std::string& stream) {
  MeasuredRun run;
  run.values = known_values(forecast);
  run.replicates.resize(run.values.size());
  const double per_hour = run.values[Rest::cost_per_hour];
  for (const StatisticValues& values : resample(outcomes, resampling, stream)) {
    for (std::size_t k = 0; k < kStatistics; ++k) run.replicates[k].push_back(values[k]);
    const double output = values[static_cast<std::size_t>(Statistic::output_throughput)];
    run.replicates[Rest::cost_per_million].push_back(per_hour / (output * 3600) * 1e6);
  }
  if (!forecast.metrics
           .has_slo)  // without limits every completed request counts as good, which means nothing
    run.replicates[static_cast<std::size_t>(Statistic::request_goodput)].clear();
  return run;
}

std::vector<double> compared_values(const Forecast& forecast) { return known_values(forecast); }

MeasuredRun measure_by_samples(const Forecast& forecast, const std::vector<std::vector<double>>& others,
                               Replicating replicating, const Resampled& resampled) {
  KVCAST_CHECK(replicating != Replicating::by_outcomes);
  MeasuredRun run;
  run.replicating = replicating;
  run.resampled = resampled;
  run.values = known_values(forecast);
  run.replicates.resize(run.values.size());
  for (std::size_t k = 0; k < run.values.size(); ++k) {
    const bool means_nothing =
        compared_metrics()[k].key == std::string_view("request_goodput") && !forecast.metrics.has_slo;
    if (!compared_metrics()[k].sampled || means_nothing) continue;
    for (const std::vector<double>& other : others) run.replicates[k].push_back(other[k]);
  }
  return run;
}

namespace {

/// One metric of two runs, sample by sample.
struct Pairs {
  std::vector<double> differences;
  std::vector<double> logs;  // of the ratios; as many where all values are positive
};

Pairs pairs_of(const MeasuredRun& run, const MeasuredRun& baseline, std::size_t k) {
  Pairs pairs;
  const std::size_t count = std::min(run.replicates[k].size(), baseline.replicates[k].size());
  for (std::size_t r = 0; r < count; ++r) {
    const double to = run.replicates[k][r], from = baseline.replicates[k][r];
    if (std::isnan(to - from)) continue;
    pairs.differences.push_back(to - from);
    if (to > 0 && from > 0) pairs.logs.push_back(portable_log(to / from));
  }
  return pairs;
}

Interval factors_of(const Interval& logs) {
  return {portable_exp(logs.low) - 1, portable_exp(logs.high) - 1};
}

/// By independent samples: the mean over them and the one shown.
void judge_by_seed(const MeasuredRun& run, const MeasuredRun& baseline, std::size_t k,
                   Difference& difference) {
  Pairs pairs = pairs_of(run, baseline, k);
  const double to = run.values[k], from = baseline.values[k];
  pairs.differences.push_back(to - from);
  if (to > 0 && from > 0) pairs.logs.push_back(portable_log(to / from));
  const Interval absolute = interval_of_mean(pairs.differences);
  difference.interval = absolute;
  difference.absolute = (absolute.low + absolute.high) / 2;
  if (pairs.logs.size() < pairs.differences.size()) {
    difference.relative = from != 0 ? difference.absolute / from : kNan;
    difference.p_value = p_value_of_mean(pairs.differences);
    return;
  }
  const Interval logs = interval_of_mean(pairs.logs);
  difference.relative = portable_exp((logs.low + logs.high) / 2) - 1;
  difference.relative_interval = factors_of(logs);
  difference.p_value = p_value_of_mean(pairs.logs);
}

/// By resamples of the traffic, which lie around the one shown: as factors where all are positive, so that
/// latencies cannot fall by more than all of them.
void judge_by_blocks(const MeasuredRun& run, const MeasuredRun& baseline, std::size_t k,
                     Difference& difference) {
  const Pairs pairs = pairs_of(run, baseline, k);
  difference.interval = interval_of_difference(difference.absolute, pairs.differences, run.resampled);
  const double ratio = run.values[k] / baseline.values[k];
  if (ratio > 0 && std::isfinite(ratio) && pairs.logs.size() == pairs.differences.size()) {
    const double log = portable_log(ratio);
    difference.relative_interval = factors_of(interval_of_difference(log, pairs.logs, run.resampled));
    difference.p_value = p_value_of_difference(log, pairs.logs, run.resampled);
  } else {
    difference.p_value = p_value_of_difference(difference.absolute, pairs.differences, run.resampled);
  }
}

/// By resamples of what these requests saw.
void judge_by_outcomes(const MeasuredRun& run, const MeasuredRun& baseline, std::size_t k,
                       Difference& difference) {
  std::vector<double> differences, ratios;
  for (std::size_t r = 0; r < run.replicates[k].size(); ++r) {
    differences.push_back(run.replicates[k][r] - baseline.replicates[k][r]);
    if (baseline.replicates[k][r] > 0) ratios.push_back(run.replicates[k][r] / baseline.replicates[k][r] - 1);
  }
  difference.interval = middle(differences, Comparison::kInterval);
  difference.p_value = sign_p_value(differences);
  if (baseline.values[k] != 0 && !ratios.empty())
    difference.relative_interval = middle(ratios, Comparison::kInterval);
}

void judge(const MeasuredRun& run, const MeasuredRun& baseline, std::size_t k, Difference& difference) {
  switch (run.replicating) {
    case Replicating::by_seed:
      judge_by_seed(run, baseline, k, difference);
      break;
    case Replicating::by_blocks:
      judge_by_blocks(run, baseline, k, difference);
      break;
    case Replicating::by_outcomes:
      judge_by_outcomes(run, baseline, k, difference);
      break;
  }
}

}  // namespace

void fill(ComparedCell& cell, const MeasuredRun& run, const MeasuredRun* baseline) {
  cell.values = run.values;
  for (std::size_t k = 0; k < run.values.size(); ++k) {
    const bool sampled =
        compared_metrics()[k].sampled && !std::isnan(run.values[k]) && !run.replicates[k].empty();
    std::optional<Interval> interval;
    if (sampled)
      interval = run.replicating == Replicating::by_outcomes
                     ? middle(run.replicates[k], Comparison::kInterval)
                     : interval_around(run.values[k], run.replicates[k], run.resampled);
    cell.intervals.push_back(interval);
    if (baseline == nullptr) continue;
    Difference difference;
    difference.absolute = run.values[k] - baseline->values[k];
    difference.relative = baseline->values[k] != 0 ? difference.absolute / baseline->values[k] : kNan;
    if (sampled && !std::isnan(baseline->values[k])) judge(run, *baseline, k, difference);
    cell.differences.push_back(difference);
  }
}

void mark_significant(Comparison& comparison) {
  std::vector<Difference*> tested;
  std::vector<double> p_values;
  for (ComparedCell& cell : comparison.cells) {
    for (Difference& difference : cell.differences) {
      if (!difference.interval) continue;
      tested.push_back(&difference);
      p_values.push_back(difference.p_value);
    }
  }
  const std::vector<bool> found = discoveries(p_values, Comparison::kFalseDiscoveryRate);
  for (std::size_t i = 0; i < tested.size(); ++i) tested[i]->significant = found[i];
}

}  // namespace kvcast
