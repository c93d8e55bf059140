#include "sim/metrics/record.h"

#include <algorithm>
#include <utility>

#include "sim/base/error.h"

namespace kvcast {
namespace {

void accumulate(TimelinePoint& sum, const TimelinePoint& point) {
  sum.running += point.running;
  sum.waiting += point.waiting;
  sum.blocks_used += point.blocks_used;
  sum.tokens_resident += point.tokens_resident;
  sum.largest_free_blocks += point.largest_free_blocks;
  sum.preemptions += point.preemptions;
}

}  // namespace

void Timeline::halve() {
  // points[i] stands at (i + 1) * spacing, so the odd indices are those on the doubled grid.
  const std::size_t kept = points.size() / 2;
  for (std::size_t i = 0; i < kept; ++i) points[i] = points[2 * i + 1];
  points.resize(kept);
  spacing_ns *= 2;
}

void Timeline::merge(Timeline other) {
  KVCAST_CHECK(spacing_ns > 0 && other.spacing_ns > 0);
  while (spacing_ns < other.spacing_ns) halve();
  while (other.spacing_ns < spacing_ns) other.halve();
  points.resize(std::max(points.size(), other.points.size()), idle);
  for (std::size_t i = 0; i < points.size(); ++i)
    accumulate(points[i], i < other.points.size() ? other.points[i] : other.idle);
  accumulate(idle, other.idle);
}

void TransferTotals::merge(const TransferTotals& other) {
  transfers += other.transfers;
  tokens += other.tokens;
  bytes += other.bytes;
  local += other.local;
  time.merge(other.time);
  wait.merge(other.wait);
  behind.merge(other.behind);
}

void RunRecord::merge(const RunRecord& other) {
  Timeline others = other.timeline;
  others.idle.preemptions = other.preemptions;
  timeline.idle.preemptions = preemptions;
  timeline.merge(std::move(others));
  ttft.merge(other.ttft);
  tpot.merge(other.tpot);
  e2el.merge(other.e2el);
  queue.merge(other.queue);
  ntpot.merge(other.ntpot);
  itl.merge(other.itl);
  itl_sum_fine += other.itl_sum_fine;

  arrived += other.arrived;
  completed += other.completed;
  rejected_too_long += other.rejected_too_long;
  rejected_never_fits += other.rejected_never_fits;
  rejected_rate_limit += other.rejected_rate_limit;
  rejected_overload += other.rejected_overload;
  unfinished += other.unfinished;
  handed_over += other.handed_over;
  taken_over += other.taken_over;
  transfers.merge(other.transfers);
  good += other.good;
  input_tokens += other.input_tokens;
  output_tokens += other.output_tokens;
  preemptions += other.preemptions;
  preemptions_swapped += other.preemptions_swapped;
  recomputed_tokens += other.recomputed_tokens;
  branches.requests += other.branches.requests;
  branches.blocks += other.branches.blocks;
  branches.blocks_apart += other.branches.blocks_apart;
  branches.blocks_copied += other.branches.blocks_copied;
  speculation.add(other.speculation);
  retry.add(other.retry);
  if (fleet.empty()) fleet = other.fleet;
  if (tiers.empty())
    tiers = other.tiers;
  else if (!other.tiers.empty())
    for (std::size_t i = 0; i < tiers.size(); ++i) tiers[i].merge(other.tiers[i]);
  prefix_queried_tokens += other.prefix_queried_tokens;
  prefix_hit_tokens += other.prefix_hit_tokens;
  first_arrival = std::min(first_arrival, other.first_arrival);
  last_token = std::max(last_token, other.last_token);
  blocks_used_max += other.blocks_used_max;

  steps.steps += other.steps.steps;
  steps.grouped += other.steps.grouped;
  steps.scheduled_tokens += other.steps.scheduled_tokens;
  steps.busy_fine += other.steps.busy_fine;
  steps.hbm_bytes += other.steps.hbm_bytes;
  steps.flop += other.steps.flop;

  // The smallest stuck request is named, whatever the order of merging.
  if (other.stuck) stuck_request = stuck ? std::min(stuck_request, other.stuck_request) : other.stuck_request;
  stuck = stuck || other.stuck;
}

void RunRecord::set_pools(std::vector<RunRecord> records) {
  pools = std::move(records);
  for (RunRecord& pool : pools) {
    pool.timeline.idle.preemptions = pool.preemptions;
    Timeline frame;
    frame.spacing_ns = timeline.spacing_ns;
    frame.points.resize(timeline.points.size());
    pool.timeline.merge(std::move(frame));
    pool.first_arrival = first_arrival;
    pool.last_token = last_token;
  }
}

}  // namespace kvcast
