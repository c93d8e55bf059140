/// Where the time of each request went: integer nanoseconds by part that sum to its latency.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sim/base/units.h"
#include "sim/metrics/record.h"
#include "sim/metrics/step_record.h"
#include "sim/step_timer.h"

namespace kvcast {

/// What a request's time is spent on. At every moment between its arrival and its last token it is one of
/// these.
enum class TimePart : std::uint8_t {
  frontend,         // between client and engine, both ways
  router,           // held by the router
  queue,            // in an engine's queue, not scheduled yet
  launch,           // scheduled, but the step before it still runs
  tier_load,        // its KV, or that of a sequence in its step, comes from below the GPU's memory
  transfer,         // between two replicas that serve it
  prefill_compute,  // a step with a part of its prompt: kernels bound by arithmetic
  decode_compute,   // a step with a token of its answer: the same
  hbm_weights,      // kernels bound by reading weights
  hbm_kv,           // attention bound by reading the KV cache
  hbm_activations,  // kernels bound by the traffic of activations
  communication,    // between the GPUs of a replica
  bubble,           // pipeline stages, or ranks that step together, that wait for each other
  host,             // the engine's own work between steps
  drafting,         // proposing tokens
  copying,          // blocks moved to and from host memory, or copied on write
  others_prefill,   // what prompt chunks of others add to its step
  other_steps,      // running, but not in the step that the device works on
  preempted,        // after it gave way, until it runs again
  recompute,        // computing again what a preemption threw away
  cache_miss,       // computing prompt tokens whose KV had been computed before and was not found
  unsplit,          // in a step whose timer knows no parts
};
inline constexpr std::size_t kTimeParts = 22;
/// "prefill_compute": the key in JSON and CSV.
[[nodiscard]] std::string_view key_of(TimePart part);
/// One sentence without its full stop.
[[nodiscard]] std::string_view meaning_of(TimePart part);

/// Nanoseconds, by TimePart.
using TimeParts = std::array<std::int64_t, kTimeParts>;
[[nodiscard]] std::int64_t sum_of(const TimeParts& parts);

/// One completed request.
struct RequestTime {
  RequestId id{};
  ReplicaId replica{};
  Instant arrival;  // at the client
  Instant first_token;
  Instant last_token;
  Tokens input;
  Tokens output;
  Tokens cached;
  std::int32_t preemptions = 0;
  TimeParts ttft{};  // sums to first_token - arrival
  TimeParts e2el{};  // sums to last_token - arrival

  [[nodiscard]] std::int64_t ttft_ns() const { return (first_token - arrival).count(); }
  [[nodiscard]] std::int64_t e2el_ns() const { return (last_token - arrival).count(); }
  /// 0 for a single token.
  [[nodiscard]] std::int64_t tpot_ns() const {
    return output > Tokens{1} ? (last_token - first_token).count() / (output.value - 1) : 0;
  }
  /// Sums to tpot_ns().
  [[nodiscard]] TimeParts tpot() const;
};

/// All replicas' steps.
struct DeviceTime {
  std::int64_t steps = 0;
  std::array<std::int64_t, kStepParts> time_ns{};  // by StepPart; sums to the time that devices were busy
  std::int64_t copying_ns = 0;
  std::int64_t awaiting_ns = 0;
  std::array<Int128, kStepParts> bytes{};  // of HBM, by StepPart, on one GPU of each replica
};

/// What the accounts rest on beside the steps.
struct BreakdownOptions {
  /// Between a client's send and the engine's door, of a prompt of so many tokens.
  std::function<Duration(Tokens input)> frontend_before;
  Duration frontend_after{};
  /// Leading tokens of a request's prompt whose KV had been computed for others before it came; empty: 0.
  std::function<Tokens(RequestId id)> computed_before;
};

/// Contract: watches a run that walks step by step. A request's time is cut at the beginnings and ends of the
/// steps that it is in; each piece is told from what the steps say, so the parts sum to the whole by
/// construction, and a piece that belongs nowhere is a bug (KVCAST_CHECK).
/// In a step with prompt chunks of others, others_prefill is what the step takes longer than the same step
/// without them.
class Breakdown final : public StepObserver, public RequestObserver {
 public:
  /// \param timer of all replicas
  Breakdown(const StepTimer& timer, BreakdownOptions options);
  Breakdown(TimerOf timer_of, BreakdownOptions options);

  void on_step(const StepRecord& step) override;
  void on_load(ReplicaId replica, RequestId id, Instant begin, Instant end) override;
  void on_transfer(ReplicaId replica, RequestId id, Instant begin, Instant end) override;
  void on_request(const RequestRow& row) override;
  /// The run is over.
  void finish();

  /// In the order in which they ended.
  [[nodiscard]] const std::vector<RequestTime>& requests() const { return requests_; }
  [[nodiscard]] const DeviceTime& device() const { return device_; }

 private:
  struct Account {
    bool started = false;
    ReplicaId replica{};
    std::int64_t last_step = -1;  // index on the replica
    Instant planned;              // of its first step
    Instant device;               // its first step's begin
    Instant until;                // accounted up to here
    bool gave_way = false;        // since its last step
    std::int64_t computed = 0;    // tokens with KV
    std::int64_t recompute_until = 0;
    std::int64_t loading_ns = 0;         // waited for loads since its last step
    std::int64_t loading_before_ns = 0;  // before its first
    bool moved = false;                  // its KV has come to another replica since its last step
    Instant transfer_begin, transfer_end;
    bool has_first = false;
    Instant first_end;
    TimeParts parts{};
    TimeParts first{};
  };

  static void add_move(Account& account, const StepRecord& step, std::int64_t gap);
  [[nodiscard]] Instant begin_piece(Account& account, const StepRecord& step);
  void add_step(Account& account, const StepRecord& step, const StepRecord::Entry& entry, Instant begin);
  [[nodiscard]] TimeParts split(const StepRecord& step, const StepShape& own, bool prompt,
                                std::int64_t length) const;
  [[nodiscard]] const TimeParts& decode_parts(const StepRecord& step, std::int64_t length);
  void count_device(const StepRecord& step);
  void close(const RequestRow& row);

  TimerOf timer_of_;
  BreakdownOptions options_;
  std::unordered_map<std::uint64_t, Account> accounts_;
  std::unordered_map<std::uint64_t, RequestRow> ended_;  // their last step has not been told
  std::unordered_set<std::uint64_t> closed_;
  std::vector<RequestTime> requests_;
  DeviceTime device_;
  // Of the step being told.
  StepParts whole_;
  std::int64_t whole_time_ = 0;
  std::int64_t waited_ = 0;            // that it lasted longer than its parts take
  std::int64_t decode_parts_of_ = -1;  // nanoseconds that decode_parts_ divides; -1: none yet
  TimeParts decode_parts_{};
};

/// The requests that a statistic of a latency speaks of, and where their time went on average.
struct ExplainedStatistic {
  std::string_view metric;     // "ttft", "tpot", "e2el"
  std::string_view statistic;  // "mean", "p50", "p90", "p99"
  std::int64_t requests = 0;
  std::int64_t total_ns = 0;  // their mean, rounded down
  TimeParts parts{};          // sums to it
};

/// mean: of all requests; percentile p: of those between p - 0.5 and p + 0.5 (the nearest 1,000 of them, and
/// the nearest one where there are none). TPOT: of requests with more than one token.
[[nodiscard]] std::vector<ExplainedStatistic> explain_statistics(const std::vector<RequestTime>& requests);

}  // namespace kvcast
