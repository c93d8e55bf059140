#include "sim/engine/event_queue.h"

#include <boost/test/unit_test.hpp>
#include <map>

#include "sim/base/rng.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(event_queue)

BOOST_AUTO_TEST_CASE(equals_a_sorted_map_over_random_operations) {
  constexpr std::size_t kOwners = 23;
  RandomStream random(7, "event_queue");
  EventQueue queue(kOwners);
  std::map<std::pair<std::int64_t, std::size_t>, bool> model;  // (time, owner)
  std::map<std::size_t, std::int64_t> time_of;
  const auto forget = [&](std::size_t owner) {
    model.erase({time_of.at(owner), owner});
    time_of.erase(owner);
  };
  for (int i = 0; i < 20'000; ++i) {
    const auto owner = static_cast<std::size_t>(random.integer(0, kOwners - 1));
    if (random.uniform() < 0.6) {
      const std::int64_t time = random.integer(0, 40);  // few times: many ties
      if (time_of.count(owner) != 0) forget(owner);
      time_of[owner] = time;
      model[{time, owner}] = true;
      queue.set(owner, FineInstant{Int128{time}});
    } else if (!model.empty()) {
      const std::size_t top = queue.top();
      forget(top);
      queue.clear(top);
    }
    BOOST_REQUIRE_EQUAL(queue.empty(), model.empty());
    if (model.empty()) continue;
    BOOST_REQUIRE_EQUAL(queue.top(), model.begin()->first.second);
    BOOST_REQUIRE(queue.top_time() == FineInstant{Int128{model.begin()->first.first}});
  }
}

BOOST_AUTO_TEST_CASE(a_fine_instant_rounds_down) {
  const FineInstant whole{kStart + Duration{5}};
  BOOST_TEST((whole.floor() == kStart + Duration{5}));
  BOOST_TEST(((whole + ((Int128{1} << kFineBits) - 1)).floor() == kStart + Duration{5}));
  BOOST_TEST(((whole + (Int128{1} << kFineBits)).floor() == kStart + Duration{6}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
