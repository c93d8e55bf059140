/// From raw integers to the numbers that users see. Pure: tested without a simulator.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/metrics/record.h"

namespace kvcast {

/// Mean, spread and percentiles of one latency, in milliseconds. count 0: nothing was measured, all zero.
struct LatencySummary {
  std::int64_t count = 0;
  double mean = 0, median = 0, std = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0;
  double relative_error_max = 0;  // of the percentiles; 0 where exact, the histogram's bound otherwise
};

/// What reduce() must know of the deployment.
struct DeploymentFacts {
  std::int64_t replicas = 1;
  std::int64_t gpus = 1;
  std::int64_t stages = 1;        // of a replica's pipeline: each computes steps of its own
  std::int64_t blocks_total = 0;  // usable, per replica
  std::int64_t block_size = 0;  // tokens; 0 or 1: the pool is counted in token slots (one region per request)
  std::int64_t groups = 1;      // of layers; each takes blocks of its own from the pool
  std::int64_t tokens_capacity =
      0;  // tokens that fit where groups keep unlike parts of a sequence; 0: the slots of all blocks
  std::int64_t kv_bytes_per_token = 0;
  double hbm_bytes_per_s = 0;  // one GPU, datasheet; 0: unknown
  double flop_per_s = 0;       // one GPU, datasheet, in the compute dtype; 0: unknown
  SloLimits slo{};
  bool admission = false;  // some requests may be refused before the router
  /// Where replicas are of several shapes, the facts of each; `replicas` and `gpus` above count all, and what
  /// is said of one replica or GPU is that of the first pool.
  std::vector<DeploymentFacts> pools{};

  /// Tokens that one replica's pool holds.
  [[nodiscard]] std::int64_t tokens_total() const {
    return tokens_capacity > 0 ? tokens_capacity : blocks_total * tokens_per_block() / groups;
  }
  [[nodiscard]] std::int64_t tokens_per_block() const { return block_size > 0 ? block_size : 1; }
  [[nodiscard]] std::int64_t blocks_of_all_replicas() const {
    std::int64_t sum = pools.empty() ? blocks_total * replicas : 0;
    for (const DeploymentFacts& pool : pools) sum += pool.blocks_of_all_replicas();
    return sum;
  }
  [[nodiscard]] std::int64_t stages_of_all_replicas() const {
    std::int64_t sum = pools.empty() ? stages * replicas : 0;
    for (const DeploymentFacts& pool : pools) sum += pool.stages_of_all_replicas();
    return sum;
  }
};

/// The result's numbers, named as `vllm bench serve` names them. Every rate is over duration_s and 0 where
/// that is 0.
struct Metrics {
  std::int64_t completed = 0, failed = 0;  // failed: rejected or unfinished
  std::int64_t rejected_too_long = 0, rejected_never_fits = 0, unfinished = 0;
  std::int64_t rejected_rate_limit = 0, rejected_overload = 0;
  double duration_s = 0;                                         // last token - first arrival
  std::int64_t total_input_tokens = 0, total_output_tokens = 0;  // of completed requests
  double request_throughput = 0, output_throughput = 0, total_token_throughput = 0;
  double request_goodput = 0;  // requests per second that meet every SLO term; only where has_slo
  bool has_slo = false;
  LatencySummary ttft, tpot, itl, e2el, queue;
  LatencySummary ntpot;  // empty where the run did not measure it

  /// KV that went from replicas that computed prompts to those that went on; all 0 where none did.
  std::int64_t kv_transfers = 0, kv_transfer_tokens = 0, kv_transfer_bytes = 0;
  std::int64_t local_requests = 0;  // served whole by one replica, where others were not
  LatencySummary kv_wait, kv_time,
      kv_behind;  // prompt to first byte; first byte to last; prompt to last byte

  /// From the scrapes between first arrival and last token, equally spaced and so equally weighted. 0 scrapes
  /// (a run shorter than the grid): the means and max_concurrent_requests are not known and stay 0.
  std::int64_t scrapes = 0;
  std::int64_t max_concurrent_requests = 0;  // largest number running or waiting at a scrape
  double kv_usage_mean = 0;                  // blocks in use / all blocks
  double kv_usage_peak = 0;                  // from each replica's own peak, not from scrapes
  double kv_waste_mean = 0;  // slots in use that hold no token / slots in use, both summed over time
  double kv_external_fragmentation_mean = 0;  // 1 - largest free run / free blocks, where any is free
  std::int64_t preemptions = 0, preemptions_swapped = 0, recomputed_tokens = 0;
  std::int64_t branched_requests = 0;  // completed requests with several answers (n, best_of, beam_width)
  std::int64_t blocks_copied = 0;      // copy on write: one branch wrote to a block that others kept
  double branch_saving =
      0;  // copy on write: blocks that sharing saves / blocks without sharing, both summed over steps
  double prefix_hit_rate_tokens = 0;  // cached prompt tokens / prompt tokens

  double gpu_busy_fraction = 0;  // time in steps / (duration * replicas)
  double gpu_hbm_fraction = 0;   // bytes moved / what a data-sheet GPU could move in the duration
  double gpu_flop_fraction = 0;  // FLOP done / what a data-sheet GPU could do in the duration
  std::int64_t steps = 0;
  std::int64_t scheduled_tokens = 0;  // in steps, recomputed ones included
  double mean_batch_tokens = 0;       // scheduled tokens / steps
  bool stuck = false;
  std::uint64_t stuck_request = 0;

  // Of replicas that come and go; 0 where they are always there.
  std::int64_t failed_with_replica = 0;  // requests whose replica was lost and that were not sent again
  std::int64_t retried_requests = 0, retries = 0, retry_recomputed_tokens = 0;
  bool elastic = false;
  double gpu_seconds = 0;        // GPUs x time that they are held: loading, ready, draining, being repaired
  double gpu_seconds_ready = 0;  // of it, of replicas that take requests
  double replicas_ready_mean = 0;
  std::int64_t replicas_ready_min = 0, replicas_ready_max = 0;
};

/// Definitions: TTFT = first token - arrival; TPOT = (last - first token)/(N - 1) for N > 1; ITL = all gaps
/// pooled; E2EL = last token - arrival; queue = first scheduled - arrival. Percentiles as numpy's (linear)
/// over completed requests.
/// With several pools, shares of KV and GPUs are those of the pools, weighted by what these have.
[[nodiscard]] Metrics reduce(const RunRecord& record, const DeploymentFacts& facts);

/// The numbers of each pool over the whole run; none where all replicas are of one shape. Latencies are those
/// of the requests that it completed.
[[nodiscard]] std::vector<Metrics> reduce_pools(const RunRecord& record, const DeploymentFacts& facts);

}  // namespace kvcast
