#include "sim/plan/replication.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

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

  /// A block of the traffic's requests [begin, end) follows.
  void begin(std::size_t begin, std::size_t end) {
    begin_ = begin;
    end_ = end;
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
    const bool inside = extent.first >= begin_ && extent.last < end_;
    if (!inside) return segment;
    const auto [found, is_new] = names_.try_emplace(segment, next_);
    if (is_new) ++next_;
    return found->second;
  }

  const Extents& extents_;
  std::uint64_t next_;
  std::size_t begin_ = 0, end_ = 0;
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

std::size_t traffic_block_length(const std::vector<Request>& requests, const Season& season) {
  const std::size_t n = requests.size();
  const std::vector<std::int64_t> gap_ns = gaps_of(requests);
  std::vector<double> gaps, inputs, outputs;
  for (std::size_t i = 0; i < n; ++i) {
    const double intensity = season.intensity_at(requests[i].arrival - requests.front().arrival);
    gaps.push_back(static_cast<double>(gap_ns[i]) * intensity);
    inputs.push_back(static_cast<double>(requests[i].input.value));
    outputs.push_back(static_cast<double>(requests[i].output.value));
  }
  return block_length_of(n, {gaps, inputs, outputs});
}

/// A sample while it is drawn.
class TrafficResampler::Drawing {
 public:
  explicit Drawing(const TrafficResampler& from)
      : from_(*from.traffic_), renaming_(from.extents_), requests_(std::make_shared<std::vector<Request>>()) {
    requests_->reserve(from_.size());
  }

  void begin_block(std::size_t begin, std::size_t end) { renaming_.begin(begin, end); }
  void add(std::size_t source, Instant at) {
    Request request = copy_of(from_[source]);
    request.id = RequestId{requests_->size()};
    request.arrival = at;
    if (request.details != nullptr) renaming_.rename(*request.details);
    requests_->push_back(std::move(request));
  }
  [[nodiscard]] std::size_t left() const { return from_.size() - requests_->size(); }
  [[nodiscard]] Traffic take() { return std::move(requests_); }

 private:
  const std::vector<Request>& from_;
  Renaming renaming_;
  std::shared_ptr<std::vector<Request>> requests_;
};

TrafficResampler::TrafficResampler(Traffic traffic, std::uint64_t seed)
    : TrafficResampler(traffic, 1, seed, season_of(*traffic)) {
  block_length_ = traffic_block_length(*traffic_, season_);
}

TrafficResampler::TrafficResampler(Traffic traffic, std::size_t block_length, std::uint64_t seed,
                                   Season season)
    : traffic_(std::move(traffic)),
      season_(std::move(season)),
      block_length_(block_length),
      seed_(seed),
      gaps_ns_(gaps_of(*traffic_)),
      extents_(extents_of(*traffic_)) {
  KVCAST_CHECK(block_length >= 1);
}

Traffic TrafficResampler::sample(std::size_t index) const {
  Drawing drawing(*this);
  RandomStream random(seed_, "plan/traffic" + std::to_string(index));
  if (!traffic_->empty()) season_.none() ? draw_circular(random, drawing) : draw_in_season(random, drawing);
  return drawing.take();
}

void TrafficResampler::draw_circular(RandomStream& random, Drawing& drawing) const {
  const std::size_t n = traffic_->size();
  Instant at = traffic_->front().arrival;
  while (drawing.left() > 0) {
    const std::size_t length = std::min(block_length_, drawing.left());
    const auto begin = static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(n) - 1));
    drawing.begin_block(begin, begin + length);
    for (std::size_t i = begin; i < begin + length; ++i) {
      if (drawing.left() < n) at += Duration{gaps_ns_[i % n]};
      drawing.add(i % n, at);
    }
  }
}

/// Time is divided into blocks that are as long as block_length_ requests take on average; each is replaced
/// by one of those that begin whole periods earlier or later.
void TrafficResampler::draw_in_season(RandomStream& random, Drawing& drawing) const {
  const std::vector<Request>& from = *traffic_;
  const Instant first = from.front().arrival;
  const std::int64_t span = (from.back().arrival - first).count(), period = season_.period.count();
  const std::int64_t usual =
      span / static_cast<std::int64_t>(from.size()) * static_cast<std::int64_t>(block_length_);
  const std::int64_t length = std::clamp<std::int64_t>(usual, 1, std::max<std::int64_t>(period / 2, 1));
  const auto at_or_after = [&](Instant time) {
    const auto found =
        std::lower_bound(from.begin(), from.end(), time,
                         [](const Request& request, Instant until) { return request.arrival < until; });
    return static_cast<std::size_t>(found - from.begin());
  };
  for (std::int64_t at = 0; drawing.left() > 0; at += length) {
    const std::int64_t into = at % period;
    const std::int64_t cycles = std::max<std::int64_t>((span - into - length) / period, 0);
    const Duration source{into + random.integer(0, cycles) * period};
    const std::size_t begin = at_or_after(first + source),
                      end = at_or_after(first + source + Duration{length});
    drawing.begin_block(begin, end);
    for (std::size_t i = begin; i < end && drawing.left() > 0; ++i)
      drawing.add(i, from[i].arrival + (Duration{at} - source));
  }
}

Resampled TrafficResampler::resampled() const {
  const auto n = static_cast<double>(traffic_->size()), length = static_cast<double>(block_length_);
  if (n <= length) return {};
  if (season_.none()) return {std::sqrt(n / (n - length)), n / length - 1};
  const Duration span = traffic_->back().arrival - traffic_->front().arrival;
  const double cycles =
      std::max(2.0, static_cast<double>(span.count()) / static_cast<double>(season_.period.count()));
  return {std::sqrt(cycles / (cycles - 1)), n / length * (1 - 1 / cycles)};
}

namespace {

/// Degrees of freedom of a deviation that is known from so many draws, each spread as one sample knows:
/// relative errors of variances add.
double freedom_of(std::size_t draws, const Resampled& resampled) {
  return std::max(3.0, 1 / (1 / static_cast<double>(draws - 1) + 1 / std::max(1.0, resampled.freedom)));
}

}  // namespace

Interval interval_around(double value, const std::vector<double>& others, const Resampled& resampled) {
  if (others.size() < 2) return {value, value};
  if (value > 0 && all_positive(others)) {
    const double t = student_t95(freedom_of(others.size(), resampled));
    const double factor = portable_exp(t * resampled.spread * moments_of(logs_of(others)).deviation);
    return {value / factor, value * factor};
  }
  return interval_of_difference(value, others, resampled);
}

Interval interval_of_difference(double value, const std::vector<double>& others, const Resampled& resampled) {
  if (others.size() < 2) return {value, value};
  const double t = student_t95(freedom_of(others.size(), resampled));
  const double half = t * resampled.spread * moments_of(others).deviation;
  return {value - half, value + half};
}

double p_value_of_difference(double value, const std::vector<double>& others, const Resampled& resampled) {
  if (value == 0 || others.size() < 3) return 1;
  const double deviation = moments_of(others).deviation * resampled.spread;
  if (!(deviation > 0)) return 0;
  return 2 * student_t_below(-std::abs(value) / deviation,
                             static_cast<std::size_t>(freedom_of(others.size(), resampled)));
}

double p_value_of_mean(const std::vector<double>& values) {
  const Moments moments = moments_of(values);
  if (moments.mean == 0 || values.size() < 3) return 1;
  if (!(moments.deviation > 0)) return 0;
  const double error = moments.deviation / std::sqrt(static_cast<double>(values.size()));
  return 2 * student_t_below(-std::abs(moments.mean) / error, values.size() - 1);
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

constexpr double kLeast = 1e-12;  // a draw of 0 has no logarithm

std::vector<double> finite_logs_of(const std::vector<double>& draws) {
  std::vector<double> logs;
  for (const double draw : draws) {
    if (std::isfinite(draw)) logs.push_back(portable_log(std::max(draw, kLeast)));
  }
  return logs;
}

/// By ranks between the draws, by Student's t beyond them. \param logs sorted, at least three, not all equal
double rank_below_zero(const std::vector<double>& logs) {
  const std::size_t n = logs.size();
  const double share = 1 / static_cast<double>(n + 1);
  const Moments moments = moments_of(logs);
  const double error = moments.deviation * std::sqrt(1 + 1 / static_cast<double>(n));
  // What t leaves below x.
  const auto tail = [&](double x) { return student_t_below((x - moments.mean) / error, n - 1); };
  const auto above = std::upper_bound(logs.begin(), logs.end(), 0.0);
  const auto below = static_cast<std::size_t>(above - logs.begin());
  if (below == 0) return share * tail(0) / tail(logs.front());
  if (below == n) return 1 - share * (1 - tail(0)) / (1 - tail(logs.back()));
  const double part = -logs[below - 1] / (logs[below] - logs[below - 1]);
  return share * (static_cast<double>(below) + part);
}

}  // namespace

double probability_within(const std::vector<double>& draws) {
  std::vector<double> logs = finite_logs_of(draws);
  if (logs.empty()) return 0;
  std::sort(logs.begin(), logs.end());
  const double share = static_cast<double>(logs.size()) / static_cast<double>(draws.size());
  if (logs.size() < 3 || logs.front() == logs.back()) return moments_of(logs).mean <= 0 ? share : 0;
  return share * rank_below_zero(logs);
}

double probability_within_resampled(double own, const std::vector<double>& others,
                                    const Resampled& resampled) {
  const std::vector<double> logs = finite_logs_of(others);
  if (!std::isfinite(own) || logs.empty()) return 0;
  const double share = static_cast<double>(logs.size()) / static_cast<double>(others.size());
  const double room = -portable_log(std::max(own, kLeast));
  const double error = moments_of(logs).deviation * resampled.spread * std::sqrt(2.0);
  if (logs.size() < 3 || !(error > 0)) return room >= 0 ? share : 0;
  return share * student_t_below(room / error, static_cast<std::size_t>(freedom_of(logs.size(), resampled)));
}

}  // namespace kvcast
