/// What a run leaves behind: raw integers only. reduce() (metrics.h) turns them into the numbers that users
/// see.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/speculation_totals.h"
#include "sim/base/tier_totals.h"
#include "sim/base/units.h"
#include "sim/metrics/fleet_record.h"
#include "sim/metrics/samples.h"

namespace kvcast {

/// How a request's story ended.
enum class Outcome : std::uint8_t {
  completed,
  rejected_too_long,    // prompt at or beyond max_model_len: refused at the door, as engines do
  rejected_never_fits,  // one request that the KV pool can never hold
  rejected_rate_limit,  // before the router: its bucket was empty (HTTP 429)
  rejected_overload,    // before the router: enough were inside, or nobody had room (HTTP 503)
  unfinished,           // still queued or running at the cut-off
  failed,               // its replica was lost, and it was not sent again
};

/// SLO of one run, in nanoseconds; kNoLimit where a term is not set.
struct SloLimits {
  static constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();
  std::int64_t ttft_ns = kNoLimit;
  std::int64_t tpot_ns = kNoLimit;
  std::int64_t e2el_ns = kNoLimit;
};

/// State of one replica (or the sum over replicas) at a scrape.
struct TimelinePoint {
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  std::int64_t blocks_used = 0;
  std::int64_t tokens_resident = 0;      // tokens whose KV is held
  std::int64_t largest_free_blocks = 0;  // longest free run (contiguous allocator), else all free blocks
  std::int64_t preemptions = 0;          // so far
};

/// Scrapes on a fixed grid of simulated time whose spacing is a power of two of nanoseconds and doubles when
/// kPointsMax is reached, so that memory stays constant and equal runs scrape at equal times.
struct Timeline {
  static constexpr std::size_t kPointsMax = 1024;
  std::int64_t spacing_ns = std::int64_t{1} << 20;
  std::vector<TimelinePoint> points;  // points[i] is the state at (i + 1) * spacing
  /// What a replica with nothing to do shows after its last point: largest_free_blocks is its whole pool, the
  /// rest is 0 but for the preemptions that it had, which RunRecord::merge() knows.
  TimelinePoint idle;

  [[nodiscard]] std::int64_t next_scrape_ns() const {
    return (static_cast<std::int64_t>(points.size()) + 1) * spacing_ns;
  }
  void add(const TimelinePoint& point) {
    points.push_back(point);
    if (points.size() == kPointsMax) halve();
  }
  void halve();                // keeps every second point, doubles the spacing
  void merge(Timeline other);  // sums point by point at the coarser spacing; missing points count as `idle`
};

/// Counters of one replica's steps.
struct StepTotals {
  std::int64_t steps = 0;
  std::int64_t grouped = 0;  // of them, taken by the decode group as a whole
  std::int64_t scheduled_tokens = 0;
  Int128 busy_fine = 0;  // in FineDuration units
  Int128 hbm_bytes = 0;
  Int128 flop = 0;
};

/// Requests with several answers (n, beam_width).
struct BranchTotals {
  std::int64_t requests = 0;       // completed ones
  std::int64_t blocks = 0;         // different ones in the tables of forked sequences, summed over steps
  std::int64_t blocks_apart = 0;   // what their tables would hold without sharing, likewise
  std::int64_t blocks_copied = 0;  // because one branch wrote to a block that others keep
};

/// KV that came from replicas that computed the prompts.
struct TransferTotals {
  std::int64_t transfers = 0;
  std::int64_t tokens = 0;  // moved
  std::int64_t bytes = 0;   // likewise
  std::int64_t local = 0;   // requests that one replica served whole
  Samples time;             // of a transfer, its first byte to its last
  Samples wait;             // from the end of the prompt to the first byte: for room where it goes
  Samples behind;           // from the end of the prompt to the last byte

  void merge(const TransferTotals& other);
};

/// Everything a replica counts; records of replicas merge into the run's.
struct RunRecord {
  Samples ttft;
  Samples tpot;  // only requests with more than one token
  Samples e2el;
  Samples queue;            // arrival to first scheduled
  Samples ntpot;            // E2EL / output tokens; only where RunHooks::ntpot asks for it
  Histogram itl;            // pooled gaps
  Int128 itl_sum_fine = 0;  // exact, in FineDuration units

  std::int64_t arrived = 0;
  std::int64_t completed = 0;
  std::int64_t rejected_too_long = 0;
  std::int64_t rejected_never_fits = 0;
  std::int64_t rejected_rate_limit = 0;
  std::int64_t rejected_overload = 0;
  std::int64_t unfinished = 0;
  std::int64_t handed_over = 0;    // prompts computed for requests that another replica goes on with
  std::int64_t taken_over = 0;     // requests that another replica has counted as arrived
  std::int64_t good = 0;           // completed within every SLO term
  std::int64_t input_tokens = 0;   // of completed requests
  std::int64_t output_tokens = 0;  // of completed requests
  std::int64_t preemptions = 0;
  std::int64_t preemptions_swapped = 0;    // of them, to host memory
  std::int64_t recomputed_tokens = 0;      // tokens whose KV preemptions threw away, to be computed again
  std::int64_t prefix_queried_tokens = 0;  // prompt tokens looked up in a prefix cache
  std::int64_t prefix_hit_tokens = 0;      // of them, found there
  Instant first_arrival = kNever;
  Instant last_token = kStart;
  std::int64_t blocks_used_max = 0;  // one replica's peak; after merging the sum of the replicas' peaks
  StepTotals steps;
  BranchTotals branches;
  SpeculationTotals speculation;
  std::vector<TierTotals> tiers;  // fastest first
  RetryTotals retry;
  FleetRecord fleet;  // of the cluster
  TransferTotals transfers;
  Timeline timeline;
  bool stuck = false;  // requests wait and nothing can ever be scheduled again: a real engine would hang
  RequestId stuck_request{};
  std::vector<RunRecord>
      pools;  // where replicas are of several shapes, those of each; merge() leaves them alone

  void merge(const RunRecord& other);
  /// Records of the pools that this one is the sum of, over the same span of time and scrapes as this one.
  void set_pools(std::vector<RunRecord> records);
};

/// Where and when another replica computed a request's prompt, and when its KV came from there.
struct StageTimes {
  std::int32_t replica = -1;  // -1: one replica served it whole
  Instant prefilled = kNever;
  Instant transfer_begin = kNever;
  Instant transfer_end = kNever;
};

/// One finished, refused or cut-off request, for --requests and for explain.
struct RequestRow {
  RequestId id{};
  ReplicaId replica{};
  Outcome outcome = Outcome::completed;
  Instant arrival;
  Instant received;            // by the engine: behind the frontend and the router
  Instant scheduled = kNever;  // first scheduled; kNever where it did not happen
  Instant first_token = kNever;
  Instant last_token = kNever;
  Tokens input;
  Tokens output;        // generated
  Tokens output_asked;  // what the request would generate uncut: the trace's own figure (0: as generated)
  Tokens output_limit;  // max_tokens as the client sent it; 0: not given
  Tokens cached;        // prompt tokens taken from a prefix cache at first admission
  std::int32_t preemptions = 0;
  std::int32_t retries = 0;  // times that it was sent to another replica
  std::int32_t priority = 0;
  std::uint32_t tenant = 0;
  StageTimes stages;
  const struct RequestDetails* details = nullptr;
};

/// Contract: told of every step of every replica as runs of steps of one size.
class StepSizeObserver {
 public:
  virtual ~StepSizeObserver() = default;
  virtual void on_steps(ReplicaId replica, std::int64_t steps, std::int64_t tokens_each) = 0;
};

/// Contract: receives each request once, when its story ends, in the order of the ends on each replica.
class RequestObserver {
 public:
  virtual ~RequestObserver() = default;
  virtual void on_request(const RequestRow& row) = 0;
};

}  // namespace kvcast
