#include "workloads/trace_stats.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/hash.h"
#include "workloads/hash_table.h"
#include "workloads/segments.h"

namespace kvcast {
namespace {

/// Prefixes seen so far, each as a hash chain over (segment, length).
class SeenPrefixes {
 public:
  /// Tokens of the longest prefix that an earlier request of the tenant had, prompt and answer; the request
  /// counts as seen from now on.
  std::int64_t add(const Request& request) {
    std::uint64_t chain = request.tenant;
    std::int64_t shared = 0;
    bool all_shared = true;
    for (const PromptSegment& segment : request.details->content) {
      const std::int64_t seen = see(chain, segment);
      if (all_shared) shared += std::min(seen, segment.length.value);
      all_shared = all_shared && seen >= segment.length.value;
    }
    const std::uint64_t answer = request.details->output_segment;
    if (answer != 0) static_cast<void>(see(chain, {answer, request.output}));
    return shared;
  }

 private:
  /// How many tokens of the segment were seen after this chain before; moves the chain on.
  std::int64_t see(std::uint64_t& chain, const PromptSegment& segment) {
    chain = numbered_segment(chain, segment.segment);
    std::int32_t& longest = lengths_[chain];
    const std::int64_t before = longest;
    longest = static_cast<std::int32_t>(std::max(before, segment.length.value));
    chain = numbered_segment(chain, static_cast<std::uint64_t>(segment.length.value));
    return before;
  }

  HashTable lengths_;  // by chain before a segment and its id: the most tokens of it that were seen there
};

class StatsBuilder {
 public:
  void add(const Request& request) {
    TraceStats& s = stats_;
    if (s.requests == 0) {
      first_ = last_ = request.arrival;
      s.priorities_min = s.priorities_max = request.priority;
    } else {
      s.gaps.add((request.arrival - last_).count());
    }
    last_ = request.arrival;
    ++s.requests;
    s.input.add(request.input.value);
    s.output.add(request.output.value);
    s.context.add(request.input.value + request.output.value);
    s.profile.add(kStart + (request.arrival - first_));
    s.priorities_min = std::min<std::int64_t>(s.priorities_min, request.priority);
    s.priorities_max = std::max<std::int64_t>(s.priorities_max, request.priority);
    if (request.tenant != 0 && std::exchange(tenants_[request.tenant], 1) == 0) ++s.tenants;
    if (request.details != nullptr) add_details(request);
  }

  TraceStats finish() {
    stats_.duration_ns = (last_ - first_).count();
    return std::move(stats_);
  }

 private:
  void add_details(const Request& request) {
    const RequestDetails& details = *request.details;
    if (!details.session.empty() && std::exchange(sessions_[hash64(details.session)], 1) == 0)
      ++stats_.sessions;
    if (details.content.empty()) return;
    ++stats_.requests_with_content;
    stats_.content_tokens += request.input.value;
    stats_.shared_tokens += prefixes_.add(request);
  }

  TraceStats stats_;
  Instant first_;
  Instant last_;
  SeenPrefixes prefixes_;
  HashTable sessions_;
  HashTable tenants_;
};

}  // namespace

void RateProfile::add(Instant when) {
  auto window = static_cast<std::size_t>(when.time_since_epoch().count() / window_ns);
  while (window >= kWindowsMax) {
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      const std::int64_t count = std::exchange(arrivals[i], 0);
      arrivals[i / 2] += count;
    }
    arrivals.resize((arrivals.size() + 1) / 2);
    window_ns *= 2;
    window /= 2;
  }
  if (window >= arrivals.size()) arrivals.resize(window + 1);
  ++arrivals[window];
}

double TraceStats::rate() const {
  return duration_ns > 0 ? static_cast<double>(gaps.count()) / (static_cast<double>(duration_ns) * 1e-9) : 0;
}

double TraceStats::shared_share() const {
  return input.sum() > 0 ? static_cast<double>(shared_tokens) / static_cast<double>(input.sum()) : 0;
}

TraceStats trace_stats(RequestSource& source) {
  StatsBuilder builder;
  while (source.next_arrival()) {
    const Request request = source.take();
    builder.add(request);
    source.finished(request.id, request.arrival);
  }
  TraceStats stats = builder.finish();
  stats.has_feedback = source.has_feedback();
  return stats;
}

}  // namespace kvcast
