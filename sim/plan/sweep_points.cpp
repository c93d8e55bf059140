#include "sim/plan/sweep_points.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "sim/base/error.h"
#include "sim/base/hash.h"
#include "sim/base/rng.h"

namespace kvcast {

std::vector<std::int64_t> draw_points(std::int64_t count, std::int64_t wanted, std::uint64_t seed) {
  KVCAST_CHECK(count > 0);
  KVCAST_CHECK(wanted > 0);
  std::set<std::int64_t> drawn;
  RandomStream random(seed, "sweep/points");
  for (std::int64_t last = count - std::min(count, wanted); last < count; ++last) {
    if (!drawn.insert(random.integer(0, last)).second) drawn.insert(last);
  }
  return {drawn.begin(), drawn.end()};
}

std::vector<std::size_t> points_of_shard(std::size_t points, std::size_t shard, std::size_t shards) {
  KVCAST_CHECK(shard >= 1);
  KVCAST_CHECK(shard <= shards);
  std::vector<std::size_t> order(points);
  std::iota(order.begin(), order.end(), std::size_t{0});
  // mix64 is a bijection, so that no two points tie.
  std::sort(order.begin(), order.end(), [](std::size_t a, std::size_t b) { return mix64(a) < mix64(b); });
  std::vector<std::size_t> mine;
  for (std::size_t i = shard - 1; i < points; i += shards) mine.push_back(order[i]);
  std::sort(mine.begin(), mine.end());
  return mine;
}

}  // namespace kvcast
