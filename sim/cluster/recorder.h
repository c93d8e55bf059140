/// Turns what happens in one engine into its RunRecord, its request rows and its timeline.
#pragma once

#include <cstdint>
#include <memory>

#include "sim/cluster/cluster.h"
#include "sim/cluster/kv_peer.h"
#include "sim/engine/fine_instant.h"
#include "sim/metrics/record.h"
#include "sim/request.h"

namespace kvcast {

/// What the world knows of one request inside an engine: the facts for its row. The truth about its output
/// stays with the engine.
struct Track {
  RequestId id{};
  Instant arrival;   // at the server's door: what users see counts from here
  Instant received;  // by the engine
  Tokens input;
  Tokens output;  // made so far
  Tokens output_asked;
  Tokens output_limit;
  Tokens output_predicted;
  std::uint32_t tenant = 0;
  Tokens cached;  // prompt tokens from a prefix cache at first admission
  std::int32_t preemptions = 0;
  std::int32_t priority = 0;
  std::int32_t answers = 1;     // of `output` tokens each
  std::int32_t sample_of = -1;  // one answer of several: who they belong to, see SampleRuns
  std::int32_t retries = 0;     // replicas that it was sent to again
  bool returns = false;         // was scheduled on a replica that was lost, and not yet on this one
  Tokens told_before;           // outputs that the client has from replicas that were lost
  Tokens told;  // outputs when last_token was set: members of the decode group have more since
  Instant scheduled = kNever;
  Instant first_token = kNever;  // at the client
  FineInstant last_token;        // at the engine
  StageTimes stages;             // where another replica computed the prompt
  bool told_elsewhere = false;   // another replica tells how it ended
  std::unique_ptr<RequestDetails> details;
};

/// A run of equal steps whose cost grows evenly: step i (from 0) costs first + i * growth.
struct StepRun {
  FineInstant begin;
  std::int64_t steps = 0;
  StepCost first;
  StepCost growth;
  std::int64_t tokens_each = 0;  // scheduled in each step

  /// Time that the first n steps take.
  [[nodiscard]] Int128 elapsed(std::int64_t n) const;
  [[nodiscard]] FineInstant end() const { return begin + elapsed(steps); }
  /// The largest number of steps, up to all, that have ended by `time`.
  [[nodiscard]] std::int64_t ended_by(FineInstant time) const;
};

class Recorder {
 public:
  /// \param pool the blocks of the engine
  Recorder(ReplicaId id, const ClusterSetup& setup, const RunHooks& hooks, Blocks pool);

  void arrived(const Request& request);
  /// A request that another replica has counted as arrived.
  void taken_over(const Request& request);
  /// A request that another replica goes on with.
  void handed_over() { ++record_.handed_over; }
  /// KV of a prompt that another replica computed until `prefilled`.
  void received(FineInstant prefilled, const KvTransfer& transfer);
  void refused(const Request& request, Outcome outcome);
  [[nodiscard]] Track track_of(Request&& request) const;
  /// Scheduled for the first time, or again after a preemption, with `cached` tokens from a prefix cache;
  /// only the first time counts.
  void admitted(Track& track, FineInstant now, Tokens cached);
  /// A further answer of a request was scheduled for the first time: it looks its prompt up too.
  void looked_up(Tokens prompt, Tokens cached);
  /// One more output token.
  void token(Track& track, FineInstant at);
  /// `count` gaps of one length between tokens of requests that are accounted together.
  void gaps(Int128 fine, std::int64_t count);
  /// The gaps of the steps [from, steps) of a run, `count` requests each.
  void gaps(const StepRun& run, std::int64_t from, std::int64_t count);
  void ran(const StepRun& run);
  /// A step of forked sequences: different blocks in their tables, blocks without sharing, blocks copied for
  /// it.
  void branched(std::int64_t blocks, std::int64_t apart, Blocks copied);
  /// Several answers of which the client has a part are not put together again.
  [[nodiscard]] static bool may_be_sent_again(const Track& track, const RetryPolicy& retry) {
    const bool parted = track.answers > 1 && track.first_token != kNever;
    return retry.mode != RetryMode::none && track.retries < retry.retries_max && !parted;
  }
  /// The engine is lost. \returns the request, to be sent again; what the client has is not told again
  [[nodiscard]] Request sent_again(Track&& track, RetryMode mode);
  /// Nor is it sent again.
  void failed(const Track& track);
  /// Outputs that the client has already were made once more.
  void made_again(Tokens outputs) { record_.retry.recomputed_tokens += outputs.value; }
  void completed(const Track& track, FineInstant at);
  void unfinished(const Track& track);
  void blocks_used(Blocks used) { record_.blocks_used_max = std::max(record_.blocks_used_max, used.value); }

  /// Scrapes that fall in [.., until): state() tells what they see, given their moment; moments never go
  /// back.
  template <class State>
  void scrape(FineInstant until, State state) {
    const FineInstant routers = scrape_interval_ > Duration{} ? last_grid_point(until) : FineInstant{};
    bool router_waits = scrape_interval_ > Duration{} && routers > last_scrape_at_;
    const auto tell_router = [&] {
      last_scrape_ = state(routers);
      last_scrape_at_ = routers;
      router_waits = false;
    };
    for (FineInstant at = next_scrape(); at < until; at = next_scrape()) {
      if (router_waits && routers < at) tell_router();
      TimelinePoint point = state(at);
      point.preemptions = record_.preemptions;
      record_.timeline.add(point);
    }
    if (router_waits) tell_router();
  }

  /// What the router's last scrape saw.
  [[nodiscard]] const TimelinePoint& last_scrape() const { return last_scrape_; }

  [[nodiscard]] RunRecord& record() { return record_; }

 private:
  [[nodiscard]] FineInstant next_scrape() const {
    return FineInstant{Instant{Duration{record_.timeline.next_scrape_ns()}}};
  }
  /// The last moment of the router's grid before `until`.
  [[nodiscard]] FineInstant last_grid_point(FineInstant until) const;
  void row(const Track& track, Outcome outcome, Instant last_token);

  ReplicaId id_;
  SloLimits slo_;
  Duration delay_after_;  // from a step's end to the client
  const RunHooks& hooks_;
  RunRecord record_;
  Duration scrape_interval_;  // of the router
  TimelinePoint last_scrape_;
  FineInstant last_scrape_at_;
};

}  // namespace kvcast
