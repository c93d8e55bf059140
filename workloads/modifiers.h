/// Changes to any source: time, number, length, concurrency, and what a policy may see.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "workloads/source.h"

namespace kvcast {

/// What `trace:` may change. Order: window, limit, rate_scale, max.
struct TraceChanges {
  Duration from{};                // requests before it are left out, later ones arrive that much earlier
  Duration to = Duration::max();  // requests at or after it are left out
  std::int64_t limit = 0;         // most requests; 0: all
  double rate_scale = 1;          // everything happens that many times as fast, think times too
  std::int64_t max = 0;           // clip(); 0: no limit

  [[nodiscard]] bool none() const {
    return from == Duration{} && to == Duration::max() && limit == 0 && rate_scale == 1 && max == 0;
  }
};

/// \pre a source with feedback has no window: which of its requests come depends on the server
[[nodiscard]] std::unique_ptr<WorkloadSource> changed(std::unique_ptr<WorkloadSource> source,
                                                      const TraceChanges& changes);

/// At most `concurrency` requests in flight: the next one waits for the end of one before it and `think`
/// more, as behind the semaphore of `vllm bench serve --max-concurrency`.
[[nodiscard]] std::unique_ptr<WorkloadSource> limit_concurrency(std::unique_ptr<WorkloadSource> source,
                                                                std::int64_t concurrency, Duration think);

/// What is added to each request. Drawn from a stream of the request's key, so that the server's order
/// changes nothing.
struct Decorations {
  std::optional<double> predictor_cv;    // output_predicted = output * log-normal of mean 1 and this cv
  bool output_as_limit = false;          // output_limit = output, as benchmark clients send max_tokens
  std::vector<double> priority_weights;  // priority i with weight i; empty: none given
  std::vector<double> tenant_weights;    // tenant i with weight i; empty: none given
  std::vector<std::string> slo_classes;  // names; empty: those of the trace stay
  std::vector<double> slo_weights;       // of each
  std::int32_t samples = 0;              // RequestDetails::samples and beams; 0: those of the trace stay
  std::int32_t beams = 0;

  [[nodiscard]] bool none() const {
    return !predictor_cv && !output_as_limit && priority_weights.empty() && tenant_weights.empty() &&
           slo_classes.empty() && samples == 0 && beams == 0;
  }
};

[[nodiscard]] std::unique_ptr<WorkloadSource> decorated(std::unique_ptr<WorkloadSource> source,
                                                        const Decorations& decorations, std::uint64_t seed);

}  // namespace kvcast
