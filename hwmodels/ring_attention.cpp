#include "hwmodels/ring_attention.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {

double ring_share(std::int64_t ranks, RingOrder order) {
  const auto c = static_cast<double>(ranks);
  return order == RingOrder::zigzag ? 1 / c : (2 * c - 1) / (c * c);
}

double ring_time(const RingShape& shape, RingOrder order) {
  KVCAST_CHECK(shape.ranks >= 1);
  if (shape.ranks == 1) return shape.compute;
  const auto c = static_cast<double>(shape.ranks);
  const double round = shape.compute / (c * c);
  if (order == RingOrder::zigzag) return round + (c - 1) * std::max(round, shape.transfer);
  return std::max(round, shape.transfer) + (c - 2) * std::max(2 * round, shape.transfer) + 2 * round;
}

double ring_kv_bytes(double bytes, std::int64_t ranks) {
  KVCAST_CHECK(ranks >= 1);
  constexpr double kHeld = 3;  // its own, the round's, the next round's
  const auto c = static_cast<double>(ranks);
  return bytes * std::min(kHeld, c) / c;
}

}  // namespace kvcast
