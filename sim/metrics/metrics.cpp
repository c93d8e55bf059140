#include "sim/metrics/metrics.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kNsPerSecond = 1e9;
constexpr double kFinePerNs = 1 << kFineBits;

const std::vector<double>& percents() {
  static const std::vector<double> list{50, 90, 95, 99};
  return list;
}

void set_percentiles(LatencySummary& summary, const std::vector<double>& values_ns) {
  summary.p50 = summary.median = values_ns[0] / kNsPerMs;
  summary.p90 = values_ns[1] / kNsPerMs;
  summary.p95 = values_ns[2] / kNsPerMs;
  summary.p99 = values_ns[3] / kNsPerMs;
}

LatencySummary summarize(const Samples& samples) {
  LatencySummary summary;
  summary.count = samples.count();
  if (summary.count == 0) return summary;
  summary.mean = samples.mean_ns() / kNsPerMs;
  summary.std = samples.std_ns() / kNsPerMs;
  set_percentiles(summary, samples.percentiles_ns(percents()));
  summary.relative_error_max = samples.exact() ? 0 : Histogram::kRelativeError;
  return summary;
}

LatencySummary summarize(const Histogram& gaps, Int128 sum_fine) {
  LatencySummary summary;
  summary.count = gaps.total();
  if (summary.count == 0) return summary;
  summary.mean = static_cast<double>(sum_fine) / kFinePerNs / static_cast<double>(summary.count) / kNsPerMs;
  summary.std = gaps.std_ns() / kNsPerMs;
  std::vector<double> ranks;
  for (const double percent : percents())
    ranks.push_back(static_cast<double>(summary.count - 1) * (percent / 100));
  set_percentiles(summary, gaps.values_at_ranks(ranks));
  summary.relative_error_max = Histogram::kRelativeError;
  return summary;
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

/// Replicas that are always there hold their GPUs for the whole duration.
void reduce_fleet(Metrics& metrics, const RunRecord& record, const DeploymentFacts& facts) {
  metrics.failed_with_replica = record.retry.failed;
  metrics.retried_requests = record.retry.retried;
  metrics.retries = record.retry.retries;
  metrics.retry_recomputed_tokens = record.retry.recomputed_tokens;
  metrics.elastic = !record.fleet.empty();
  const double gpus_each = ratio(static_cast<double>(facts.gpus), static_cast<double>(facts.replicas));
  metrics.gpu_seconds = metrics.gpu_seconds_ready = metrics.duration_s * static_cast<double>(facts.gpus);
  metrics.replicas_ready_mean = static_cast<double>(facts.replicas);
  metrics.replicas_ready_min = metrics.replicas_ready_max = facts.replicas;
  if (!metrics.elastic || metrics.duration_s <= 0) return;
  const FleetTime time = integrate(record.fleet, record.first_arrival, record.last_token);
  metrics.gpu_seconds = static_cast<double>(time.held_ns) / kNsPerSecond * gpus_each;
  metrics.gpu_seconds_ready = static_cast<double>(time.ready_ns) / kNsPerSecond * gpus_each;
  metrics.replicas_ready_mean = static_cast<double>(time.ready_ns) / kNsPerSecond / metrics.duration_s;
  metrics.replicas_ready_min = time.ready_min;
  metrics.replicas_ready_max = time.ready_max;
}

void reduce_timeline(Metrics& metrics, const RunRecord& record, const DeploymentFacts& facts) {
  const std::int64_t blocks_all = facts.blocks_of_all_replicas();
  const std::int64_t begin_ns = record.first_arrival.time_since_epoch().count();
  const std::int64_t end_ns = record.last_token.time_since_epoch().count();
  Int128 used = 0;
  Int128 resident = 0;
  double external = 0;
  std::int64_t with_free = 0;
  std::int64_t at_ns = 0;
  for (const TimelinePoint& point : record.timeline.points) {
    at_ns += record.timeline.spacing_ns;
    if (at_ns < begin_ns || at_ns > end_ns) continue;
    ++metrics.scrapes;
    metrics.max_concurrent_requests =
        std::max(metrics.max_concurrent_requests, point.running + point.waiting);
    used += point.blocks_used;
    resident += point.tokens_resident;
    const std::int64_t free = blocks_all - point.blocks_used;
    if (free > 0) {
      ++with_free;
      external += 1 - static_cast<double>(point.largest_free_blocks) / static_cast<double>(free);
    }
  }
  const auto scrapes = static_cast<double>(metrics.scrapes);
  const double blocks_ready = metrics.elastic
                                  ? static_cast<double>(facts.blocks_total) * metrics.replicas_ready_mean
                                  : static_cast<double>(blocks_all);
  metrics.kv_usage_mean = ratio(static_cast<double>(used), scrapes * blocks_ready);
  metrics.kv_usage_peak = ratio(static_cast<double>(record.blocks_used_max), static_cast<double>(blocks_all));
  // A shared block holds the tokens of several requests, and a window fewer blocks than tokens: then nothing
  // counts as waste.
  const Int128 slots = used * facts.tokens_per_block() / facts.groups;
  metrics.kv_waste_mean =
      std::max(0.0, ratio(static_cast<double>(slots - resident), static_cast<double>(slots)));
  metrics.kv_external_fragmentation_mean = ratio(external, static_cast<double>(with_free));
}

void reduce_steps(Metrics& metrics, const RunRecord& record, const DeploymentFacts& facts) {
  const StepTotals& steps = record.steps;
  metrics.steps = steps.steps;
  metrics.scheduled_tokens = steps.scheduled_tokens;
  metrics.mean_batch_tokens =
      ratio(static_cast<double>(steps.scheduled_tokens), static_cast<double>(steps.steps));
  // Bytes and FLOP are those of one GPU of each replica, so the GPUs of a tensor-parallel group cancel out.
  const double replica_seconds = metrics.elastic
                                     ? metrics.gpu_seconds * static_cast<double>(facts.replicas) /
                                           static_cast<double>(std::max<std::int64_t>(1, facts.gpus))
                                     : metrics.duration_s * static_cast<double>(facts.replicas);
  const double busy_s = static_cast<double>(steps.busy_fine) / kFinePerNs / kNsPerSecond;
  metrics.gpu_busy_fraction = ratio(busy_s, replica_seconds);
  metrics.gpu_hbm_fraction =
      ratio(static_cast<double>(steps.hbm_bytes), replica_seconds * facts.hbm_bytes_per_s);
  metrics.gpu_flop_fraction = ratio(static_cast<double>(steps.flop), replica_seconds * facts.flop_per_s);
}

/// The mean of a share over pools, each by its weight.
template <class Weight>
double weighted(const std::vector<Metrics>& metrics, const DeploymentFacts& facts, double Metrics::*share,
                Weight weight) {
  double sum = 0;
  double all = 0;
  for (std::size_t p = 0; p < metrics.size(); ++p) {
    const double own = weight(facts.pools[p], metrics[p]);
    sum += metrics[p].*share * own;
    all += own;
  }
  return ratio(sum, all);
}

/// Shares that a sum over replicas of unlike shapes does not tell.
void weigh_pools(Metrics& metrics, const RunRecord& record, const DeploymentFacts& facts) {
  const std::vector<Metrics> pools = reduce_pools(record, facts);
  const auto replicas = [](const DeploymentFacts& f, const Metrics&) {
    return static_cast<double>(f.replicas);
  };
  const auto tokens = [](const DeploymentFacts& f, const Metrics&) {
    return static_cast<double>(f.replicas) * static_cast<double>(f.tokens_total());
  };
  const auto used = [&](const DeploymentFacts& f, const Metrics& m) {
    return tokens(f, m) * m.kv_usage_mean;
  };
  const auto hbm = [&](const DeploymentFacts& f, const Metrics& m) {
    return replicas(f, m) * f.hbm_bytes_per_s;
  };
  const auto flop = [&](const DeploymentFacts& f, const Metrics& m) { return replicas(f, m) * f.flop_per_s; };
  metrics.kv_usage_mean = weighted(pools, facts, &Metrics::kv_usage_mean, tokens);
  metrics.kv_usage_peak = weighted(pools, facts, &Metrics::kv_usage_peak, tokens);
  metrics.kv_waste_mean = weighted(pools, facts, &Metrics::kv_waste_mean, used);
  metrics.kv_external_fragmentation_mean =
      weighted(pools, facts, &Metrics::kv_external_fragmentation_mean, tokens);
  metrics.gpu_busy_fraction = weighted(pools, facts, &Metrics::gpu_busy_fraction, replicas);
  metrics.gpu_hbm_fraction = weighted(pools, facts, &Metrics::gpu_hbm_fraction, hbm);
  metrics.gpu_flop_fraction = weighted(pools, facts, &Metrics::gpu_flop_fraction, flop);
}

}  // namespace

Metrics reduce(const RunRecord& record, const DeploymentFacts& facts) {
  Metrics metrics;
  metrics.completed = record.completed;
  metrics.rejected_too_long = record.rejected_too_long;
  metrics.rejected_never_fits = record.rejected_never_fits;
  metrics.unfinished = record.unfinished;
  metrics.rejected_rate_limit = record.rejected_rate_limit;
  metrics.rejected_overload = record.rejected_overload;
  metrics.failed = record.rejected_too_long + record.rejected_never_fits + record.rejected_rate_limit +
                   record.rejected_overload + record.unfinished + record.retry.failed;
  metrics.total_input_tokens = record.input_tokens;
  metrics.total_output_tokens = record.output_tokens;
  metrics.preemptions = record.preemptions;
  metrics.preemptions_swapped = record.preemptions_swapped;
  metrics.recomputed_tokens = record.recomputed_tokens;
  metrics.branched_requests = record.branches.requests;
  metrics.blocks_copied = record.branches.blocks_copied;
  if (record.branches.blocks_apart > 0) {
    metrics.branch_saving = 1 - ratio(static_cast<double>(record.branches.blocks),
                                      static_cast<double>(record.branches.blocks_apart));
  }
  metrics.prefix_hit_rate_tokens =
      ratio(static_cast<double>(record.prefix_hit_tokens), static_cast<double>(record.prefix_queried_tokens));
  metrics.stuck = record.stuck;
  metrics.stuck_request = to_number(record.stuck_request);

  const bool any_token = record.first_arrival != kNever && record.last_token > record.first_arrival;
  if (any_token) {
    const Duration duration = record.last_token - record.first_arrival;
    metrics.duration_s = static_cast<double>(duration.count()) / kNsPerSecond;
  }
  metrics.request_throughput = ratio(static_cast<double>(record.completed), metrics.duration_s);
  metrics.output_throughput = ratio(static_cast<double>(record.output_tokens), metrics.duration_s);
  const std::int64_t tokens = record.input_tokens + record.output_tokens;
  metrics.total_token_throughput = ratio(static_cast<double>(tokens), metrics.duration_s);
  const SloLimits& slo = facts.slo;
  metrics.has_slo = slo.ttft_ns != SloLimits::kNoLimit || slo.tpot_ns != SloLimits::kNoLimit ||
                    slo.e2el_ns != SloLimits::kNoLimit;
  if (metrics.has_slo) metrics.request_goodput = ratio(static_cast<double>(record.good), metrics.duration_s);

  metrics.ttft = summarize(record.ttft);
  metrics.tpot = summarize(record.tpot);
  metrics.itl = summarize(record.itl, record.itl_sum_fine);
  metrics.e2el = summarize(record.e2el);
  metrics.queue = summarize(record.queue);
  metrics.ntpot = summarize(record.ntpot);
  reduce_fleet(metrics, record, facts);
  const TransferTotals& transfers = record.transfers;
  metrics.kv_transfers = transfers.transfers;
  metrics.kv_transfer_tokens = transfers.tokens;
  metrics.kv_transfer_bytes = transfers.bytes;
  metrics.local_requests = transfers.local;
  metrics.kv_wait = summarize(transfers.wait);
  metrics.kv_time = summarize(transfers.time);
  metrics.kv_behind = summarize(transfers.behind);
  if (any_token) reduce_timeline(metrics, record, facts);
  reduce_steps(metrics, record, facts);
  if (!record.pools.empty()) weigh_pools(metrics, record, facts);
  return metrics;
}

std::vector<Metrics> reduce_pools(const RunRecord& record, const DeploymentFacts& facts) {
  KVCAST_CHECK(record.pools.size() == facts.pools.size());
  std::vector<Metrics> metrics;
  for (std::size_t p = 0; p < facts.pools.size(); ++p)
    metrics.push_back(reduce(record.pools[p], facts.pools[p]));
  return metrics;
}

}  // namespace kvcast
