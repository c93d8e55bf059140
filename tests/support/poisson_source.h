/// Traffic of M/M queues for clusters of single_servers().
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/base/rng.h"
#include "sim/request_source.h"

namespace kvcast::test {

/// A geometric number of equal steps is nearly exponential when it is long.
constexpr double kMeanSteps = 2000;
constexpr double kStepNs = 10e3;

/// Poisson arrivals of requests with one prompt token and a geometric number of output tokens.
class MarkovSource final : public RequestSource {
 public:
  MarkovSource(double mean_gap_ns, std::int64_t count)
      : gaps_(kSeed, "gaps"), lengths_(kSeed, "lengths"), mean_gap_ns_(mean_gap_ns), count_(count) {
    at_ns_ = gaps_.exponential(mean_gap_ns_);
  }
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (made_ == count_) return std::nullopt;
    return kStart + Duration{static_cast<std::int64_t>(at_ns_)};
  }
  [[nodiscard]] Request take() override {
    Request request;
    request.id = static_cast<RequestId>(made_++);
    request.arrival = kStart + Duration{static_cast<std::int64_t>(at_ns_)};
    request.input = Tokens{1};
    const double steps = std::ceil(std::log(lengths_.uniform_positive()) / std::log1p(-1 / kMeanSteps));
    request.output = Tokens{std::max<std::int64_t>(1, static_cast<std::int64_t>(steps))};
    at_ns_ += gaps_.exponential(mean_gap_ns_);
    return request;
  }

 private:
  static constexpr std::uint64_t kSeed = 20240607;
  RandomStream gaps_, lengths_;
  double mean_gap_ns_;
  std::int64_t count_;
  std::int64_t made_ = 0;
  double at_ns_ = 0;
};

}  // namespace kvcast::test
