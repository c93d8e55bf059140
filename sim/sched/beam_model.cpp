#include "sim/sched/beam_model.h"

#include <algorithm>
#include <numeric>

#include "sim/base/error.h"

namespace kvcast {

BeamModel::BeamModel(std::uint64_t seed, RequestId id, std::int64_t beams, double fork_rate)
    : random_(seed, "beams/" + std::to_string(to_number(id))),
      fork_rate_(fork_rate),
      parents_(static_cast<std::size_t>(beams)) {
  KVCAST_CHECK(beams >= 1);
  KVCAST_CHECK(fork_rate >= 0 && fork_rate <= 1);
}

const std::vector<std::uint32_t>& BeamModel::next() {
  if (random_.uniform() >= fork_rate_) {
    std::iota(parents_.begin(), parents_.end(), 0U);
    return parents_;
  }
  const auto last = static_cast<std::int64_t>(parents_.size()) - 1;
  for (std::uint32_t& parent : parents_) parent = static_cast<std::uint32_t>(random_.integer(0, last));
  std::sort(parents_.begin(), parents_.end());
  return parents_;
}

}  // namespace kvcast
