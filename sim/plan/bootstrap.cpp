#include "sim/plan/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kNsPerMs = 1e6;
constexpr double kNsPerSecond = 1e9;
constexpr double kNormal95 = 1.6448536269514722;  // the normal distribution's 95 % quantile
constexpr std::array<double, 4> kShares{0.5, 0.9, 0.95, 0.99};

/// How often each request is in a resample.
using Weights = std::vector<std::uint32_t>;

struct Latency {
  std::int64_t RequestOutcome::*value;
  Statistic mean;  // its percentiles follow
};
constexpr std::array<Latency, 4> kLatencies{{{&RequestOutcome::ttft_ns, Statistic::mean_ttft},
                                             {&RequestOutcome::tpot_ns, Statistic::mean_tpot},
                                             {&RequestOutcome::e2el_ns, Statistic::mean_e2el},
                                             {&RequestOutcome::queue_ns, Statistic::mean_queue}}};

double cube_root(double x) { return x > 0 ? portable_exp(portable_log(x) / 3) : 0; }

std::size_t index_of(Statistic statistic) { return static_cast<std::size_t>(statistic); }

/// The values of one latency in rising order, with the requests that they are of.
struct Sorted {
  std::vector<std::uint32_t> request;
  std::vector<std::int64_t> value_ns;
};

Sorted sorted(const std::vector<RequestOutcome>& outcomes, std::int64_t RequestOutcome::*value) {
  Sorted result;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].*value != RequestOutcome::kNone) result.request.push_back(static_cast<std::uint32_t>(i));
  }
  std::stable_sort(result.request.begin(), result.request.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return outcomes[a].*value < outcomes[b].*value; });
  result.value_ns.reserve(result.request.size());
  for (const std::uint32_t i : result.request) result.value_ns.push_back(outcomes[i].*value);
  return result;
}

/// Mean and percentiles (numpy's linear ones) of a weighted sample, into values[mean], values[mean + 1], ...
void summarize(const Sorted& sample, const Weights& weights, Statistic mean, StatisticValues& values) {
  std::int64_t total = 0;
  Int128 sum = 0;
  for (std::size_t i = 0; i < sample.request.size(); ++i) {
    const std::int64_t weight = weights[sample.request[i]];
    total += weight;
    sum += Int128{weight} * sample.value_ns[i];
  }
  if (total == 0) return;
  values[index_of(mean)] = static_cast<double>(sum) / static_cast<double>(total) / kNsPerMs;
  std::size_t at = 0;
  std::int64_t up_to = weights[sample.request[0]];  // weight of the values up to `at`
  const auto value_of = [&](std::int64_t rank) {
    while (up_to <= rank) up_to += weights[sample.request[++at]];
    return static_cast<double>(sample.value_ns[at]);
  };
  for (std::size_t k = 0; k < kShares.size(); ++k) {
    const double rank = kShares[k] * static_cast<double>(total - 1);
    const auto below = static_cast<std::int64_t>(rank);
    const double low = value_of(below);
    const double part = rank - static_cast<double>(below);
    double value = low;
    if (part > 0) {
      const std::size_t kept_at = at;
      const std::int64_t kept_up_to = up_to;
      value += part * (value_of(below + 1) - low);
      at = kept_at;
      up_to = kept_up_to;
    }
    values[index_of(mean) + 1 + k] = value / kNsPerMs;
  }
}

/// What is resampled: latencies in rising order, and the gaps between arrivals.
class Sample {
 public:
  explicit Sample(const std::vector<RequestOutcome>& outcomes) : outcomes_(outcomes) {
    for (const Latency& latency : kLatencies) latencies_.push_back(sorted(outcomes, latency.value));
    if (outcomes.empty()) return;
    std::int64_t latest = outcomes.front().arrival_ns, end = outcomes.front().arrival_ns;
    for (const RequestOutcome& outcome : outcomes) {
      gap_ns_.push_back(std::max<std::int64_t>(outcome.arrival_ns - latest, 0));
      latest = std::max(latest, outcome.arrival_ns);
      end = std::max(end, outcome.last_token_ns);
    }
    span_ns_ = static_cast<double>(latest - outcomes.front().arrival_ns);
    duration_ns_ = static_cast<double>(end - outcomes.front().arrival_ns);
  }

  [[nodiscard]] StatisticValues statistics(const Weights& weights) const {
    StatisticValues values(kStatistics, kNan);
    for (std::size_t k = 0; k < kLatencies.size(); ++k)
      summarize(latencies_[k], weights, kLatencies[k].mean, values);
    Int128 span = 0, input = 0, output = 0, decode = 0, gaps = 0;
    std::int64_t completed = 0, good = 0;
    for (std::size_t i = 0; i < outcomes_.size(); ++i) {
      const std::int64_t weight = weights[i];
      if (weight == 0) continue;
      const RequestOutcome& outcome = outcomes_[i];
      span += Int128{weight} * gap_ns_[i];
      if (!outcome.completed) continue;
      completed += weight;
      good += outcome.good ? weight : 0;
      input += Int128{weight} * outcome.input;
      output += Int128{weight} * outcome.output;
      decode += Int128{weight} * outcome.decode_ns;
      gaps += Int128{weight} * (outcome.output - 1);
    }
    if (gaps > 0)
      values[index_of(Statistic::mean_itl)] =
          static_cast<double>(decode) / static_cast<double>(gaps) / kNsPerMs;
    // The run lasts so many times as long as its arrivals; all at once, it lasts as long as it did.
    const double duration =
        span_ns_ > 0 ? static_cast<double>(span) * (duration_ns_ / span_ns_) : duration_ns_;
    if (!(duration > 0)) return values;
    const double seconds = duration / kNsPerSecond;
    values[index_of(Statistic::request_throughput)] = static_cast<double>(completed) / seconds;
    values[index_of(Statistic::request_goodput)] = static_cast<double>(good) / seconds;
    values[index_of(Statistic::output_throughput)] = static_cast<double>(output) / seconds;
    values[index_of(Statistic::total_token_throughput)] = static_cast<double>(input + output) / seconds;
    return values;
  }

 private:
  const std::vector<RequestOutcome>& outcomes_;
  std::vector<Sorted> latencies_;
  std::vector<std::int64_t> gap_ns_;  // between a request's arrival and the one before
  double span_ns_ = 0;                // first to last arrival
  double duration_ns_ = 0;            // first arrival to last token
};

/// Circular blocks until there are as many requests as in the run; the last one is cut.
void draw_weights(RandomStream& random, std::size_t block_length, Weights& weights) {
  const std::size_t n = weights.size();
  std::fill(weights.begin(), weights.end(), 0U);
  for (std::size_t left = n; left > 0;) {
    const std::size_t length = std::min(block_length, left);
    auto at = static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(n) - 1));
    for (std::size_t i = 0; i < length; ++i) {
      ++weights[at];
      at = at + 1 == n ? 0 : at + 1;
    }
    left -= length;
  }
}

/// The block length that one series asks for.
double length_asked_by(const std::vector<double>& series) {
  const std::size_t n = series.size();
  const double mean = std::accumulate(series.begin(), series.end(), 0.0) / static_cast<double>(n);
  const auto covariance = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t i = lag; i < n; ++i) sum += (series[i] - mean) * (series[i - lag] - mean);
    return sum / static_cast<double>(n);
  };
  const double variance = covariance(0);
  if (!(variance > 0)) return 1;
  constexpr std::size_t kLagMax = 500;
  const std::size_t lags = std::min(kLagMax, n / 4);
  const double log10_n = portable_log(static_cast<double>(n)) / portable_log(10);
  const double bound = 2 * std::sqrt(log10_n / static_cast<double>(n));
  constexpr std::size_t kQuiet = 5;  // lags in a row below the bound
  std::vector<double> covariances{variance};
  std::size_t quiet = 0;
  for (std::size_t lag = 1; lag <= lags && quiet < kQuiet; ++lag) {
    covariances.push_back(covariance(lag));
    quiet = std::abs(covariances.back()) < bound * variance ? quiet + 1 : 0;
  }
  const std::size_t m = std::max<std::size_t>(covariances.size() - 1 - quiet, 1);
  double at_zero = variance, slope = 0;
  for (std::size_t lag = 1; lag <= 2 * m; ++lag) {
    if (lag == covariances.size()) covariances.push_back(covariance(lag));
    const double x = static_cast<double>(lag) / static_cast<double>(2 * m);
    const double taper = x <= 0.5 ? 1 : 2 * (1 - x);
    at_zero += 2 * taper * covariances[lag];
    slope += 2 * taper * static_cast<double>(lag) * covariances[lag];
  }
  if (!(at_zero > 0)) return static_cast<double>(m);
  return cube_root(2 * slope * slope / (4.0 / 3 * at_zero * at_zero) * static_cast<double>(n));
}

/// How much wider replicates must spread than blocks alone make them: a sample of n / l independent blocks
/// knows its own spread no better than Student's t with one degree of freedom less says, and blocks are alike
/// within.
double spread_factor(std::size_t requests, std::size_t block_length) {
  if (requests <= block_length) return 1;
  const auto n = static_cast<double>(requests), l = static_cast<double>(block_length);
  return student_t95(std::max(3.0, n / l - 1)) / kNormal95 * std::sqrt(n / (n - l));
}

/// Moves every replicate away from the median of its statistic.
void spread(std::vector<StatisticValues>& replicates, double factor) {
  for (std::size_t k = 0; k < kStatistics; ++k) {
    std::vector<double> known;
    for (const StatisticValues& values : replicates) {
      if (!std::isnan(values[k])) known.push_back(values[k]);
    }
    if (known.empty()) continue;
    const auto half = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
    std::nth_element(known.begin(), half, known.end());
    const double median = *half;
    for (StatisticValues& values : replicates) {
      if (!std::isnan(values[k])) values[k] = std::max(0.0, median + factor * (values[k] - median));
    }
  }
}

}  // namespace

double student_t95(double freedom) {
  constexpr double z = kNormal95, z3 = z * z * z, z5 = z3 * z * z;
  return z + (z3 + z) / (4 * freedom) + (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom * freedom);
}

std::size_t block_length_of(std::size_t count, const std::vector<std::vector<double>>& series) {
  double longest = cube_root(static_cast<double>(count));
  for (const std::vector<double>& values : series) {
    if (values.size() >= 40) longest = std::max(longest, 2 * length_asked_by(values));
  }
  const auto most = std::max<double>(1, static_cast<double>(count) / 10);
  return static_cast<std::size_t>(std::max(1.0, std::ceil(std::min(longest, most))));
}

std::size_t block_length_of(const std::vector<RequestOutcome>& outcomes) {
  std::vector<std::vector<double>> series(3);
  for (std::size_t k = 0; k < series.size(); ++k) {
    for (const RequestOutcome& outcome : outcomes) {
      const std::int64_t value = outcome.*kLatencies[k].value;
      if (value != RequestOutcome::kNone) series[k].push_back(static_cast<double>(value));
    }
  }
  return block_length_of(outcomes.size(), series);
}

std::size_t replicates_for(std::size_t requests) {
  constexpr std::size_t kRequestsInAll = 20'000'000;
  return std::clamp<std::size_t>(kRequestsInAll / std::max<std::size_t>(requests, 1), 199, 999);
}

StatisticValues statistics_of(const std::vector<RequestOutcome>& outcomes) {
  return Sample(outcomes).statistics(Weights(outcomes.size(), 1));
}

std::vector<StatisticValues> resample(const std::vector<RequestOutcome>& outcomes,
                                      const Resampling& resampling, std::string_view stream) {
  KVCAST_CHECK(resampling.block_length >= 1);
  const Sample sample(outcomes);
  RandomStream random(resampling.seed, stream);
  Weights weights(outcomes.size());
  std::vector<StatisticValues> replicates;
  replicates.reserve(resampling.replicates);
  for (std::size_t r = 0; r < resampling.replicates; ++r) {
    if (!outcomes.empty()) draw_weights(random, resampling.block_length, weights);
    replicates.push_back(sample.statistics(weights));
  }
  spread(replicates, spread_factor(outcomes.size(), resampling.block_length));
  return replicates;
}

Interval middle(std::vector<double> values, double share) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return {kNan, kNan};
  std::sort(values.begin(), values.end());
  const auto at = [&](double quantile) {
    const double rank = quantile * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(rank);
    const double part = rank - static_cast<double>(below);
    return part > 0 ? values[below] + part * (values[below + 1] - values[below]) : values[below];
  };
  return {at((1 - share) / 2), at((1 + share) / 2)};
}

double sign_p_value(const std::vector<double>& differences) {
  std::size_t known = 0, below = 0, above = 0;
  for (const double difference : differences) {
    if (std::isnan(difference)) continue;
    ++known;
    if (difference <= 0) ++below;
    if (difference >= 0) ++above;
  }
  if (known == 0) return 1;
  const double side = static_cast<double>(std::min(below, above) + 1) / static_cast<double>(known + 1);
  return std::min(1.0, 2 * side);
}

std::vector<bool> discoveries(const std::vector<double>& p_values, double rate) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  const auto tests = static_cast<double>(p_values.size());
  std::size_t rejected = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (p_values[order[k]] <= rate * static_cast<double>(k + 1) / tests) rejected = k + 1;
  }
  std::vector<bool> found(p_values.size(), false);
  for (std::size_t k = 0; k < rejected; ++k) found[order[k]] = true;
  return found;
}

}  // namespace kvcast
