#include "sim/metrics/metrics.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "sim/base/error.h"
#include "sim/metrics/forecast.h"

using namespace kvcast;
using boost::test_tools::tolerance;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;

Instant at(std::int64_t ns) { return Instant{Duration{ns}}; }

/// Two replicas of two GPUs, a pool of 100 blocks of 16 tokens each.
DeploymentFacts facts() {
  DeploymentFacts facts;
  facts.replicas = 2;
  facts.gpus = 4;
  facts.blocks_total = 100;
  facts.block_size = 16;
  facts.hbm_bytes_per_s = 1e12;
  facts.flop_per_s = 1e15;
  return facts;
}

RunRecord ten_seconds() {
  RunRecord record;
  record.first_arrival = at(2 * kSecond);
  record.last_token = at(12 * kSecond);
  record.arrived = 50;
  record.completed = 40;
  record.good = 30;
  record.rejected_too_long = 1;
  record.rejected_never_fits = 2;
  record.unfinished = 7;
  record.input_tokens = 8000;
  record.output_tokens = 2000;
  return record;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(metrics)

BOOST_AUTO_TEST_CASE(rates_are_over_first_arrival_to_last_token) {
  const Metrics metrics = reduce(ten_seconds(), facts());
  BOOST_TEST(metrics.duration_s == 10.0);
  BOOST_TEST(metrics.request_throughput == 4.0);
  BOOST_TEST(metrics.output_throughput == 200.0);
  BOOST_TEST(metrics.total_token_throughput == 1000.0);
  BOOST_TEST(metrics.completed == 40);
  BOOST_TEST(metrics.failed == 10);
}

BOOST_AUTO_TEST_CASE(goodput_only_with_an_slo) {
  DeploymentFacts with = facts();
  BOOST_TEST(!reduce(ten_seconds(), with).has_slo);
  BOOST_TEST(reduce(ten_seconds(), with).request_goodput == 0.0);
  for (std::int64_t SloLimits::*limit : {&SloLimits::ttft_ns, &SloLimits::tpot_ns, &SloLimits::e2el_ns}) {
    with = facts();
    with.slo.*limit = 50 * kMs;
    BOOST_TEST(reduce(ten_seconds(), with).has_slo);
    BOOST_TEST(reduce(ten_seconds(), with).request_goodput == 3.0);
  }
}

BOOST_AUTO_TEST_CASE(nothing_happened) {
  const Metrics metrics = reduce(RunRecord{}, facts());
  BOOST_TEST(metrics.duration_s == 0.0);
  BOOST_TEST(metrics.request_throughput == 0.0);
  BOOST_TEST(metrics.ttft.count == 0);
  BOOST_TEST(metrics.kv_usage_mean == 0.0);
  BOOST_TEST(metrics.gpu_busy_fraction == 0.0);
  BOOST_TEST(metrics.scrapes == 0);
}

BOOST_AUTO_TEST_CASE(latencies_in_milliseconds) {
  RunRecord record = ten_seconds();
  for (std::int64_t i = 1; i <= 101; ++i) record.ttft.add(Duration{i * kMs});  // p = value - 1: 1 .. 101 ms
  const Metrics metrics = reduce(record, facts());
  BOOST_TEST(metrics.ttft.count == 101);
  BOOST_TEST(metrics.ttft.mean == 51.0);
  BOOST_TEST(metrics.ttft.median == 51.0);
  BOOST_TEST(metrics.ttft.p50 == 51.0);
  BOOST_TEST(metrics.ttft.p90 == 91.0);
  BOOST_TEST(metrics.ttft.p95 == 96.0);
  BOOST_TEST(metrics.ttft.p99 == 100.0);
  // Variance of 1..n is (n^2 - 1) / 12.
  BOOST_TEST(metrics.ttft.std == std::sqrt((101.0 * 101 - 1) / 12), tolerance(1e-14));
  BOOST_TEST(metrics.ttft.relative_error_max == 0.0);
}

BOOST_AUTO_TEST_CASE(itl_mean_is_exact_and_its_percentiles_bounded) {
  RunRecord record = ten_seconds();
  // 1,000 steps of a batch of 8 from 10 ms, each 0.5 + 2^-20 ns longer than the last: mean = first + 999/2 *
  // slope.
  const std::int64_t first = (10 * kMs) << kFineBits;
  const std::int64_t slope = (std::int64_t{1} << (kFineBits - 1)) + 1;
  record.itl.add_run(first, slope, 1000, 8);
  record.itl_sum_fine = 8 * (static_cast<Int128>(first) * 1000 + static_cast<Int128>(slope) * 999 * 500);
  const Metrics metrics = reduce(record, facts());
  const double expected_ms = 10 + 999.0 / 2 * (0.5 + 0x1p-20) / 1e6;
  BOOST_TEST(metrics.itl.count == 8000);
  BOOST_TEST(metrics.itl.mean == expected_ms, tolerance(1e-15));
  BOOST_TEST(metrics.itl.p99 == 10.0, tolerance(0.001));
  BOOST_TEST(metrics.itl.relative_error_max <= 0.001);
  BOOST_TEST(metrics.itl.relative_error_max > 0.0);
}

BOOST_AUTO_TEST_CASE(kv_use_counts_only_the_span_of_the_run) {
  RunRecord record = ten_seconds();
  record.timeline.spacing_ns = kSecond;  // scrapes at 1, 2, ... s; the run lasts from 2 to 12 s
  for (std::int64_t i = 1; i <= 14; ++i) {
    const bool inside = i >= 2 && i <= 12;
    // 200 blocks of 16 in both pools; inside: 50 used and 600 of their 800 slots full, 150 free of which 120
    // adjacent.
    record.timeline.points.push_back(inside ? TimelinePoint{3, i == 5 ? 9 : 2, 50, 600, 120}
                                            : TimelinePoint{99, 99, 200, 3200, 0});
  }
  record.blocks_used_max = 180;
  const Metrics metrics = reduce(record, facts());
  BOOST_TEST(metrics.scrapes == 11);
  BOOST_TEST(metrics.kv_usage_mean == 0.25);
  BOOST_TEST(metrics.kv_usage_peak == 0.9);
  BOOST_TEST(metrics.kv_waste_mean == 0.25);
  BOOST_TEST(metrics.kv_external_fragmentation_mean == 0.2, tolerance(1e-14));
  BOOST_TEST(metrics.max_concurrent_requests == 12);
}

BOOST_AUTO_TEST_CASE(waste_weighs_scrapes_by_what_is_in_use) {
  RunRecord record = ten_seconds();
  record.timeline.spacing_ns = 5 * kSecond;
  record.timeline.points = {{1, 0, 10, 160, 190}, {1, 0, 30, 160, 170}};
  DeploymentFacts paged = facts();
  BOOST_TEST(reduce(record, paged).kv_waste_mean == 0.5);  // 320 of 640 slots
  BOOST_TEST(reduce(record, paged).kv_external_fragmentation_mean == 0.0);
  DeploymentFacts regions = facts();  // slots counted one by one
  regions.block_size = 0;
  regions.blocks_total = 400;
  record.timeline.points = {{1, 0, 400, 100, 200}, {1, 0, 800, 400, 0}};
  const Metrics metrics = reduce(record, regions);
  BOOST_TEST(metrics.kv_waste_mean == 1 - 500.0 / 1200, tolerance(1e-14));
  BOOST_TEST(metrics.kv_external_fragmentation_mean == 0.5);  // the full pool has no free run to speak of
  BOOST_TEST(metrics.kv_usage_mean == 0.75);
}

BOOST_AUTO_TEST_CASE(gpu_fractions) {
  RunRecord record = ten_seconds();
  record.steps.steps = 100;
  record.steps.scheduled_tokens = 4200;
  record.steps.busy_fine = static_cast<Int128>(16 * kSecond) << kFineBits;  // of 2 replicas * 10 s
  record.steps.hbm_bytes = static_cast<Int128>(10e12);                      // of 20e12
  record.steps.flop = static_cast<Int128>(2e15);                            // of 20e15
  Metrics metrics = reduce(record, facts());
  BOOST_TEST(metrics.gpu_busy_fraction == 0.8);
  BOOST_TEST(metrics.gpu_hbm_fraction == 0.5);
  BOOST_TEST(metrics.gpu_flop_fraction == 0.1);
  BOOST_TEST(metrics.mean_batch_tokens == 42.0);
  DeploymentFacts unknown = facts();
  unknown.hbm_bytes_per_s = 0;
  BOOST_TEST(reduce(record, unknown).gpu_hbm_fraction == 0.0);
}

BOOST_AUTO_TEST_CASE(prefix_hit_rate_counts_tokens) {
  RunRecord record = ten_seconds();
  record.prefix_queried_tokens = 8000;
  record.prefix_hit_tokens = 2000;
  BOOST_TEST(reduce(record, facts()).prefix_hit_rate_tokens == 0.25);
}

BOOST_AUTO_TEST_CASE(slo_terms_are_judged) {
  Metrics metrics;
  metrics.completed = 3;
  metrics.ttft.p99 = 100;
  BOOST_TEST(judge_slo(metrics, "ttft", "p99", 100).met);
  BOOST_TEST(!judge_slo(metrics, "ttft", "p99", 99.999).met);
  BOOST_TEST(judge_slo(metrics, "tpot", "mean", 1).met);
  metrics.completed = 0;
  BOOST_TEST(!judge_slo(metrics, "tpot", "mean", 1).met);
  BOOST_CHECK_EXCEPTION(
      static_cast<void>(statistic_ms(metrics, "ttfd", "p99")), InputError, [](const InputError& error) {
        return std::string(error.what()) ==
               "unknown latency \"ttfd\" (known: ttft, tpot, itl, e2el, queue; did you mean ttft?)";
      });
  BOOST_CHECK_EXCEPTION(
      static_cast<void>(statistic_ms(metrics, "ttft", "p98")), InputError, [](const InputError& error) {
        return std::string(error.what()).find("known: mean, median, std, p50, p90, p95, p99") !=
               std::string::npos;
      });
}

BOOST_AUTO_TEST_SUITE_END()
