#include "sim/cluster/pools.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {

std::int64_t ClusterSetup::replicas_of_all_pools() const {
  std::int64_t all = replicas;
  for (const PoolSetup& pool : further_pools) all += pool.replicas;
  return all;
}

void ClusterSetup::set_path(StepPath path) {
  engine.path = path;
  for (PoolSetup& pool : further_pools) pool.engine.path = path;
}

Pools::Pools(const ClusterSetup& setup, const StepTimer& timer) {
  further_.reserve(setup.further_pools.size());
  setups_.push_back(&setup);
  timers_.push_back(&timer);
  ends_.push_back(static_cast<std::size_t>(setup.replicas));
  for (const PoolSetup& pool : setup.further_pools) {
    KVCAST_CHECK(pool.replicas >= 1 && pool.timer != nullptr);
    ClusterSetup& own = further_.emplace_back(setup);
    own.further_pools.clear();
    own.engine = pool.engine;
    own.replicas = pool.replicas;
    if (setup.disaggregation) own.scrape_interval = setup.disaggregation->scrape_interval;
    setups_.push_back(&own);
    timers_.push_back(pool.timer.get());
    ends_.push_back(ends_.back() + static_cast<std::size_t>(pool.replicas));
  }
}

std::size_t Pools::pool_of(std::size_t replica) const {
  return static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), replica) - ends_.begin());
}

RouterSetup Pools::router_setup() const {
  RouterSetup router;
  const ClusterSetup& first = *setups_.front();
  router.seed = first.seed;
  for (std::size_t p = 0; p < count(); ++p)
    router.replicas.resize(ends_[p], ReplicaFacts{setups_[p]->engine.pool, timers_[p]});
  if (first.slo.ttft_ns != SloLimits::kNoLimit) router.ttft_slo = Duration{first.slo.ttft_ns};
  return router;
}

}  // namespace kvcast
