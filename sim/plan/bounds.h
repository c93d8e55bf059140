/// What no scheduler can beat: lower bounds on step time, latency and replicas that hold for every batching
/// of the same requests. They need nothing of a StepTimer but its contract: step() never falls when a count
/// rises, and decode() says the line of pure decode steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/request.h"
#include "sim/step_timer.h"

namespace kvcast {

/// How much one engine can do in one step, at most.
struct EngineLimits {
  std::int64_t step_tokens_max = 0;     // computed in one step, of all sequences
  std::int64_t seqs_max = 0;            // sequences in one step
  std::int64_t decode_context_max = 0;  // tokens attended to by the decodes of one step
  std::int64_t max_model_len = 0;       // tokens of one sequence
  std::int64_t pool_tokens = 0;         // a request with more never fits; 0: no pool
  bool reuses_prefixes = false;         // prompts with content may come from the cache
  bool decodes_by_token = true;         // each output token costs a sequence of a step, on top of a KV cache
};

/// The least that any engine must do for one request.
struct RequestDemand {
  std::int64_t arrival_ns = 0;      // at the client
  std::int64_t prefill_tokens = 0;  // prompt tokens that no cache can hold
  Int128 prefill_pairs = 0;         // query-key pairs of them
  std::int64_t input = 0;
  std::int64_t decode_tokens = 0;  // output tokens after the first
  Int128 decode_context = 0;       // sum over them of the tokens attended to
  bool may_be_refused = false;     // too long, or never fits: then it costs nothing and has no latency
};

[[nodiscard]] std::vector<RequestDemand> demands_of(const std::vector<Request>& requests,
                                                    const EngineLimits& limits);

/// time >= per_token * tokens + per_pair * pairs for the prompt part of every possible step, and
/// time >= per_seq * sequences + per_context * context for its decode part; seconds. The two must not be
/// added: one step may do both at once.
struct StepBounds {
  double prefill_per_token = 0;
  double prefill_per_pair = 0;
  double decode_per_seq = 0;
  double decode_per_context = 0;
};

/// The bounds that say most about these requests as a whole.
[[nodiscard]] StepBounds step_bounds(const StepTimer& timer, const EngineLimits& limits,
                                     const std::vector<RequestDemand>& demands);

/// What must be computed, in seconds of one engine: the larger of both parts.
[[nodiscard]] double busy_seconds_min(const StepBounds& bounds, const std::vector<RequestDemand>& demands);

/// One bound of an SLO on a percentile. (Means have no such bound here.)
struct LatencyLimit {
  enum class Kind : std::uint8_t { ttft, tpot, e2el };
  Kind kind = Kind::ttft;
  double share = 0.99;  // of the percentile
  double limit_s = 0;
};

/// No engine answers the request alone faster than that.
struct LatencyFloors {
  double ttft_s = 0;  // 0 for demands that may be refused
  double tpot_s = 0;  // 0 where there is only one token
};
[[nodiscard]] std::vector<LatencyFloors> latency_floors(const StepTimer& timer, const EngineLimits& limits,
                                                        const StepBounds& bounds,
                                                        const std::vector<RequestDemand>& demands);

/// A percentile (numpy's linear one) that the requests' own cannot fall below: over the floors of the
/// requests that cannot be refused, ranked as low as refusals of the others could make it. 0 where nothing is
/// left.
[[nodiscard]] double floor_percentile(const std::vector<LatencyFloors>& floors,
                                      const std::vector<RequestDemand>& demands, LatencyLimit::Kind kind,
                                      double share);

/// Fewest replicas with which the limits can be met at all: in every window of time, what its requests need
/// (but for as many as the percentiles allow to be late) must be done by the last of their deadlines. At
/// least 1; nothing: the floors alone exceed a limit, whatever the number of replicas.
[[nodiscard]] std::optional<std::int64_t> replicas_min(const StepBounds& bounds,
                                                       const std::vector<RequestDemand>& demands,
                                                       const std::vector<LatencyFloors>& floors,
                                                       const std::vector<LatencyLimit>& limits);

}  // namespace kvcast
