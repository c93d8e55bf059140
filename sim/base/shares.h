/// Whole numbers that sum to a total.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast {

/// A share of a total, rounded down.
[[nodiscard]] inline std::int64_t share_of(std::int64_t total, double share) {
  return static_cast<std::int64_t>(share * static_cast<double>(total));
}

/// Divides a total into whole numbers in proportion to weights, by largest remainders (the first of equal
/// ones); they sum to the total. Weights that are all 0 give everything to the last.
/// \param weights at least 0, `count` of them
/// \param shares as many; overwritten
void divide(std::int64_t total, const std::int64_t* weights, std::int64_t* shares, std::size_t count);

}  // namespace kvcast
