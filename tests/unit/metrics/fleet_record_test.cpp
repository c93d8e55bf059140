#include "sim/metrics/fleet_record.h"

#include <boost/test/unit_test.hpp>

namespace kvcast {
namespace {

Instant at(std::int64_t ns) { return kStart + Duration{ns}; }

BOOST_AUTO_TEST_SUITE(fleet_record)

BOOST_AUTO_TEST_CASE(levels_are_integrated_over_a_span) {
  FleetRecord fleet;
  fleet.levels = {{at(0), 2, 2}, {at(10), 2, 3}, {at(25), 3, 3}, {at(40), 1, 1}};
  const FleetTime all = integrate(fleet, at(0), at(50));
  BOOST_TEST((all.ready_ns == 2 * 25 + 3 * 15 + 10));
  BOOST_TEST((all.held_ns == 2 * 10 + 3 * 30 + 10));
  BOOST_TEST(all.ready_min == 1);
  BOOST_TEST(all.ready_max == 3);
  const FleetTime part = integrate(fleet, at(5), at(30));
  BOOST_TEST((part.ready_ns == 2 * 20 + 3 * 5));
  BOOST_TEST((part.held_ns == 2 * 5 + 3 * 20));
  BOOST_TEST(part.ready_min == 2);
  BOOST_TEST(part.ready_max == 3);
  BOOST_TEST((integrate(fleet, at(60), at(61)).ready_ns == 1));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
