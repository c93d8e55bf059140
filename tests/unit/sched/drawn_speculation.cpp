#include "sim/sched/drawn_speculation.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

using namespace kvcast;

BOOST_AUTO_TEST_SUITE(drawn_speculation)

BOOST_AUTO_TEST_CASE(expected_tokens_of_a_geometric_rate) {
  BOOST_TEST(expected_tokens({0.8}, 4) == (1 - std::pow(0.8, 5)) / 0.2, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(expected_tokens({0.9, 0.5}, 3) == 1 + 0.9 + 0.45 + 0.225, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(expected_tokens({0.0}, 8) == 1.0);
}

/// Each position is accepted as often as its rate says, and the same draw comes back whenever it is asked
/// for.
BOOST_AUTO_TEST_CASE(rates_by_position) {
  DrawnSpeculationSettings settings;
  settings.num_speculative_tokens = 3;
  settings.acceptance = {0.8, 0.5, 0.25};
  const auto speculation = make_drawn_speculation(settings);
  constexpr std::int64_t kDraws = 40'000;
  std::array<std::int64_t, 4> lengths{};
  for (std::int64_t i = 0; i < kDraws; ++i) {
    const auto id = static_cast<RequestId>(i % 97);
    const std::int64_t accepted = speculation->accepted(id, 7 * (i / 97), 3);
    BOOST_REQUIRE(accepted == speculation->accepted(id, 7 * (i / 97), 3));
    ++lengths[static_cast<std::size_t>(accepted)];
  }
  const double n = kDraws;
  const std::array<double, 4> expected = {0.2, 0.8 * 0.5, 0.8 * 0.5 * 0.75, 0.8 * 0.5 * 0.25};
  for (std::size_t i = 0; i < 4; ++i) {
    const double error = std::sqrt(expected[i] * (1 - expected[i]) / n);
    BOOST_TEST(std::abs(static_cast<double>(lengths[i]) / n - expected[i]) < 4 * error);
  }
}

BOOST_AUTO_TEST_CASE(lengths) {
  DrawnSpeculationSettings settings;
  settings.num_speculative_tokens = 4;
  settings.acceptance = {0.5};
  settings.disable_by_batch_size = 10;
  settings.length = DraftLength::heuristic;
  const auto speculation = make_drawn_speculation(settings);
  BOOST_TEST(speculation->asked(9, 3) == 3);
  BOOST_TEST(speculation->asked(10, 3) == 0);
  BOOST_TEST(speculation->length_after(2, 2, 2) == 4);
  BOOST_TEST(speculation->length_after(3, 3, 3) == 4);
  BOOST_TEST(speculation->length_after(2, 2, 1) == 1);
  BOOST_TEST(speculation->length_after(1, 1, 0) == 1);
}

BOOST_AUTO_TEST_SUITE_END()
