/// Poisson traffic of queueing theory, for clusters of single_servers().
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "sim/base/rng.h"
#include "sim/request_source.h"

namespace kvcast::test {

struct Lengths {
  std::int64_t input, output;
};

/// Poisson arrivals of requests whose lengths are drawn independently.
class PoissonSource : public RequestSource {
 public:
  PoissonSource(std::uint64_t seed, double mean_gap_ns, std::int64_t count,
                std::function<Lengths(RandomStream&)> draw)
      : gaps_(seed, "gaps"),
        lengths_(seed, "lengths"),
        mean_gap_ns_(mean_gap_ns),
        count_(count),
        draw_(std::move(draw)) {
    advance();
  }
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (made_ == count_) return std::nullopt;
    return kStart + Duration{static_cast<std::int64_t>(at_ns_)};
  }
  [[nodiscard]] Request take() override {
    Request request;
    request.id = static_cast<RequestId>(made_++);
    request.arrival = kStart + Duration{static_cast<std::int64_t>(at_ns_)};
    const Lengths lengths = draw_(lengths_);
    request.input = Tokens{lengths.input};
    request.output = Tokens{lengths.output};
    advance();
    return request;
  }

 private:
  void advance() { at_ns_ += gaps_.exponential(mean_gap_ns_); }
  RandomStream gaps_, lengths_;
  double mean_gap_ns_;
  std::int64_t count_;
  std::int64_t made_ = 0;
  double at_ns_ = 0;
  std::function<Lengths(RandomStream&)> draw_;
};

/// A geometric number of equal steps is nearly exponential when it is long.
constexpr double kMeanSteps = 2000;
constexpr double kStepNs = 10e3;

/// Of M/M queues: one prompt token and a geometric number of output tokens.
class MarkovSource final : public PoissonSource {
 public:
  MarkovSource(double mean_gap_ns, std::int64_t count)
      : PoissonSource(kSeed, mean_gap_ns, count, [](RandomStream& random) {
          const double steps = std::ceil(std::log(random.uniform_positive()) / std::log1p(-1 / kMeanSteps));
          return Lengths{1, std::max<std::int64_t>(1, static_cast<std::int64_t>(steps))};
        }) {}

 private:
  static constexpr std::uint64_t kSeed = 20240607;
};

}  // namespace kvcast::test
