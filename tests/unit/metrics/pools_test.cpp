#include <boost/test/unit_test.hpp>

#include "sim/metrics/forecast.h"

namespace kvcast {
namespace {

/// A second of these records: timelines have grids of 2^n ns.
constexpr std::int64_t kSecond = std::int64_t{1} << 30;

RunRecord record_of(std::int64_t blocks_peak, std::int64_t busy_s, std::vector<std::int64_t> blocks_used) {
  RunRecord record;
  record.timeline.spacing_ns = kSecond;
  for (const std::int64_t used : blocks_used) record.timeline.points.push_back({.blocks_used = used});
  record.blocks_used_max = blocks_peak;
  record.steps.busy_fine = static_cast<Int128>(busy_s) * kSecond << kFineBits;
  record.first_arrival = kStart;
  record.last_token = kStart + Duration{4 * kSecond};
  return record;
}

BOOST_AUTO_TEST_SUITE(pools)

/// A pool of one replica with 100 blocks, one of three with 20 each.
BOOST_AUTO_TEST_CASE(shares_are_weighted_by_what_pools_have) {
  const RunRecord large = record_of(50, 4, {40, 40, 40, 40});
  const RunRecord small = record_of(60, 6, {10, 20});  // idle from then on
  RunRecord total;
  total.merge(large);
  total.merge(small);
  total.set_pools({large, small});
  DeploymentFacts first{.replicas = 1, .gpus = 2, .blocks_total = 100, .block_size = 16};
  DeploymentFacts second{.replicas = 3, .gpus = 3, .blocks_total = 20, .block_size = 16};
  DeploymentFacts facts = first;
  facts.replicas = 4;
  facts.gpus = 5;
  facts.pools = {first, second};
  BOOST_TEST(facts.blocks_of_all_replicas() == 160);
  const std::vector<Metrics> pools = reduce_pools(total, facts);
  BOOST_TEST(pools[0].kv_usage_mean == 0.4, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(pools[1].kv_usage_mean == 30.0 / 60 / 4, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(pools[1].gpu_busy_fraction == 6.0 / 12, boost::test_tools::tolerance(1e-12));
  const Metrics all = reduce(total, facts);
  BOOST_TEST(all.kv_usage_mean == (4 * 40.0 + 30) / (4 * 160), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(all.kv_usage_peak == 110.0 / 160, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(all.gpu_busy_fraction == 10.0 / 16, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(a_pool_costs_its_gpus_for_the_whole_run) {
  Forecast forecast;
  forecast.metrics.duration_s = 1800;
  PoolForecast pool;
  pool.facts.gpus = 4;
  pool.price = Price{.per_gpu_hour = 2.5, .source = "test"};
  BOOST_TEST(cost_of_pool(pool, forecast).total == 5.0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
