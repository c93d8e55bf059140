/// Requests drawn from distributions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sim/base/config.h"
#include "workloads/arrivals.h"
#include "workloads/lengths.h"
#include "workloads/trace_format.h"

namespace kvcast {

/// Every request begins with the prefix of one of the groups, each equally likely, in front of the input that
/// was drawn.
struct PrefixSpec {
  std::int64_t groups = 1;
  std::int64_t tokens = 1;
};

/// Conversations: turn k's prompt is everything said before it and a new input. Arrivals are those of the
/// first turns; a later turn arrives a think time after the answer.
struct SessionSpec {
  LengthModel turns = LengthModel::fixed(1);
  double think_mean_s = 0;
  bool think_exponential = false;  // else constant
};

/// Everything that decides a synthetic workload, beside the seed.
struct SyntheticSpec {
  std::int64_t requests = 0;            // turns of sessions count
  Duration duration = Duration::max();  // no request (no first turn) arrives at or after this
  ArrivalFactory arrivals;
  std::shared_ptr<const PairModel> lengths;
  std::int64_t max = 0;  // most tokens of input and output together; 0: no limit
  std::optional<PrefixSpec> prefix;
  std::optional<SessionSpec> sessions;
};

/// Largest number of requests: ids and progress count to it.
inline constexpr std::int64_t kRequestsMax = 1'000'000'000;

/// A stream of a spec; constant memory (with sessions: in proportion to those that are going on).
[[nodiscard]] std::unique_ptr<WorkloadSource> make_synthetic(const SyntheticSpec& spec, std::uint64_t seed);

/// Cuts a request to `max` tokens: the input to max - 1, then the output to what is left. Prompt content
/// keeps its beginning.
void clip(Request& request, std::int64_t max);

}  // namespace kvcast
