#include "sim/plan/replication.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "sim/base/rng.h"

namespace kvcast {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Requests whose gaps, in milliseconds, are given by `gap_ms`; the i-th has i + 1 input tokens.
Traffic traffic(std::size_t count, const std::function<std::int64_t(std::size_t)>& gap_ms) {
  auto requests = std::make_shared<std::vector<Request>>(count);
  Instant at{};
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) at += Duration{gap_ms(i) * 1'000'000};
    Request& request = (*requests)[i];
    request.id = RequestId{i};
    request.arrival = at;
    request.input = Tokens{static_cast<std::int64_t>(i) + 1};
    request.output = Tokens{7};
  }
  return requests;
}

void set_segment(Request& request, std::uint64_t segment) {
  request.details = std::make_unique<RequestDetails>();
  request.details->content.push_back({segment, request.input});
}

BOOST_AUTO_TEST_SUITE(replication)

BOOST_AUTO_TEST_CASE(a_sample_is_blocks_of_the_traffic_with_their_gaps) {
  const std::size_t count = 103;
  const Traffic own = traffic(count, [](std::size_t i) { return static_cast<std::int64_t>(i); });
  const TrafficResampler resampler(own, 10, 1);
  const Traffic sample = resampler.sample(3);
  BOOST_TEST_REQUIRE(sample->size() == count);
  for (std::size_t i = 0; i < count; ++i) {
    const Request& request = (*sample)[i];
    BOOST_TEST(static_cast<std::uint64_t>(request.id) == i);
    if (i == 0) continue;
    const auto source = static_cast<std::size_t>(request.input.value - 1);
    const std::int64_t gap_ms = (request.arrival - (*sample)[i - 1].arrival).count() / 1'000'000;
    // Before the first request of the traffic lies the mean gap.
    const std::int64_t expected = static_cast<std::int64_t>(source == 0 ? count / 2 : source);
    BOOST_TEST(gap_ms == expected);
    if (i % 10 != 0)  // inside a block: the next request of the traffic, around its end
      BOOST_TEST(source == static_cast<std::size_t>((*sample)[i - 1].input.value) % count);
  }
}

BOOST_AUTO_TEST_CASE(samples_are_told_apart_by_their_index_alone) {
  const Traffic own = traffic(200, [](std::size_t i) { return static_cast<std::int64_t>(i % 7); });
  const auto inputs = [](const Traffic& of) {
    std::vector<std::int64_t> values;
    for (const Request& request : *of) values.push_back(request.input.value);
    return values;
  };
  const TrafficResampler resampler(own, 5, 9), again(own, 5, 9), other(own, 5, 10);
  BOOST_TEST(inputs(resampler.sample(2)) == inputs(again.sample(2)));
  BOOST_TEST(inputs(resampler.sample(2)) != inputs(resampler.sample(3)));
  BOOST_TEST(inputs(resampler.sample(2)) != inputs(other.sample(2)));
}

BOOST_AUTO_TEST_CASE(a_copy_of_a_conversation_is_another_conversation) {
  // Segment 1 is in all requests, segments 10, 11, ... in one each.
  const std::size_t count = 40;
  auto requests = std::make_shared<std::vector<Request>>();
  const Traffic own = traffic(count, [](std::size_t) { return std::int64_t{1}; });
  for (const Request& request : *own) {
    requests->push_back(copy_of(request));
    set_segment(requests->back(), 10 + static_cast<std::uint64_t>(request.id));
    requests->back().details->content.push_back({1, Tokens{3}});
  }
  const Traffic sample = TrafficResampler(requests, 4, 5).sample(0);
  std::multiset<std::int64_t> drawn;
  std::set<std::uint64_t> own_segments;
  for (const Request& request : *sample) {
    drawn.insert(request.input.value);
    own_segments.insert(request.details->content[0].segment);
    BOOST_TEST(request.details->content[1].segment == 1U);  // what several blocks share stays shared
  }
  BOOST_TEST(own_segments.size() == count);  // also where a request was drawn more than once
  BOOST_TEST(std::set<std::int64_t>(drawn.begin(), drawn.end()).size() < count);
  BOOST_TEST(!own_segments.contains(1));
}

BOOST_AUTO_TEST_CASE(blocks_are_as_long_as_the_traffic_remembers) {
  RandomStream random(1, "gaps");
  const Traffic renewal = traffic(4000, [&](std::size_t) { return random.integer(1, 200); });
  const Traffic waves = traffic(
      4000, [&](std::size_t i) { return i / 150 % 2 == 0 ? random.integer(1, 40) : random.integer(1, 400); });
  const auto lengths_alike = [](const Traffic& of) {
    auto requests = std::make_shared<std::vector<Request>>();
    for (const Request& request : *of) {
      requests->push_back(copy_of(request));
      requests->back().input = Tokens{5};
    }
    return requests;
  };
  const std::size_t free = traffic_block_length(*lengths_alike(renewal));
  const std::size_t bound = traffic_block_length(*lengths_alike(waves));
  BOOST_TEST(free <= 40U);
  BOOST_TEST(bound >= 80U);
}

BOOST_AUTO_TEST_CASE(student_t_as_in_its_tables) {
  const auto tolerance = boost::test_tools::tolerance(2e-4);
  for (const std::size_t freedom : {2U, 3U, 16U, 101U}) BOOST_TEST(student_t_below(0, freedom) == 0.5);
  BOOST_TEST(student_t_below(2.920, 2) == 0.95, tolerance);
  BOOST_TEST(student_t_below(1.812, 10) == 0.95, tolerance);
  BOOST_TEST(student_t_below(1.746, 16) == 0.95, tolerance);
  BOOST_TEST(student_t_below(-2.120, 16) == 0.025, boost::test_tools::tolerance(2e-3));
  BOOST_TEST(student_t_below(1.753, 15) == 0.95, boost::test_tools::tolerance(1e-3));  // odd: a mean of two
  BOOST_TEST(student_t_below(kInfinity, 5) == 1);
  BOOST_TEST(student_t_below(-kInfinity, 5) == 0);
}

BOOST_AUTO_TEST_CASE(intervals_hold_the_expectation_of_what_spreads_by_factors) {
  RandomStream random(4, "intervals");
  int held = 0, mean_held = 0, difference_held = 0;
  constexpr int kTries = 2000;
  for (int i = 0; i < kTries; ++i) {
    std::vector<double> draws, plain;
    for (int k = 0; k < 17; ++k) {
      plain.push_back(3 + random.normal());
      draws.push_back(std::exp(2 + 0.3 * random.normal()));
    }
    const std::vector<double> others(draws.begin() + 1, draws.end());
    const std::vector<double> plain_others(plain.begin() + 1, plain.end());
    const Interval interval = interval_around(draws.front(), others);
    held += interval.low <= std::exp(2.0) && std::exp(2.0) <= interval.high ? 1 : 0;
    const Interval mean = interval_of_mean(plain);
    mean_held += mean.low <= 3 && 3 <= mean.high ? 1 : 0;
    const Interval difference = interval_of_difference(plain.front(), plain_others);
    difference_held += difference.low <= 3 && 3 <= difference.high ? 1 : 0;
  }
  for (const int count : {held, mean_held, difference_held})
    BOOST_TEST(std::abs(count / double{kTries} - 0.9) < 0.03);
}

BOOST_AUTO_TEST_CASE(intervals_of_too_few_draws_are_a_point) {
  const Interval alone = interval_around(5, {7});
  BOOST_TEST(alone.low == 5);
  BOOST_TEST(alone.high == 5);
  // Nothing positive to take logarithms of: symmetric around the value.
  const Interval mixed = interval_around(0, {-1, 0, 1, 0, 0.5});
  BOOST_TEST(mixed.low == -mixed.high);
  BOOST_TEST(mixed.high > 1);
}

BOOST_AUTO_TEST_CASE(p_values_are_uniform_where_there_is_no_difference) {
  BOOST_TEST(p_value_of_difference(0, {1, 2, 3, 4}) == 1);
  BOOST_TEST(p_value_of_difference(2, {2, 2, 2, 2}) == 0);  // always the same: no luck is in it
  RandomStream random(8, "p");
  int below = 0;
  constexpr int kTries = 2000;
  for (int i = 0; i < kTries; ++i) {
    std::vector<double> others;
    const double own = random.normal();
    for (int k = 0; k < 16; ++k) others.push_back(random.normal());
    below += p_value_of_difference(own, others) < 0.1 ? 1 : 0;
  }
  BOOST_TEST(std::abs(below / double{kTries} - 0.1) < 0.03);
}

/// How often a stated probability in [0.6, 0.9] came true, and its mean.
struct Calibration {
  double stated = 0, came_true = 0;
};

template <class State>
Calibration calibrate(const State& state) {
  RandomStream random(21, "calibration");
  double stated = 0, true_ones = 0, count = 0;
  for (int i = 0; i < 20'000; ++i) {
    // Of standard normal logarithms; all limits are equally likely, far beyond where anything is undecided.
    const double limit = 10 * (random.uniform() - 0.5);
    const double p = state(random, limit);
    const bool met = random.normal() <= limit;
    if (p < 0.6 || p > 0.9) continue;
    stated += p;
    true_ones += met ? 1 : 0;
    ++count;
  }
  return {stated / count, true_ones / count};
}

BOOST_AUTO_TEST_CASE(probabilities_come_true) {
  const Calibration drawn = calibrate([](RandomStream& random, double limit) {
    std::vector<double> draws;
    for (int k = 0; k < 17; ++k) draws.push_back(std::exp(random.normal() - limit));
    return probability_within(draws);
  });
  BOOST_TEST(std::abs(drawn.stated - drawn.came_true) < 0.03);
  const auto from_one = [](RandomStream& random, double limit, bool resampled) {
    const double own = random.normal();
    std::vector<double> draws;
    for (int k = 0; k < 16; ++k) draws.push_back(std::exp(own + random.normal() - limit));
    return resampled ? probability_within_resampled(std::exp(own - limit), draws) : probability_within(draws);
  };
  const Calibration resampled =
      calibrate([&](RandomStream& random, double limit) { return from_one(random, limit, true); });
  BOOST_TEST(std::abs(resampled.stated - resampled.came_true) < 0.05);
  // What the traffic itself may be off by is not in the resamples: who forgets it promises too much.
  const Calibration forgetful =
      calibrate([&](RandomStream& random, double limit) { return from_one(random, limit, false); });
  BOOST_TEST(forgetful.stated - forgetful.came_true > (resampled.stated - resampled.came_true) + 0.02);
}

/// Draws of a skewed distribution: their logarithms are 1 - the exponential's, or its negative.
BOOST_AUTO_TEST_CASE(probabilities_come_true_where_draws_are_skewed) {
  for (const double sign : {1.0, -1.0}) {
    RandomStream random(22, "skewed");
    double stated = 0, true_ones = 0, count = 0;
    for (int i = 0; i < 20'000; ++i) {
      const auto skewed = [&] { return sign * (random.exponential(1) - 1); };
      const double limit = 6 * (random.uniform() - 0.5);
      std::vector<double> draws;
      for (int k = 0; k < 17; ++k) draws.push_back(std::exp(skewed() - limit));
      const double p = probability_within(draws);
      const bool met = skewed() <= limit;
      if (p < 0.1 || p > 0.5) continue;
      stated += p;
      true_ones += met ? 1 : 0;
      ++count;
    }
    BOOST_TEST(std::abs(stated - true_ones) / count < 0.05);
  }
}

BOOST_AUTO_TEST_CASE(the_mean_of_independent_draws_is_known_better_than_one) {
  RandomStream random(9, "mean");
  int below = 0, found = 0;
  constexpr int kTries = 2000;
  for (int i = 0; i < kTries; ++i) {
    std::vector<double> values;
    for (int k = 0; k < 17; ++k) values.push_back(random.normal());
    below += p_value_of_mean(values) < 0.1 ? 1 : 0;
    for (double& value : values) value += 1;  // four standard errors of the mean, one of a single draw
    found += p_value_of_mean(values) < 0.1 ? 1 : 0;
  }
  BOOST_TEST(found > 0.97 * kTries);
  BOOST_TEST(std::abs(below / double{kTries} - 0.1) < 0.03);
  BOOST_TEST(p_value_of_mean({0, 0, 0, 0}) == 1);
  BOOST_TEST(p_value_of_mean({2, 2, 2, 2}) == 0);
}

BOOST_AUTO_TEST_CASE(resamples_of_few_blocks_are_spread_out) {
  const std::vector<double> others = {1, 2, 3, 4, 5, 6, 7, 8};
  const Interval plain = interval_of_difference(0, others);
  const Interval wider = interval_of_difference(0, others, {1.2, 5});
  // Seven and five degrees of freedom together are 35 / 12.
  BOOST_TEST(wider.high / plain.high == 1.2 * student_t95(3) / student_t95(7),
             boost::test_tools::tolerance(1e-9));
  BOOST_TEST(p_value_of_difference(3, others, {1.2, 5}) > p_value_of_difference(3, others));
}

BOOST_AUTO_TEST_CASE(what_failed_counts_against_it) {
  const std::vector<double> good = {0.5, 0.51, 0.49, 0.5, 0.52, 0.5, 0.49, 0.5};
  std::vector<double> half = good;
  for (std::size_t i = 0; i < good.size(); ++i) half.push_back(kInfinity);
  const std::vector<double> bad = {1.5, 1.51, 1.49, 1.5, 1.52, 1.5, 1.49, 1.5};
  BOOST_TEST(probability_within(good) > 0.999);
  BOOST_TEST(std::abs(probability_within(half) - 0.5) < 1e-3);
  BOOST_TEST(probability_within({kInfinity, kInfinity}) == 0);
  BOOST_TEST(probability_within(bad) < 1e-3);
  BOOST_TEST(probability_within_resampled(kInfinity, good) == 0);
  BOOST_TEST(std::abs(probability_within_resampled(0.5, half) - 0.5) < 1e-3);
  // Without any spread the answer is plain.
  BOOST_TEST(probability_within({0.5, 0.5, 0.5}) == 1);
  BOOST_TEST(probability_within({1.5, 1.5, 1.5}) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
