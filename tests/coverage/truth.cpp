#include "tests/coverage/truth.h"

#include <algorithm>
#include <cmath>

#include "sim/plan/parallel.h"

namespace kvcast::coverage {
namespace {

constexpr std::uint64_t kSeed = 900'000'000;  // of none that is judged

/// What a standard normal number falls below with this probability, by bisection.
double normal_quantile(double share) {
  double low = -8, high = 8;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0)) / 2 < share ? low : high) = middle;
  }
  return low;
}

/// Speeds that are equally likely where both errors are normal and independent.
std::vector<Truth> speeds_of(const PlanBench& bench, const Design& design) {
  if (!bench.experiment(design, {}).frame.calibrated) return {Truth{}};
  constexpr std::size_t kStride = 7;  // shuffles the frontend's against the steps'
  const auto quantile = [](std::size_t k) {
    return normal_quantile((static_cast<double>(k % kSpeeds) + 0.5) / static_cast<double>(kSpeeds));
  };
  std::vector<Truth> speeds(kSpeeds);
  for (std::size_t k = 0; k < kSpeeds; ++k) {
    speeds[k].step_errors = quantile(k);
    speeds[k].frontend_errors = quantile(kStride * k + 3);
  }
  return speeds;
}

class Finder {
 public:
  Finder(const Load& load, std::size_t samples, unsigned threads)
      : load_(load),
        samples_(samples),
        threads_(threads),
        bench_(bench_of(load, kSeed, {})),
        design_(design_of(bench_)) {}

  Truths find(bool with_other) {
    Truths truths;
    const Metrics first = bench_.forecast(design_, {}).metrics;
    const TimeErrors errors = time_errors(bench_.experiment(design_, {}), first);
    std::vector<std::vector<Metrics>> runs;
    truths.speeds = speeds_of(bench_, design_);
    for (Truth& truth : truths.speeds) {
      const Variant speed = at_speed(truth, errors);
      runs.push_back(run_all(design_, speed));
      truth.means = means_of(runs.back());
      if (with_other) {
        Design other = design_;
        other.settings.insert(other.settings.end(), load_.other.begin(), load_.other.end());
        truth.other_means = means_of(run_all(other, speed));
      }
    }
    const std::vector<double>& middle = truths.speeds[truths.speeds.size() / 2].means;
    for (std::size_t k = 0; k < figures().size(); ++k) {
      if (std::string(figures()[k].key) == "p99_ttft_ms") truths.limits.ttft_ms = middle[k];
      if (std::string(figures()[k].key) == "p99_tpot_ms") truths.limits.tpot_ms = middle[k];
    }
    fill_strains(runs, truths);
    return truths;
  }

 private:
  std::vector<Metrics> run_all(const Design& design, const Variant& speed) const {
    std::vector<Metrics> runs(samples_);
    for_each_parallel(samples_, threads_, [&](std::size_t i) {
      Variant variant = speed;
      variant.traffic = bench_.replication(i);
      runs[i] = bench_.forecast(design, variant).metrics;
    });
    return runs;
  }

  [[nodiscard]] static std::vector<double> means_of(const std::vector<Metrics>& runs) {
    std::vector<double> means;
    for (const Figure& figure : figures()) {
      double sum = 0;
      for (const Metrics& run : runs) sum += figure.value(run);
      means.push_back(sum / static_cast<double>(runs.size()));
    }
    return means;
  }

  static void fill_strains(const std::vector<std::vector<Metrics>>& runs, Truths& truths) {
    double sum = 0, squares = 0, count = 0;
    for (std::size_t k = 0; k < runs.size(); ++k) {
      std::vector<double>& strains = truths.speeds[k].strains;
      for (const Metrics& run : runs[k]) {
        strains.push_back(strain_of(run, truths.limits));
        const double log = std::log(strains.back());
        sum += log;
        squares += log * log;
        ++count;
      }
      std::sort(strains.begin(), strains.end());
    }
    truths.log_middle = sum / count;
    truths.log_deviation = std::sqrt(std::max(squares / count - truths.log_middle * truths.log_middle, 0.0));
  }

  const Load& load_;
  std::size_t samples_;
  unsigned threads_;
  PlanBench bench_;
  Design design_;
};

}  // namespace

Variant at_speed(const Truth& truth, const TimeErrors& errors) {
  Variant variant;
  variant.step_factor = factor_of(errors.steps, truth.step_errors);
  variant.frontend_factor = factor_of(errors.frontend, truth.frontend_errors);
  return variant;
}

double Truth::met(double limits_factor) const {
  const auto below = std::upper_bound(strains.begin(), strains.end(), limits_factor) - strains.begin();
  return static_cast<double>(below) / static_cast<double>(strains.size());
}

Truths find_truths(const Load& load, std::size_t samples, bool with_other, unsigned threads) {
  return Finder(load, samples, threads).find(with_other);
}

}  // namespace kvcast::coverage
