#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "workloads/arrivals.h"

namespace kvcast {
namespace {

constexpr RealRange kRates = {1e-6, 1e6};
constexpr RealRange kCvs = {0.01, 100};

/// The gamma shape from `cv` or `burstiness`.
double read_shape(Config& config, const std::string& process) {
  if (process == "poisson") return 1;
  if (process == "constant") return std::numeric_limits<double>::infinity();
  if (config.has("cv") && config.has("burstiness"))
    config.fail("burstiness", "cv is given too; only one of them can be (cv = 1 / sqrt(burstiness))");
  if (config.has("burstiness")) return config.get_real("burstiness", {1e-4, 1e4});
  const double cv = process == "gamma" ? config.get_real("cv", kCvs) : config.get_real("cv", kCvs, 1);
  return 1 / (cv * cv);
}

std::string shape_text(double shape) {
  if (shape == 1) return "Poisson";
  if (shape == std::numeric_limits<double>::infinity()) return "constant gaps";
  return fmt::format("gamma gaps of shape {:.6g}", shape);
}

ArrivalPlan read_ramp(Config& config, double shape, std::int64_t requests, std::uint64_t seed) {
  if (config.has("rate")) config.fail("rate", "ramp is given too; only one of them can be");
  Config ramp_config = config.child("ramp");
  RampSpec ramp;
  ramp.exponential = ramp_config.get_choice("strategy", {"linear", "exponential"}, "linear") == "exponential";
  ramp.from = ramp_config.get_real("from", kRates);
  ramp.to = ramp_config.get_real("to", kRates);
  if (requests == 0)
    config.fail("ramp", "a ramp goes from the first to the last request: requests must be given");
  ramp.requests = requests;
  const RenewalSpec spec{1, shape};
  return {[spec, ramp, seed] { return ramp_arrivals(spec, ramp, seed); },
          fmt::format("{}, {} ramp from {} to {} requests/s", shape_text(shape),
                      ramp.exponential ? "exponential" : "linear", ramp.from, ramp.to),
          0,
          {}};
}

ArrivalPlan read_renewal(Config& config, const std::string& process, std::int64_t requests,
                         std::uint64_t seed) {
  const double shape = read_shape(config, process);
  if (config.has("ramp")) return read_ramp(config, shape, requests, seed);
  const RenewalSpec spec{config.get_real("rate", kRates), shape};
  return {[spec, seed] { return renewal_arrivals(spec, seed); },
          fmt::format("{}, {} requests/s", shape_text(shape), spec.rate),
          0,
          {}};
}

ArrivalPlan read_profile(Config& config, std::uint64_t seed) {
  ProfileSpec spec;
  spec.rates = config.get_reals("rates", {0, kRates.max});
  spec.window_s = config.get_real("window_s", {1e-3, 1e8});
  spec.shape = read_shape(config, "rates");
  const auto highest = std::max_element(spec.rates.begin(), spec.rates.end());
  if (highest == spec.rates.end() || *highest * spec.window_s < 1e-3)
    config.fail("rates", "a rate above 0 is needed");
  return {[spec, seed] { return profile_arrivals(spec, seed); },
          fmt::format("{} through {} windows of {} s, then again, up to {} requests/s",
                      shape_text(spec.shape), spec.rates.size(), spec.window_s, *highest),
          0,
          {}};
}

ArrivalPlan read_closed_loop(Config& config) {
  const std::int64_t concurrency = config.get_int("concurrency", {1, 1'000'000});
  const double think_s = config.get_real("think_s", {0, 1e6}, 0);
  return {[] { return arrivals_at_once(); },
          fmt::format("closed loop, {} requests in flight, {} s between an answer and the next request",
                      concurrency, think_s),
          concurrency, Duration{static_cast<std::int64_t>(think_s * 1e9)}};
}

}  // namespace

ArrivalPlan read_arrivals(Config& parent, std::int64_t requests, std::uint64_t seed) {
  Config config = parent.child("arrivals");
  const std::string process = config.get_choice(
      "process", {"poisson", "gamma", "constant", "rates", "at-once", "closed-loop"}, "poisson");
  if (process == "rates") return read_profile(config, seed);
  if (process == "closed-loop") return read_closed_loop(config);
  if (process == "at-once") return {[] { return arrivals_at_once(); }, "all at once", 0, {}};
  return read_renewal(config, process, requests, seed);
}

}  // namespace kvcast
