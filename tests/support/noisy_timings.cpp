#include "tests/support/noisy_timings.h"

#include <algorithm>
#include <cmath>

namespace kvcast::test {
namespace {

constexpr double kClockGhz = 1.5;

/// A draw of either sign, sized so that two of them are apart as repeatability() says.
double scatter(double time_ns, RandomStream& random) {
  const double size = repeatability(time_ns, random.uniform()) / std::sqrt(2.0);
  return random.uniform() < 0.5 ? -size : size;
}

TimingBlock block_of(std::vector<double> samples, bool keep_samples) {
  TimingBlock block;
  block.n = static_cast<std::int64_t>(samples.size());
  block.median = median(samples);
  block.deviation = robust_deviation(samples);
  if (keep_samples) block.samples = std::move(samples);
  return block;
}

/// The suite's kernels without times.
std::vector<KernelTiming> empty_run(const NoiseModel& model, const TrueSuite& suite) {
  std::vector<KernelTiming> run(suite.times_ns.size());
  for (std::size_t i = 0; i < run.size(); ++i) {
    run[i].name = "kernel " + std::to_string(i);
    run[i].sentinel = static_cast<std::int64_t>(i) >= model.kernels;
    run[i].compute_bound = i % 2 == 1;
  }
  return run;
}

/// \param share in logarithms, as drift: what all samples of the block have in common
void add_block(const NoiseModel& model, double time, double drift, double share, RandomStream& random,
               KernelTiming& kernel) {
  std::vector<double> ns;
  std::vector<double> cycles;
  for (std::int64_t n = 0; n < model.samples; ++n) {
    double log_sample = share + model.sample_scale * scatter(time, random);
    if (random.uniform() < model.outliers) log_sample += std::log(1.1 + 0.9 * random.uniform());
    const double sample = time * std::exp(log_sample);
    ns.push_back(sample * std::exp(drift));
    cycles.push_back(sample * kClockGhz);  // the drift of compute-bound kernels is the clock's
  }
  kernel.ns.push_back(block_of(std::move(ns), model.keep_samples));
  if (kernel.compute_bound) kernel.cycles.push_back(block_of(std::move(cycles), model.keep_samples));
}

}  // namespace

double repeatability(double time_ns, double fraction) {
  struct Quantiles {
    double half, ninety, ninety_nine;
  };
  const Quantiles q = time_ns < 20e3  ? Quantiles{0.009, 0.023, 0.051}
                      : time_ns < 1e6 ? Quantiles{0.005, 0.017, 0.049}
                                      : Quantiles{0.001, 0.007, 0.024};
  const auto between = [fraction](double f0, double v0, double f1, double v1) {
    return v0 + (v1 - v0) * (fraction - f0) / (f1 - f0);
  };
  if (fraction < 0.5) return between(0, 0, 0.5, q.half);
  if (fraction < 0.9) return between(0.5, q.half, 0.9, q.ninety);
  if (fraction < 0.99) return between(0.9, q.ninety, 0.99, q.ninety_nine);
  return between(0.99, q.ninety_nine, 1, 2 * q.ninety_nine);
}

TrueSuite draw_suite(const NoiseModel& model, RandomStream& random) {
  TrueSuite suite;
  for (std::int64_t i = 0; i < model.kernels; ++i)
    suite.times_ns.push_back(3e3 * std::exp(random.uniform() * std::log(5e6 / 3e3)));
  for (std::int64_t i = 0; i < model.sentinels; ++i) suite.times_ns.push_back(i % 2 == 0 ? 400e3 : 150e3);
  return suite;
}

std::vector<KernelTiming> measure(const NoiseModel& model, const TrueSuite& suite, RandomStream& random,
                                  std::int64_t slowed, double factor) {
  const double drift = model.drift * random.normal();
  std::vector<KernelTiming> run = empty_run(model, suite);
  for (std::size_t i = 0; i < run.size(); ++i) {
    const double time = suite.times_ns[i];
    const double share = model.kernel_run_share * scatter(time, random);
    const double change = static_cast<std::int64_t>(i) == slowed ? std::log(factor) : 0;
    add_block(model, time, drift, share + change, random, run[i]);
  }
  return run;
}

SideBySide measure_side_by_side(const NoiseModel& model, const TrueSuite& suite, std::int64_t blocks,
                                RandomStream& random, std::int64_t slowed, double factor) {
  SideBySide runs{empty_run(model, suite), empty_run(model, suite)};
  double drift = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    drift += model.drift * random.normal();
    for (const bool is_base : {true, false}) {
      std::vector<KernelTiming>& run = is_base ? runs.base : runs.candidate;
      for (std::size_t i = 0; i < run.size(); ++i) {
        const double time = suite.times_ns[i];
        const bool changed = !is_base && static_cast<std::int64_t>(i) == slowed;
        add_block(model, time, drift, scatter(time, random) + (changed ? std::log(factor) : 0), random,
                  run[i]);
      }
    }
  }
  return runs;
}

}  // namespace kvcast::test
