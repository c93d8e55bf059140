/// What a workload looks like: `kvcast trace stats`.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "sim/request_source.h"
#include "workloads/counts.h"

namespace kvcast {

/// Arrivals over the duration, in windows of equal length that double in length as it grows; at most
/// kWindowsMax of them.
struct RateProfile {
  static constexpr std::size_t kWindowsMax = 512;
  std::int64_t window_ns = 1'000'000'000;
  std::vector<std::int64_t> arrivals;  // by window

  void add(Instant when);
};

struct TraceStats {
  std::int64_t requests = 0;
  std::int64_t duration_ns = 0;  // last arrival - first arrival
  TokenCounts input;
  TokenCounts output;
  TokenCounts context;  // input + output
  GapCounts gaps;       // between arrivals
  RateProfile profile;
  std::int64_t sessions = 0;  // names of sessions; 0: the requests have none
  std::int64_t tenants = 0;   // other than the nameless one
  std::int64_t priorities_min = 0, priorities_max = 0;
  std::int64_t requests_with_content = 0;
  std::int64_t content_tokens = 0;  // prompt tokens of those
  std::int64_t shared_tokens =
      0;  // of them, in a prefix that an earlier request of the tenant had: the hits of an infinite cache
  bool has_feedback = false;  // closed loop: times are those with a server that answers at once

  /// Requests per second: gaps / duration; 0 where all come at once.
  [[nodiscard]] double rate() const;
  /// Share of all prompt tokens that an infinite prefix cache would serve.
  [[nodiscard]] double shared_share() const;
};

/// Reads the source to its end, answering closed loops at once. Memory: fixed, 12 bytes for each distinct
/// block of prompt content and 8 for each session.
[[nodiscard]] TraceStats trace_stats(RequestSource& source);

/// The table of `kvcast trace stats`: one number a line with its unit.
/// \param name what the workload is called in the first line
void write_stats(const TraceStats& stats, const std::string& name, std::ostream& out);

/// One JSON object with the same numbers.
void write_stats_json(const TraceStats& stats, const std::string& name, std::ostream& out);

/// Writes kvcast's own JSON lines (`kvcast trace convert`, `kvcast trace generate`). Sessions are written
/// with `after`. \returns how many requests \throws InputError for a source whose arrivals depend on how many
/// requests are in flight
std::int64_t write_requests(RequestSource& source, std::ostream& out);

}  // namespace kvcast
