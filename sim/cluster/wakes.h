/// Which replicas may start a step once everything of a moment is in.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "sim/engine/fine_instant.h"

namespace kvcast {

/// Contract: a replica is in it once, with the moment of its first wake(); they start in that order.
class Wakes {
 public:
  [[nodiscard]] bool empty() const { return replicas_.empty(); }
  /// The latest moment of those inside; of no meaning while there are none.
  [[nodiscard]] FineInstant latest() const { return latest_; }

  void wake(std::size_t replica, FineInstant now) {
    if (std::find(replicas_.begin(), replicas_.end(), replica) != replicas_.end()) return;
    latest_ = empty() ? now : std::max(latest_, now);
    replicas_.push_back(replica);
    moments_.push_back(now);
  }

  void forget(std::size_t replica) {
    const auto at = std::find(replicas_.begin(), replicas_.end(), replica);
    if (at == replicas_.end()) return;
    moments_.erase(moments_.begin() + (at - replicas_.begin()));
    replicas_.erase(at);
  }

  /// Calls start(replica, moment) for each, also for those that wake meanwhile, and is empty then.
  template <class Start>
  void start_all(Start start) {
    for (std::size_t k = 0; k < replicas_.size(); ++k) start(replicas_[k], moments_[k]);
    replicas_.clear();
    moments_.clear();
  }

 private:
  std::vector<std::size_t> replicas_;
  std::vector<FineInstant> moments_;  // of each
  FineInstant latest_;
};

}  // namespace kvcast
