// Periods that are there are found, at their right length; chance is taken for none.
#include "sim/plan/seasons.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "sim/base/rng.h"
#include "sim/plan/replication.h"

namespace kvcast {
namespace {

/// Arrivals whose rate, per second, is that of the moment; the i-th request has i + 1 input tokens.
template <class Rate>
Traffic arrivals(std::size_t count, RandomStream& random, const Rate& rate) {
  auto requests = std::make_shared<std::vector<Request>>(count);
  double at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Request& request = (*requests)[i];
    request.id = RequestId{i};
    request.arrival = kStart + Duration{std::llround(at * 1e9)};
    request.input = Tokens{static_cast<std::int64_t>(i) + 1};
    request.output = Tokens{1};
    at += random.exponential(1 / rate(at));
  }
  return requests;
}

double seconds(Duration duration) { return static_cast<double>(duration.count()) * 1e-9; }

double square_wave(double at) { return std::fmod(at, 60.0) < 30 ? 2 : 8; }

/// Half of its period resembles the other half.
double uneven_waves(double at) {
  constexpr double kRates[] = {1.5, 5, 2.5, 4};
  return kRates[static_cast<std::size_t>(at / 40) % 4];
}

BOOST_AUTO_TEST_SUITE(seasons)

BOOST_AUTO_TEST_CASE(periods_are_found) {
  RandomStream random(1, "seasons");
  for (int i = 0; i < 20; ++i) {
    const Season square = season_of(*arrivals(3000, random, square_wave));
    BOOST_TEST(seconds(square.period) == 60.0, boost::test_tools::tolerance(0.02));
    const Season uneven = season_of(*arrivals(4000, random, uneven_waves));
    BOOST_TEST(seconds(uneven.period) == 160.0, boost::test_tools::tolerance(0.02));
    const Season tide = season_of(
        *arrivals(4000, random, [](double at) { return 4 + 3 * std::sin(at * 6.283185307179586 / 200); }));
    BOOST_TEST(seconds(tide.period) == 200.0, boost::test_tools::tolerance(0.03));
  }
}

BOOST_AUTO_TEST_CASE(chance_is_no_season) {
  RandomStream random(2, "chance");
  int found = 0;
  constexpr int kTries = 60;
  for (int i = 0; i < kTries; ++i) {
    found += season_of(*arrivals(3000, random, [](double) { return 5.0; })).none() ? 0 : 1;
    // Regimes of random lengths, a load three times the other's.
    double until = 0, rate = 3;
    found += season_of(*arrivals(3000, random,
                                 [&](double at) {
                                   while (at > until) {
                                     until += random.exponential(30);
                                     rate = 12 - rate;
                                   }
                                   return rate;
                                 }))
                     .none()
                 ? 0
                 : 1;
  }
  BOOST_TEST(found <= 1);
  // Two waves are no evidence that there will be a third.
  BOOST_TEST(season_of(*arrivals(800, random, uneven_waves)).none());
  BOOST_TEST(season_of({}).none());
}

BOOST_AUTO_TEST_CASE(samples_keep_the_season) {
  RandomStream random(3, "keep");
  const Traffic own = arrivals(4000, random, square_wave);
  const TrafficResampler resampler(own, 1);
  BOOST_TEST(resampler.blocks().period_s == 60.0, boost::test_tools::tolerance(0.02));
  BOOST_TEST(resampler.resampled().spread > 1);
  const Traffic sample = resampler.sample(0);
  BOOST_TEST_REQUIRE(sample->size() == own->size());
  std::size_t busy = 0;
  for (std::size_t i = 0; i < sample->size(); ++i) {
    BOOST_TEST(static_cast<std::uint64_t>((*sample)[i].id) == i);
    if (i > 0) BOOST_TEST(((*sample)[i].arrival >= (*sample)[i - 1].arrival));
    const double at = seconds((*sample)[i].arrival - kStart);
    busy += std::fmod(at, 60.0) >= 30 ? 1U : 0U;
    const Request& source = (*own)[static_cast<std::size_t>((*sample)[i].input.value - 1)];
    const double moved =
        std::fmod(std::abs(at - seconds(source.arrival - kStart)), resampler.blocks().period_s);
    BOOST_TEST(std::min(moved, resampler.blocks().period_s - moved) < 1e-3);
  }
  BOOST_TEST(static_cast<double>(busy) / 4000 == 0.8, boost::test_tools::tolerance(0.06));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
