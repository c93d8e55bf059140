#include "sim/plan/sweep_points.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <set>

namespace kvcast {
namespace {

BOOST_AUTO_TEST_CASE(shards_part_the_points) {
  for (const std::size_t points : {1U, 7U, 64U, 2000U}) {
    for (const std::size_t shards : {1U, 2U, 3U, 7U, 64U}) {
      std::set<std::size_t> seen;
      std::size_t smallest = points;
      std::size_t largest = 0;
      for (std::size_t shard = 1; shard <= shards; ++shard) {
        const std::vector<std::size_t> mine = points_of_shard(points, shard, shards);
        BOOST_TEST(std::is_sorted(mine.begin(), mine.end()));
        for (const std::size_t point : mine) BOOST_TEST(seen.insert(point).second);
        smallest = std::min(smallest, mine.size());
        largest = std::max(largest, mine.size());
      }
      BOOST_TEST(seen.size() == points);
      BOOST_TEST(*seen.rbegin() == points - 1);
      BOOST_TEST(largest - smallest <= 1U);
    }
  }
}

BOOST_AUTO_TEST_CASE(no_shard_gets_one_value_of_the_fastest_variation_alone) {
  // 2,000 points whose last variation has four values, in four shards: dealt as they lie, each would get one.
  for (std::size_t shard = 1; shard <= 4; ++shard) {
    std::vector<int> with_value(4);
    for (const std::size_t point : points_of_shard(2000, shard, 4)) ++with_value[point % 4];
    for (const int count : with_value) {
      BOOST_TEST(count > 75);
      BOOST_TEST(count < 175);
    }
  }
}

BOOST_AUTO_TEST_CASE(drawn_points_are_unlike_and_in_order) {
  const std::vector<std::int64_t> drawn = draw_points(std::int64_t{1} << 40, 1000, 7);
  BOOST_TEST(drawn.size() == 1000U);
  BOOST_TEST(std::is_sorted(drawn.begin(), drawn.end()));
  BOOST_TEST((std::adjacent_find(drawn.begin(), drawn.end()) == drawn.end()));
  BOOST_TEST(drawn.front() >= 0);
  BOOST_TEST(drawn.back() < (std::int64_t{1} << 40));
  BOOST_TEST(drawn == draw_points(std::int64_t{1} << 40, 1000, 7));
  BOOST_TEST(drawn != draw_points(std::int64_t{1} << 40, 1000, 8));
}

BOOST_AUTO_TEST_CASE(all_points_are_drawn_where_as_many_are_wanted) {
  const std::vector<std::int64_t> all = {0, 1, 2, 3, 4};
  BOOST_TEST(draw_points(5, 5, 1) == all);
  BOOST_TEST(draw_points(5, 100, 1) == all);
}

BOOST_AUTO_TEST_CASE(each_point_is_drawn_equally_often) {
  std::vector<int> times(10);
  for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
    for (const std::int64_t point : draw_points(10, 3, seed)) ++times[static_cast<std::size_t>(point)];
  }
  for (const int count : times) BOOST_TEST(std::abs(count - 3000) < 200);  // 4.4 standard deviations
}

}  // namespace
}  // namespace kvcast
