/// When requests arrive, in an open loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "sim/base/units.h"

namespace kvcast {

/// Contract: rising arrival times, one for each next(), drawn from the stream named "arrivals".
class ArrivalProcess {
 public:
  virtual ~ArrivalProcess() = default;
  /// \throws InputError (usage) beyond ten years
  [[nodiscard]] virtual Instant next() = 0;
};

using ArrivalFactory = std::function<std::unique_ptr<ArrivalProcess>()>;

/// A renewal process whose gaps are gamma distributed. shape 1 is Poisson; infinite shape is constant gaps.
/// `vllm bench serve
/// --burstiness` is the shape; cv = 1 / sqrt(shape).
struct RenewalSpec {
  double rate = 1;   // per second
  double shape = 1;  // infinity: constant
};

/// The rate changes with the number of requests made so far, as `vllm bench serve --ramp-up-strategy` does
/// it.
struct RampSpec {
  bool exponential = false;
  double from = 1;  // per second, at the first request
  double to = 1;    // at the last
  std::int64_t requests = 1;
};

/// The rate changes with time: rates[i] holds for window i, and the whole profile repeats. Gamma gaps of mean
/// 1 are run through the inverse of the integrated rate.
struct ProfileSpec {
  std::vector<double> rates;  // per second, at least one above 0
  double window_s = 60;
  double shape = 1;
};

[[nodiscard]] std::unique_ptr<ArrivalProcess> renewal_arrivals(const RenewalSpec& spec, std::uint64_t seed);
[[nodiscard]] std::unique_ptr<ArrivalProcess> ramp_arrivals(const RenewalSpec& spec, const RampSpec& ramp,
                                                            std::uint64_t seed);
[[nodiscard]] std::unique_ptr<ArrivalProcess> profile_arrivals(const ProfileSpec& spec, std::uint64_t seed);
/// Everything arrives at time 0.
[[nodiscard]] std::unique_ptr<ArrivalProcess> arrivals_at_once();

/// What `arrivals: {process: ...}` says.
struct ArrivalPlan {
  ArrivalFactory make;
  std::string description;
  std::int64_t concurrency = 0;  // closed loop: requests in flight; 0: open loop
  Duration think{};              // closed loop: from an end to the next request
};

/// Reads `arrivals: {process: poisson | gamma | constant | rates | at-once | closed-loop, rate, cv or
/// burstiness, ramp, rates, window_s, concurrency, think_s}`. \param requests how many there will be, for
/// ramps; 0: not known
[[nodiscard]] ArrivalPlan read_arrivals(Config& parent, std::int64_t requests, std::uint64_t seed);

}  // namespace kvcast
