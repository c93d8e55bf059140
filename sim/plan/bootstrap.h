/// How sure the numbers of one run are, given that its requests are one sample of the traffic: a circular
/// moving-block bootstrap over requests in order of arrival (Politis & Romano 1992). Blocks keep together
/// what a queue ties together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/plan/request_outcomes.h"

namespace kvcast {

/// The numbers of a run that are known request by request, named as in a result's JSON.
enum class Statistic : std::uint8_t {
  request_throughput,  // per second of duration, like the next two
  output_throughput,
  total_token_throughput,
  request_goodput,
  mean_ttft,
  p50_ttft,
  p90_ttft,
  p95_ttft,
  p99_ttft,
  mean_tpot,
  p50_tpot,
  p90_tpot,
  p95_tpot,
  p99_tpot,
  mean_itl,
  mean_e2el,
  p50_e2el,
  p90_e2el,
  p95_e2el,
  p99_e2el,
  mean_queue,
  p50_queue,
  p90_queue,
  p95_queue,
  p99_queue,
};
inline constexpr std::size_t kStatistics = 25;

/// Of one run or one resample; latencies in milliseconds, throughputs per second. NaN: nothing was measured.
using StatisticValues = std::vector<double>;

struct Resampling {
  std::size_t block_length = 1;  // requests
  std::size_t replicates = 1000;
  std::uint64_t seed = 1;
};

/// A block length beyond which the latencies of neighbouring requests have stopped to resemble each other:
/// twice the largest that TTFT, TPOT and E2EL ask for (the one best for a variance leaves intervals too
/// short), within [n^(1/3), n/10]. Source: Politis & White 2004, "Automatic block-length selection for the
/// dependent bootstrap", as corrected by Patton, Politis & White 2009 (circular blocks).
[[nodiscard]] std::size_t block_length_of(const std::vector<RequestOutcome>& outcomes);

/// The same rule for any series of `count` neighbours.
[[nodiscard]] std::size_t block_length_of(std::size_t count, const std::vector<std::vector<double>>& series);

/// The 95 % quantile of Student's t, from the normal one (Fisher & Cornish 1960). \param freedom at least 3
[[nodiscard]] double student_t95(double freedom);

/// How many replicates a run of so many requests can be given in about a second.
[[nodiscard]] std::size_t replicates_for(std::size_t requests);

/// The statistics of the requests as they are. Throughput is over last token - first arrival.
[[nodiscard]] StatisticValues statistics_of(const std::vector<RequestOutcome>& outcomes);

/// The statistics of each replicate. Two runs of equally many requests get equal blocks, so that their
/// replicates are pairs. A resample lasts as many times as long as its arrivals as the run does. Replicates
/// are spread out by what a sample of so few independent blocks cannot know (Student's t), so that their
/// middle 90 % are a 90 % interval. \param stream names the random stream: equal names give equal blocks
[[nodiscard]] std::vector<StatisticValues> resample(const std::vector<RequestOutcome>& outcomes,
                                                    const Resampling& resampling, std::string_view stream);

struct Interval {
  double low = 0;
  double high = 0;
};

/// The middle `share` of the values; NaNs are left out. Both NaN where nothing is left.
[[nodiscard]] Interval middle(std::vector<double> values, double share);

/// Two-sided p-value of "there is no difference": twice the smaller share of replicates on either side of
/// zero, counting one more on it, so at least 2 / (replicates + 1) and at most 1.
[[nodiscard]] double sign_p_value(const std::vector<double>& differences);

/// Which of the hypotheses to reject so that at most `rate` of the rejected are expected to be true.
/// Source: Benjamini & Hochberg 1995.
[[nodiscard]] std::vector<bool> discoveries(const std::vector<double>& p_values, double rate);

}  // namespace kvcast
