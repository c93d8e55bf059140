/// Other samples of the same traffic, and what runs of them say of one run's numbers. A queue remembers
/// longer than the traffic that fills it: resampling the requests and simulating again needs blocks only as
/// long as the traffic's own memory, where resampling what requests saw needs them as long as the queue's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "sim/plan/bootstrap.h"
#include "sim/plan/traffic.h"

namespace kvcast {

/// How another sample of a traffic is had.
enum class Replicating : std::uint8_t {
  by_seed,      // synthetic: drawn again
  by_blocks,    // a trace: blocks of its requests, drawn with replacement
  by_outcomes,  // neither, since arrivals wait for the server: blocks of what requests saw (bootstrap.h)
};

/// A block length beyond which the gaps between arrivals and the lengths of neighbouring requests have
/// stopped to resemble each other, chosen as block_length_of() does. At least 1.
[[nodiscard]] std::size_t traffic_block_length(const std::vector<Request>& requests);

/// The first and the last request that hold a prompt segment, by their place in the traffic.
struct SegmentExtent {
  std::size_t first = 0, last = 0;
};

/// Contract: draws other samples of a traffic in memory. sample() may be called from several threads; equal
/// indices give equal samples.
class TrafficResampler {
 public:
  TrafficResampler(Traffic traffic, std::size_t block_length, std::uint64_t seed);

  /// As many requests as the traffic has, in circular blocks of it, with the gaps that they arrived after
  /// (Politis & Romano 1992). Prompt segments that only one block holds are told apart wherever that block is
  /// drawn again: a copy of a conversation is another conversation.
  [[nodiscard]] Traffic sample(std::size_t index) const;
  [[nodiscard]] std::size_t block_length() const { return block_length_; }

 private:
  Traffic traffic_;
  std::size_t block_length_;
  std::uint64_t seed_;
  std::vector<std::int64_t> gaps_ns_;
  std::map<std::uint64_t, SegmentExtent> extents_;
};

/// Where the expectation lies that `value` is one draw of, by how independent draws spread: Student's t on
/// logarithms where all are positive (latencies spread by factors), else on the values. Both ends `value`
/// where there are fewer than two others. 90 %, two-sided, like the next
[[nodiscard]] Interval interval_around(double value, const std::vector<double>& others);

/// The same for what may be of either sign: Student's t on the values.
[[nodiscard]] Interval interval_of_difference(double value, const std::vector<double>& others);

/// Two-sided p-value of "the expectation is 0", by how independent draws of the same spread.
[[nodiscard]] double p_value_of_difference(double value, const std::vector<double>& others);

/// Where the expectation lies by the mean of independent draws.
[[nodiscard]] Interval interval_of_mean(const std::vector<double>& values);

/// Probability that Student's t with so many degrees of freedom is below t. \param freedom at least 2
/// Source: Abramowitz & Stegun 26.7.4 for even numbers; odd ones are the mean of their neighbours'.
[[nodiscard]] double student_t_below(double t, std::size_t freedom);

/// The probability that the next draw is at most 1 after `factor` has multiplied it, given earlier positive
/// draws; infinite ones count as failures. (Student's t on their logarithms, Geisser 1993, predictive.)
[[nodiscard]] double probability_within(const std::vector<double>& draws, double factor);

/// The same where the others were resampled from `own`: they lie around it as it lies around the expectation,
/// so that the next draw differs from it by both errors. 0 where `own` is infinite.
[[nodiscard]] double probability_within_resampled(double own, const std::vector<double>& others,
                                                  double factor);

}  // namespace kvcast
