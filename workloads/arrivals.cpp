#include "workloads/arrivals.h"

#include <cmath>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "workloads/gamma_draw.h"
#include "workloads/numbers.h"

namespace kvcast {
namespace {

constexpr double kNsPerSecond = 1e9;

/// Integer nanoseconds that lose no fraction over the sum.
class Clock {
 public:
  Instant advance(double gap_ns) {
    fraction_ += gap_ns;
    if (!(fraction_ < static_cast<double>(kArrivalMaxNs))) too_late();
    const auto whole = static_cast<std::int64_t>(fraction_);
    fraction_ -= static_cast<double>(whole);
    now_ns_ += whole;
    if (now_ns_ > kArrivalMaxNs) too_late();
    return Instant{Duration{now_ns_}};
  }

 private:
  [[noreturn]] static void too_late() {
    throw InputError("workload: arrivals reach beyond ten years; fewer requests or a higher rate are needed");
  }
  std::int64_t now_ns_ = 0;
  double fraction_ = 0;
};

/// Gaps of mean 1.
class Gaps {
 public:
  Gaps(double shape, std::uint64_t seed)
      : shape_(shape), gamma_(std::isinf(shape) ? 1 : shape), stream_(seed, "arrivals") {}
  double next() {
    if (std::isinf(shape_)) return 1;
    return shape_ == 1 ? stream_.exponential(1) : gamma_(stream_);
  }

 private:
  double shape_;
  GammaDraw gamma_;
  RandomStream stream_;
};

class Renewal final : public ArrivalProcess {
 public:
  Renewal(const RenewalSpec& spec, std::uint64_t seed)
      : gap_ns_(kNsPerSecond / spec.rate), gaps_(spec.shape, seed) {}
  Instant next() override { return clock_.advance(gaps_.next() * gap_ns_); }

 private:
  double gap_ns_;
  Gaps gaps_;
  Clock clock_;
};

class Ramp final : public ArrivalProcess {
 public:
  Ramp(const RenewalSpec& spec, const RampSpec& ramp, std::uint64_t seed)
      : ramp_(ramp), gaps_(spec.shape, seed) {}
  Instant next() override {
    const double progress = static_cast<double>(made_++) / static_cast<double>(ramp_.requests);
    const double rate = ramp_.exponential
                            ? ramp_.from * portable_exp(progress * portable_log(ramp_.to / ramp_.from))
                            : ramp_.from + (ramp_.to - ramp_.from) * progress;
    return clock_.advance(gaps_.next() * kNsPerSecond / rate);
  }

 private:
  RampSpec ramp_;
  Gaps gaps_;
  Clock clock_;
  std::int64_t made_ = 0;
};

class Profile final : public ArrivalProcess {
 public:
  Profile(ProfileSpec spec, std::uint64_t seed) : spec_(std::move(spec)), gaps_(spec_.shape, seed) {}
  Instant next() override {
    double mass = gaps_.next();  // requests' worth of the integrated rate still to pass
    double gap_s = 0;
    while (true) {
      const double rate = spec_.rates[window_];
      const double left_s = spec_.window_s - at_s_;
      if (mass < rate * left_s) {
        at_s_ += mass / rate;
        gap_s += mass / rate;
        return clock_.advance(gap_s * kNsPerSecond);
      }
      mass -= rate * left_s;
      gap_s += left_s;
      at_s_ = 0;
      window_ = (window_ + 1) % spec_.rates.size();
    }
  }

 private:
  ProfileSpec spec_;
  Gaps gaps_;
  Clock clock_;
  std::size_t window_ = 0;
  double at_s_ = 0;  // within the window
};

class AtOnce final : public ArrivalProcess {
 public:
  Instant next() override { return kStart; }
};

}  // namespace

std::unique_ptr<ArrivalProcess> renewal_arrivals(const RenewalSpec& spec, std::uint64_t seed) {
  KVCAST_CHECK(spec.rate > 0);
  KVCAST_CHECK(spec.shape > 0);
  return std::make_unique<Renewal>(spec, seed);
}

std::unique_ptr<ArrivalProcess> ramp_arrivals(const RenewalSpec& spec, const RampSpec& ramp,
                                              std::uint64_t seed) {
  KVCAST_CHECK(ramp.from > 0);
  KVCAST_CHECK(ramp.to > 0);
  KVCAST_CHECK(ramp.requests > 0);
  return std::make_unique<Ramp>(spec, ramp, seed);
}

std::unique_ptr<ArrivalProcess> profile_arrivals(const ProfileSpec& spec, std::uint64_t seed) {
  double total = 0;
  for (const double rate : spec.rates) total += rate;
  KVCAST_CHECK(total > 0);
  KVCAST_CHECK(spec.window_s > 0);
  return std::make_unique<Profile>(spec, seed);
}

std::unique_ptr<ArrivalProcess> arrivals_at_once() { return std::make_unique<AtOnce>(); }

}  // namespace kvcast
