/// The replicas of a cluster by number: which pool each is in, and what its engine is made of.
#pragma once

#include <cstddef>
#include <vector>

#include "sim/cluster/cluster.h"

namespace kvcast {

/// Contract: replicas are numbered through, those of ClusterSetup::engine first. Keeps what engines refer to;
/// the setup and the timers that it was given must outlive it.
class Pools {
 public:
  Pools(const ClusterSetup& setup, const StepTimer& timer);

  [[nodiscard]] std::size_t count() const { return setups_.size(); }
  [[nodiscard]] std::size_t replicas() const { return ends_.back(); }
  [[nodiscard]] std::size_t pool_of(std::size_t replica) const;
  /// With the pool's own engine, as if there were no other pool.
  [[nodiscard]] const ClusterSetup& setup(std::size_t pool) const { return *setups_[pool]; }
  [[nodiscard]] const StepTimer& timer(std::size_t pool) const { return *timers_[pool]; }
  [[nodiscard]] RouterSetup router_setup() const;

 private:
  std::vector<ClusterSetup> further_;
  std::vector<const ClusterSetup*> setups_;
  std::vector<const StepTimer*> timers_;
  std::vector<std::size_t> ends_;  // one past the last replica of each
};

}  // namespace kvcast
