/// Random numbers for test data and orders: a pure function of (seed, counter), so that any number can be had
/// alone. Source: SplitMix64, Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace kvcast::bench {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }

  /// [0, 1)
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// [-1, 1): never all zeros, which are faster to compute with than other numbers.
  float value() { return static_cast<float>(2 * uniform() - 1); }
  /// [low, high]
  std::int64_t integer(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(uniform() * static_cast<double>(high - low + 1));
  }

 private:
  std::uint64_t state_;
};

/// 0 to n - 1 in random order.
inline std::vector<std::int32_t> shuffled(std::int64_t n, Random& random) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1],
              order[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(i) - 1))]);
  return order;
}

inline std::vector<float> random_floats(std::int64_t n, Random& random) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = random.value();
  return values;
}

}  // namespace kvcast::bench
