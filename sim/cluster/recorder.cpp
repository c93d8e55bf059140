#include "sim/cluster/recorder.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

/// 0 + 1 + ... + (n - 1)
constexpr Int128 triangle(std::int64_t n) { return static_cast<Int128>(n) * (n - 1) / 2; }

/// first + (first + growth) + ... over n steps.
constexpr Int128 series(std::int64_t first, std::int64_t growth, std::int64_t n) {
  return static_cast<Int128>(first) * n + triangle(n) * growth;
}

std::int64_t& refused_count(RunRecord& record, Outcome outcome) {
  switch (outcome) {
    case Outcome::rejected_too_long:
      return record.rejected_too_long;
    case Outcome::rejected_never_fits:
      return record.rejected_never_fits;
    case Outcome::rejected_rate_limit:
      return record.rejected_rate_limit;
    case Outcome::rejected_overload:
      return record.rejected_overload;
    case Outcome::failed:
      return record.retry.failed;
    case Outcome::completed:
    case Outcome::unfinished:
      break;
  }
  KVCAST_CHECK(false);
}

}  // namespace

Int128 StepRun::elapsed(std::int64_t n) const { return series(first.time.count(), growth.time.count(), n); }

std::int64_t StepRun::ended_by(FineInstant time) const {
  const Int128 span = time - begin;
  if (span < 0) return 0;
  if (elapsed(steps) <= span) return steps;
  // n * first + n * (n - 1) / 2 * growth <= span, solved in doubles and then set right.
  const auto d = static_cast<double>(span);
  const auto slope = static_cast<double>(growth.time.count());
  const double b = static_cast<double>(first.time.count()) - slope / 2;
  const double guess = 2 * d / (b + std::sqrt(b * b + 2 * slope * d));
  std::int64_t n = std::clamp(static_cast<std::int64_t>(guess), std::int64_t{0}, steps - 1);
  while (n > 0 && elapsed(n) > span) --n;
  while (elapsed(n + 1) <= span) ++n;
  return n;
}

Recorder::Recorder(ReplicaId id, const ClusterSetup& setup, const RunHooks& hooks, Blocks pool)
    : id_(id),
      slo_(setup.slo),
      delay_after_(setup.delay_after),
      hooks_(hooks),
      scrape_interval_(setup.scrape_interval) {
  record_.timeline.idle.largest_free_blocks = pool.value;
}

FineInstant Recorder::last_grid_point(FineInstant until) const {
  const Int128 spacing = static_cast<Int128>(scrape_interval_.count()) << kFineBits;
  return FineInstant{(until.value - 1) / spacing * spacing};
}

Track Recorder::track_of(Request&& request) const {
  Track track;
  track.id = request.id;
  track.arrival = request.arrival - request.delay_before;
  track.received = request.arrival;
  track.input = request.input;
  track.output_asked = request.output;
  track.output_limit = request.output_limit;
  track.output_predicted = request.output_predicted;
  track.tenant = request.tenant;
  track.priority = request.priority;
  if (const RequestPast* past = request.past()) {
    track.retries = past->retries;
    track.scheduled = past->scheduled;
    track.returns = past->scheduled != kNever;
    track.first_token = past->first_token;
    track.last_token = FineInstant{past->last_token};
    track.output = track.told_before = past->answered;
    track.told = past->in_prompt();
    track.cached = past->cached;
    track.preemptions = past->preemptions;
  }
  track.details = std::move(request.details);
  return track;
}

Request Recorder::sent_again(Track&& track, RetryMode mode) {
  KVCAST_CHECK(mode != RetryMode::none);
  ++record_.retry.retries;
  if (track.retries == 0) ++record_.retry.retried;
  RequestPast past;
  past.retries = track.retries + 1;
  past.continues = mode == RetryMode::resume;
  past.answered = std::max(track.output, track.told_before);
  past.scheduled = track.scheduled;
  past.first_token = track.first_token;
  past.last_token = track.last_token.value;
  past.cached = track.cached;
  past.preemptions = track.preemptions;
  Request request;
  request.id = track.id;
  request.arrival = track.received;
  request.delay_before = track.received - track.arrival;
  request.input = track.input;
  request.output = track.output_asked;
  request.output_limit = track.output_limit;
  request.output_predicted = track.output_predicted;
  request.priority = track.priority;
  request.tenant = track.tenant;
  request.details = std::move(track.details);
  if (request.details == nullptr) request.details = std::make_unique<RequestDetails>();
  request.details->past = past;
  return request;
}

void Recorder::failed(const Track& track) {
  ++record_.retry.failed;
  row(track, Outcome::failed, kNever);
}

void Recorder::arrived(const Request& request) {
  if (request.past() != nullptr) return;  // it was told of when it first came
  ++record_.arrived;
  record_.first_arrival = std::min(record_.first_arrival, request.arrival - request.delay_before);
}

void Recorder::taken_over(const Request& request) {
  ++record_.taken_over;
  record_.first_arrival = std::min(record_.first_arrival, request.arrival - request.delay_before);
}

void Recorder::received(FineInstant prefilled, const KvTransfer& transfer) {
  TransferTotals& totals = record_.transfers;
  ++totals.transfers;
  totals.tokens += transfer.tokens.value;
  totals.bytes += transfer.bytes;
  totals.time.add(transfer.end.floor() - transfer.begin.floor());
  totals.wait.add(std::max(Duration{}, transfer.begin.floor() - prefilled.floor()));
  totals.behind.add(std::max(Duration{}, transfer.end.floor() - prefilled.floor()));
}

void Recorder::refused(const Request& request, Outcome outcome) {
  const RequestPast* past = request.past();
  if (past != nullptr) outcome = Outcome::failed;  // with the tokens that it had it does not fit in any more
  ++refused_count(record_, outcome);
  if (hooks_.requests == nullptr) return;
  RequestRow row;
  if (past != nullptr) {
    row.scheduled = past->scheduled;
    row.first_token = past->first_token;
    row.output = past->answered;
    row.cached = past->cached;
    row.preemptions = past->preemptions;
    row.retries = past->retries;
  }
  row.id = request.id;
  row.replica = id_;
  row.outcome = outcome;
  row.arrival = request.arrival - request.delay_before;
  row.received = request.arrival;
  row.input = request.input;
  row.output_asked = request.output;
  row.output_limit = request.output_limit;
  row.tenant = request.tenant;
  row.priority = request.priority;
  row.details = request.details.get();
  hooks_.requests->on_request(row);
}

void Recorder::admitted(Track& track, FineInstant now, Tokens cached) {
  if (track.returns) {
    track.returns = false;
    record_.retry.recomputed_tokens += (track.input + track.told - cached).value;
  }
  if (track.scheduled != kNever) return;
  track.scheduled = now.floor();
  track.cached = cached;
  record_.queue.add(track.scheduled - track.arrival);
  looked_up(track.input, cached);
}

void Recorder::looked_up(Tokens prompt, Tokens cached) {
  record_.prefix_queried_tokens += prompt.value;
  record_.prefix_hit_tokens += cached.value;
}

void Recorder::branched(std::int64_t blocks, std::int64_t apart, Blocks copied) {
  record_.branches.blocks += blocks;
  record_.branches.blocks_apart += apart;
  record_.branches.blocks_copied += copied.value;
}

void Recorder::token(Track& track, FineInstant at) {
  if (track.first_token == kNever) {
    track.first_token = at.floor() + delay_after_;
    record_.ttft.add(track.first_token - track.arrival);
  } else {
    gaps(at - track.last_token, track.answers);
  }
  track.last_token = at;
}

void Recorder::gaps(Int128 fine, std::int64_t count) {
  record_.itl.add(static_cast<std::int64_t>(fine >> kFineBits), count);
  record_.itl_sum_fine += fine * count;
}

void Recorder::gaps(const StepRun& run, std::int64_t from, std::int64_t count) {
  if (run.steps == from) return;
  const std::int64_t first = run.first.time.count() + from * run.growth.time.count();
  record_.itl.add_run(first, run.growth.time.count(), run.steps - from, count);
  record_.itl_sum_fine += series(first, run.growth.time.count(), run.steps - from) * count;
}

void Recorder::ran(const StepRun& run) {
  record_.steps.steps += run.steps;
  record_.steps.scheduled_tokens += run.tokens_each * run.steps;
  record_.steps.busy_fine += run.elapsed(run.steps);
  record_.steps.hbm_bytes += series(run.first.hbm_bytes, run.growth.hbm_bytes, run.steps);
  record_.steps.flop += series(run.first.flop, run.growth.flop, run.steps);
  if (hooks_.sizes != nullptr && run.steps > 0) hooks_.sizes->on_steps(id_, run.steps, run.tokens_each);
}

void Recorder::completed(const Track& track, FineInstant at) {
  const Instant last_token = at.floor() + delay_after_;
  const Duration ttft = track.first_token - track.arrival;
  const Duration e2el = last_token - track.arrival;
  Duration tpot{};
  record_.e2el.add(e2el);
  if (hooks_.ntpot) record_.ntpot.add(e2el / std::max<std::int64_t>(1, track.output.value));
  if (track.output > Tokens{1}) {
    tpot = (last_token - track.first_token) / (track.output.value - 1);
    record_.tpot.add(tpot);
  }
  ++record_.completed;
  const bool good =
      ttft.count() <= slo_.ttft_ns && tpot.count() <= slo_.tpot_ns && e2el.count() <= slo_.e2el_ns;
  if (good) ++record_.good;
  record_.input_tokens += track.input.value;
  record_.output_tokens += track.output.value * track.answers;
  if (track.answers > 1) ++record_.branches.requests;
  record_.last_token = std::max(record_.last_token, last_token);
  row(track, Outcome::completed, last_token);
}

void Recorder::unfinished(const Track& track) {
  ++record_.unfinished;
  row(track, Outcome::unfinished, kNever);
}

void Recorder::row(const Track& track, Outcome outcome, Instant last_token) {
  if (hooks_.requests == nullptr) return;
  RequestRow row;
  row.id = track.id;
  row.replica = id_;
  row.outcome = outcome;
  row.arrival = track.arrival;
  row.received = track.received;
  row.scheduled = track.scheduled;
  row.first_token = track.first_token;
  row.last_token = last_token;
  row.input = track.input;
  row.output = track.output;
  row.output_asked = track.output_asked;
  row.output_limit = track.output_limit;
  row.tenant = track.tenant;
  row.cached = track.cached;
  row.preemptions = track.preemptions;
  row.retries = track.retries;
  row.priority = track.priority;
  row.stages = track.stages;
  row.details = track.details.get();
  hooks_.requests->on_request(row);
}

}  // namespace kvcast
