#include "sim/sched/beam_model.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(beam_model)

BOOST_AUTO_TEST_CASE(equal_requests_make_equal_draws) {
  BeamModel one(7, RequestId{3}, 8, 1);
  BeamModel same(7, RequestId{3}, 8, 1);
  BeamModel other(7, RequestId{4}, 8, 1);
  bool differs = false;
  for (int step = 0; step < 50; ++step) {
    const std::vector<std::uint32_t> parents = one.next();
    BOOST_TEST(parents == same.next());
    differs = differs || parents != other.next();
    BOOST_TEST(std::is_sorted(parents.begin(), parents.end()));
    BOOST_TEST(parents.back() < 8U);
  }
  BOOST_TEST(differs);
}

/// The neutral model: two of k beams have one parent with probability 1 / k in a step.
BOOST_AUTO_TEST_CASE(beams_meet_as_often_as_the_model_says) {
  constexpr int kSteps = 20000;
  for (const double rate : {1.0, 0.25}) {
    BeamModel beams(1, RequestId{1}, 5, rate);
    int same = 0;
    for (int step = 0; step < kSteps; ++step) {
      const std::vector<std::uint32_t>& parents = beams.next();
      for (std::size_t a = 0; a < 5; ++a) {
        for (std::size_t b = a + 1; b < 5; ++b) same += parents[a] == parents[b] ? 1 : 0;
      }
    }
    BOOST_TEST(static_cast<double>(same) / (10.0 * kSteps) == rate / 5, boost::test_tools::tolerance(0.03));
  }
}

BOOST_AUTO_TEST_CASE(without_forks_each_continues_itself) {
  BeamModel beams(1, RequestId{1}, 3, 0);
  BOOST_TEST(beams.next() == (std::vector<std::uint32_t>{0, 1, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
