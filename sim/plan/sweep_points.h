/// Which points of a grid a sweep takes, and which of them a shard runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvcast {

/// `wanted` unlike numbers below `count`, each subset equally likely, in rising order (Floyd's algorithm;
/// Bentley & Floyd 1987, "A sample of brilliance"). All of them where wanted >= count.
[[nodiscard]] std::vector<std::int64_t> draw_points(std::int64_t count, std::int64_t wanted,
                                                    std::uint64_t seed);

/// The points that shard `shard` of `shards` (from 1) runs, in rising order. Points are dealt in an order
/// that is shuffled, the same everywhere: dealt as they lie, a shard might get all of the slow values of one
/// variation. The shards' sizes differ by at most one.
[[nodiscard]] std::vector<std::size_t> points_of_shard(std::size_t points, std::size_t shard,
                                                       std::size_t shards);

}  // namespace kvcast
