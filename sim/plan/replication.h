/// Other samples of the same traffic, and what runs of them say of one run's numbers. A queue remembers
/// longer than the traffic that fills it: resampling the requests and simulating again needs blocks only as
/// long as the traffic's own memory, where resampling what requests saw needs them as long as the queue's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "sim/plan/bootstrap.h"
#include "sim/plan/seasons.h"
#include "sim/plan/traffic.h"

namespace kvcast {

class RandomStream;

/// How another sample of a traffic is had.
enum class Replicating : std::uint8_t {
  by_seed,      // synthetic: drawn again
  by_blocks,    // a trace: blocks of its requests, drawn with replacement
  by_outcomes,  // neither, since arrivals wait for the server: blocks of what requests saw (bootstrap.h)
};

/// A block length beyond which the gaps between arrivals and the lengths of neighbouring requests have
/// stopped to resemble each other, chosen as block_length_of() does. At least 1. \param season what gaps owe
/// to it is no memory: they count in units of the gap that is usual there
[[nodiscard]] std::size_t traffic_block_length(const std::vector<Request>& requests,
                                               const Season& season = {});

/// How resamples of one sample differ from samples that are drawn anew: a sample of few independent blocks
/// shows too little spread, and does not know its spread well.
struct Resampled {
  double spread = 1;                                         // that deviations must be multiplied by
  double freedom = std::numeric_limits<double>::infinity();  // of the one sample's own spread
};

/// The first and the last request that hold a prompt segment, by their place in the traffic.
struct SegmentExtent {
  std::size_t first = 0, last = 0;
};

/// What samples of a traffic are made of.
struct TrafficBlocks {
  std::size_t length = 0;  // requests
  double period_s = 0;     // after which the traffic repeats; 0: it does not
};

/// Contract: draws other samples of a traffic in memory. sample() may be called from several threads; equal
/// indices give equal samples.
class TrafficResampler {
 public:
  /// Finds the traffic's season, and with it the length of its blocks.
  TrafficResampler(Traffic traffic, std::uint64_t seed);
  TrafficResampler(Traffic traffic, std::size_t block_length, std::uint64_t seed, Season season = {});

  /// As many requests as the traffic has, in circular blocks of it, with the gaps that they arrived after
  /// (Politis & Romano 1992). Of traffic with a season, blocks of time that begin as far into the period as
  /// the blocks whose place they take (Dudek, Leskow, Paparoditis & Politis 2014, "A generalized block
  /// bootstrap for seasonal time series"). Prompt segments that only one block holds are told apart wherever
  /// that block is drawn again: a copy of a conversation is another conversation.
  [[nodiscard]] Traffic sample(std::size_t index) const;
  [[nodiscard]] TrafficBlocks blocks() const {
    return {block_length_, static_cast<double>(season_.period.count()) * 1e-9};
  }
  [[nodiscard]] Resampled resampled() const;

 private:
  class Drawing;

  void draw_circular(RandomStream& random, Drawing& drawing) const;
  void draw_in_season(RandomStream& random, Drawing& drawing) const;

  Traffic traffic_;
  Season season_;
  std::size_t block_length_;
  std::uint64_t seed_;
  std::vector<std::int64_t> gaps_ns_;
  std::map<std::uint64_t, SegmentExtent> extents_;
};

/// Where the expectation lies that `value` is one draw of, by how independent draws spread: Student's t on
/// logarithms where all are positive (latencies spread by factors), else on the values. Both ends `value`
/// where there are fewer than two others. 90 %, two-sided, like the next. \param resampled the others are
/// resamples of `value`'s sample
[[nodiscard]] Interval interval_around(double value, const std::vector<double>& others,
                                       const Resampled& resampled = {});

/// The same for what may be of either sign: Student's t on the values.
[[nodiscard]] Interval interval_of_difference(double value, const std::vector<double>& others,
                                              const Resampled& resampled = {});

/// Two-sided p-value of "the expectation is 0", by how independent draws of the same spread.
[[nodiscard]] double p_value_of_difference(double value, const std::vector<double>& others,
                                           const Resampled& resampled = {});

/// The same by the mean of independent draws.
[[nodiscard]] double p_value_of_mean(const std::vector<double>& values);

/// Where the expectation lies by the mean of independent draws.
[[nodiscard]] Interval interval_of_mean(const std::vector<double>& values);

/// Probability that Student's t with so many degrees of freedom is below t. \param freedom at least 2
/// Source: Abramowitz & Stegun 26.7.4 for even numbers; odd ones are the mean of their neighbours'.
[[nodiscard]] double student_t_below(double t, std::size_t freedom);

/// The probability that the next of independent draws is at most 1, given earlier positive ones; infinite
/// ones count as failures. Between two earlier draws by their ranks, which promises as much as comes true
/// whatever the distribution is; beyond all of them the share that ranks leave is divided as Student's t on
/// logarithms falls. Source: Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World"
/// (conformal prediction).
[[nodiscard]] double probability_within(const std::vector<double>& draws);

/// The same where the others were resampled from `own`: they lie around it as it lies around the expectation,
/// so that the next draw differs from it by both errors, which are alike: by Student's t on logarithms
/// (Geisser 1993), as their difference is symmetric. 0 where `own` is infinite.
[[nodiscard]] double probability_within_resampled(double own, const std::vector<double>& others,
                                                  const Resampled& resampled = {});

}  // namespace kvcast
