#include "sim/regress/shift.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

constexpr double kConfidence = 0.95;
constexpr double kIntervalWidths = 2 * 1.959964;  // standard errors from end to end of a normal 95 % interval
constexpr double kMedianToMean = 1.2533;          // sqrt(pi / 2): a median's standard error over a mean's

std::size_t common_blocks(const std::vector<TimingBlock>& base, const std::vector<TimingBlock>& candidate) {
  return std::min(base.size(), candidate.size());
}

bool has_samples(const std::vector<TimingBlock>& blocks) {
  return std::all_of(blocks.begin(), blocks.end(),
                     [](const TimingBlock& block) { return !block.samples.empty(); });
}

std::vector<double> block_medians(const std::vector<TimingBlock>& blocks) {
  std::vector<double> logs;
  logs.reserve(blocks.size());
  for (const TimingBlock& block : blocks) logs.push_back(portable_log(block.median));
  return logs;
}

std::vector<double> pooled_samples(const std::vector<TimingBlock>& blocks) {
  std::vector<double> logs;
  for (const TimingBlock& block : blocks) {
    for (const double sample : block.samples) logs.push_back(portable_log(sample));
  }
  return logs;
}

/// Where only summaries were kept: normal, from the spread of the samples. The middle block speaks for all.
struct Summary {
  double log_median = 0;
  double standard_error = -1;  // of log_median; negative: unknown
  std::int64_t n = 0;
};

Summary summary_of(const std::vector<TimingBlock>& blocks) {
  std::vector<double> medians;
  std::vector<double> variances;
  Summary summary;
  bool known = true;
  for (const TimingBlock& block : blocks) {
    medians.push_back(portable_log(block.median));
    summary.n += block.n;
    known = known && block.deviation > 0;
    const double relative = block.deviation / block.median;
    variances.push_back(relative * relative);
  }
  summary.log_median = median(medians);
  if (known)
    summary.standard_error = kMedianToMean * std::sqrt(median(variances) / static_cast<double>(summary.n));
  return summary;
}

TimingShift from_pairs(const std::vector<TimingBlock>& base, const std::vector<TimingBlock>& candidate,
                       MedianBootstrap& bootstrap) {
  TimingShift shift;
  shift.blocks = true;
  for (std::size_t i = 0; i < common_blocks(base, candidate); ++i)
    shift.differences.push_back(portable_log(candidate[i].median / base[i].median));
  shift.n_base = shift.n_new = static_cast<std::int64_t>(shift.differences.size());
  std::vector<double> sorted = shift.differences;
  std::sort(sorted.begin(), sorted.end());
  shift.estimate = median_of_sorted(sorted);
  shift.interval = bootstrap.median(sorted, kConfidence);
  return shift;
}

TimingShift from_samples(std::vector<double> base, std::vector<double> candidate,
                         MedianBootstrap& bootstrap) {
  TimingShift shift;
  std::sort(base.begin(), base.end());
  std::sort(candidate.begin(), candidate.end());
  shift.n_base = static_cast<std::int64_t>(base.size());
  shift.n_new = static_cast<std::int64_t>(candidate.size());
  shift.estimate = median_of_sorted(candidate) - median_of_sorted(base);
  shift.interval = bootstrap.difference(base, candidate, kConfidence);
  shift.base = std::move(base);
  shift.candidate = std::move(candidate);
  return shift;
}

TimingShift from_summaries(const std::vector<TimingBlock>& base, const std::vector<TimingBlock>& candidate) {
  const Summary a = summary_of(base);
  const Summary b = summary_of(candidate);
  TimingShift shift;
  shift.n_base = a.n;
  shift.n_new = b.n;
  shift.estimate = b.log_median - a.log_median;
  shift.interval = {shift.estimate, shift.estimate};
  if (a.standard_error < 0 || b.standard_error < 0) {
    shift.remark = "no samples and no spread (mad, q1, q3) to judge by";
    return shift;
  }
  const double half = kIntervalWidths / 2 * std::hypot(a.standard_error, b.standard_error);
  shift.interval = {shift.estimate - half, shift.estimate + half};
  return shift;
}

}  // namespace

double TimingShift::standard_error() const { return (interval.high - interval.low) / kIntervalWidths; }

double TimingShift::p(double null) const {
  if (!differences.empty()) {
    std::vector<double> moved = differences;
    for (double& difference : moved) difference -= null;
    return signed_rank_p(moved);
  }
  if (!base.empty()) {
    std::vector<double> moved = base;
    for (double& value : moved) value += null;
    return mann_whitney_p(moved, candidate);
  }
  const double error = standard_error();
  return error > 0 ? std::min(1.0, 2 * normal_upper_tail(std::abs(estimate - null) / error)) : 1.0;
}

TimingShift timing_shift(const std::vector<TimingBlock>& base, const std::vector<TimingBlock>& candidate,
                         bool paired, MedianBootstrap& bootstrap) {
  KVCAST_CHECK(!base.empty() && !candidate.empty());
  const auto blocks = static_cast<std::int64_t>(common_blocks(base, candidate));
  TimingShift shift;
  if (paired && blocks > 1) {
    shift = from_pairs(base, candidate, bootstrap);
  } else if (blocks >= kSamplesMin) {
    // Rounds of one run: their medians hold what differs from round to round, single samples do not.
    shift = from_samples(block_medians(base), block_medians(candidate), bootstrap);
    shift.blocks = true;
  } else if (has_samples(base) && has_samples(candidate)) {
    shift = from_samples(pooled_samples(base), pooled_samples(candidate), bootstrap);
  } else {
    shift = from_summaries(base, candidate);
  }
  const std::int64_t least = shift.differences.empty() ? kSamplesMin : kPairsMin;
  if (shift.remark.empty() && std::min(shift.n_base, shift.n_new) < least) {
    shift.remark = fmt::format("{} and {} {}; {} on each side is the least that can decide", shift.n_base,
                               shift.n_new, shift.blocks ? "blocks" : "samples", least);
  }
  shift.decidable = shift.remark.empty();
  return shift;
}

}  // namespace kvcast
