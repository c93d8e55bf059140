#include "sim/base/shares.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {

void divide(std::int64_t total, const std::int64_t* weights, std::int64_t* shares, std::size_t count) {
  KVCAST_CHECK(count > 0 && total >= 0);
  Int128 all = 0;
  for (std::size_t i = 0; i < count; ++i) {
    KVCAST_CHECK(weights[i] >= 0);
    all += weights[i];
  }
  if (all == 0) {
    std::fill(shares, shares + count, 0);
    shares[count - 1] = total;
    return;
  }
  std::int64_t left = total;
  std::vector<std::pair<Int128, std::size_t>> remainders;
  for (std::size_t i = 0; i < count; ++i) {
    const Int128 scaled = static_cast<Int128>(total) * weights[i];
    shares[i] = static_cast<std::int64_t>(scaled / all);
    left -= shares[i];
    if (weights[i] > 0) remainders.emplace_back(scaled % all, i);
  }
  std::stable_sort(remainders.begin(), remainders.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (std::size_t i = 0; left > 0; ++i, --left) ++shares[remainders[i].second];
}

}  // namespace kvcast
