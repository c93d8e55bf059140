#include "sim/plan/replication.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

/// The blocks of one draw: where each begins, and how long it is.
struct Block {
  std::size_t begin = 0;
  std::size_t length = 0;
};

std::vector<Block> draw_blocks(std::size_t requests, std::size_t block_length, RandomStream& random) {
  std::vector<Block> blocks;
  for (std::size_t left = requests; left > 0;) {
    const std::size_t length = std::min(block_length, left);
    blocks.push_back(
        {static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(requests) - 1)), length});
    left -= length;
  }
  return blocks;
}

/// The gap before each request; before the first, the mean of the others.
std::vector<std::int64_t> gaps_of(const std::vector<Request>& requests) {
  const std::size_t n = requests.size();
  std::vector<std::int64_t> gaps(n, 0);
  for (std::size_t i = 1; i < n; ++i) gaps[i] = (requests[i].arrival - requests[i - 1].arrival).count();
  if (n > 1)
    gaps[0] = (requests.back().arrival - requests.front().arrival).count() / static_cast<std::int64_t>(n - 1);
  return gaps;
}

using Extents = std::map<std::uint64_t, SegmentExtent>;

Extents extents_of(const std::vector<Request>& requests) {
  Extents extents;
  const auto note = [&](std::uint64_t segment, std::size_t at) {
    if (segment == 0) return;
    const auto [found, is_new] = extents.try_emplace(segment, SegmentExtent{at, at});
    if (!is_new) found->second.last = at;
  };
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].details == nullptr) continue;
    for (const PromptSegment& part : requests[i].details->content) note(part.segment, i);
    note(requests[i].details->output_segment, i);
  }
  return extents;
}

/// Names of segments in a draw: those of one block alone are new in each copy of it.
class Renaming {
 public:
  explicit Renaming(const Extents& extents)
      : extents_(extents), next_(extents.empty() ? 1 : extents.rbegin()->first + 1) {}

  void begin(const Block& block) {
    block_ = block;
    names_.clear();
  }

  void rename(RequestDetails& details) {
    for (PromptSegment& part : details.content) part.segment = name_of(part.segment);
    details.output_segment = name_of(details.output_segment);
  }

 private:
  std::uint64_t name_of(std::uint64_t segment) {
    if (segment == 0) return 0;
    const SegmentExtent& extent = extents_.at(segment);
    const bool inside = extent.first >= block_.begin && extent.last < block_.begin + block_.length;
    if (!inside) return segment;
    const auto [found, is_new] = names_.try_emplace(segment, next_);
    if (is_new) ++next_;
    return found->second;
  }

  const Extents& extents_;
  std::uint64_t next_;
  Block block_;
  std::map<std::uint64_t, std::uint64_t> names_;
};

struct Moments {
  double mean = 0;
  double deviation = 0;  // of one draw
};

Moments moments_of(const std::vector<double>& values) {
  Moments moments;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) moments.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - moments.mean) * (value - moments.mean);
  if (values.size() > 1) moments.deviation = std::sqrt(squares / (n - 1));
  return moments;
}

bool all_positive(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double value) { return value > 0 && std::isfinite(value); });
}

std::vector<double> logs_of(const std::vector<double>& values) {
  std::vector<double> logs;
  for (const double value : values) logs.push_back(portable_log(value));
  return logs;
}

}  // namespace

std::size_t traffic_block_length(const std::vector<Request>& requests) {
  const std::size_t n = requests.size();
  const std::vector<std::int64_t> gap_ns = gaps_of(requests);
  std::vector<double> gaps, inputs, outputs;
  for (std::size_t i = 0; i < n; ++i) {
    gaps.push_back(static_cast<double>(gap_ns[i]));
    inputs.push_back(static_cast<double>(requests[i].input.value));
    outputs.push_back(static_cast<double>(requests[i].output.value));
  }
  return block_length_of(n, {gaps, inputs, outputs});
}

TrafficResampler::TrafficResampler(Traffic traffic, std::size_t block_length, std::uint64_t seed)
    : traffic_(std::move(traffic)),
      block_length_(block_length),
      seed_(seed),
      gaps_ns_(gaps_of(*traffic_)),
      extents_(extents_of(*traffic_)) {
  KVCAST_CHECK(block_length >= 1);
}

Traffic TrafficResampler::sample(std::size_t index) const {
  const std::vector<Request>& from = *traffic_;
  auto requests = std::make_shared<std::vector<Request>>();
  if (from.empty()) return requests;
  requests->reserve(from.size());
  RandomStream random(seed_, "plan/traffic" + std::to_string(index));
  Renaming renaming(extents_);
  Instant at = from.front().arrival;
  for (const Block& block : draw_blocks(from.size(), block_length_, random)) {
    renaming.begin(block);
    for (std::size_t i = 0; i < block.length; ++i) {
      const std::size_t source = (block.begin + i) % from.size();
      Request request = copy_of(from[source]);
      if (!requests->empty()) at += Duration{gaps_ns_[source]};
      request.id = RequestId{requests->size()};
      request.arrival = at;
      if (request.details != nullptr) renaming.rename(*request.details);
      requests->push_back(std::move(request));
    }
  }
  return requests;
}

Interval interval_around(double value, const std::vector<double>& others) {
  if (others.size() < 2) return {value, value};
  if (value > 0 && all_positive(others)) {
    const double t = student_t95(static_cast<double>(others.size() - 1));
    const double factor = portable_exp(t * moments_of(logs_of(others)).deviation);
    return {value / factor, value * factor};
  }
  return interval_of_difference(value, others);
}

Interval interval_of_difference(double value, const std::vector<double>& others) {
  if (others.size() < 2) return {value, value};
  const double half = student_t95(static_cast<double>(others.size() - 1)) * moments_of(others).deviation;
  return {value - half, value + half};
}

double p_value_of_difference(double value, const std::vector<double>& others) {
  if (value == 0 || others.size() < 3) return 1;
  const double deviation = moments_of(others).deviation;
  if (!(deviation > 0)) return 0;
  return 2 * student_t_below(-std::abs(value) / deviation, others.size() - 1);
}

Interval interval_of_mean(const std::vector<double>& values) {
  const Moments moments = moments_of(values);
  if (values.size() < 2) return {moments.mean, moments.mean};
  const auto n = static_cast<double>(values.size());
  const double half = student_t95(n - 1) * moments.deviation / std::sqrt(n);
  return {moments.mean - half, moments.mean + half};
}

double student_t_below(double t, std::size_t freedom) {
  KVCAST_CHECK(freedom >= 2);
  if (std::isinf(t)) return t > 0 ? 1 : 0;
  if (freedom % 2 == 1) {
    return (student_t_below(t, freedom - 1) + student_t_below(t, freedom + 1)) / 2;
  }
  const auto nu = static_cast<double>(freedom);
  const double sine = t / std::sqrt(nu + t * t);
  const double cosine2 = nu / (nu + t * t);
  double term = 1, sum = 1;
  for (std::size_t k = 2; k < freedom; k += 2) {
    term *= cosine2 * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  return (1 + sine * sum) / 2;
}

namespace {

/// The probability that the next draw times `factor` is at most 1, by Student's t on logarithms around
/// `middle`. \param errors how many times the variance of one draw the error of that prediction has
double predicted_within(double middle, double deviation, double errors, double factor, std::size_t draws) {
  const double room = -middle - portable_log(factor);
  if (draws < 3 || !(deviation > 0)) return room >= 0 ? 1 : 0;
  return student_t_below(room / (deviation * std::sqrt(errors)), draws - 1);
}

constexpr double kLeast = 1e-12;  // a draw of 0 has no logarithm

std::vector<double> finite_of(const std::vector<double>& draws) {
  std::vector<double> finite;
  for (const double draw : draws) {
    if (std::isfinite(draw)) finite.push_back(std::max(draw, kLeast));
  }
  return finite;
}

}  // namespace

double probability_within(const std::vector<double>& draws, double factor) {
  const std::vector<double> finite = finite_of(draws);
  if (finite.empty() || !std::isfinite(factor)) return 0;
  const auto n = static_cast<double>(finite.size());
  const Moments moments = moments_of(logs_of(finite));
  return n / static_cast<double>(draws.size()) *
         predicted_within(moments.mean, moments.deviation, 1 + 1 / n, factor, finite.size());
}

double probability_within_resampled(double own, const std::vector<double>& others, double factor) {
  const std::vector<double> finite = finite_of(others);
  if (!std::isfinite(own) || finite.empty() || !std::isfinite(factor)) return 0;
  const double share = static_cast<double>(finite.size()) / static_cast<double>(others.size());
  return share * predicted_within(portable_log(std::max(own, kLeast)), moments_of(logs_of(finite)).deviation,
                                  2, factor, finite.size());
}

}  // namespace kvcast
