#include "sim/metrics/record.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "sim/metrics/metrics.h"

using namespace kvcast;

namespace {

std::vector<std::int64_t> running_of(const Timeline& timeline) {
  std::vector<std::int64_t> result;
  for (const TimelinePoint& point : timeline.points) result.push_back(point.running);
  return result;
}

Timeline timeline_of(std::int64_t spacing_ns, const std::vector<std::int64_t>& running) {
  Timeline timeline;
  timeline.spacing_ns = spacing_ns;
  for (const std::int64_t value : running) timeline.points.push_back({.running = value});
  return timeline;
}

RunRecord random_record(std::mt19937_64& random) {
  const auto number = [&](std::uint64_t below) { return static_cast<std::int64_t>(random() % below); };
  RunRecord record;
  const std::int64_t requests = number(200);
  for (std::int64_t i = 0; i < requests; ++i) {
    record.ttft.add(Duration{number(1'000'000'000)});
    record.tpot.add(Duration{number(50'000'000)});
    record.e2el.add(Duration{number(9'000'000'000)});
    record.queue.add(Duration{number(500'000'000)});
    record.itl.add_run(number(1ULL << 44), number(1ULL << 30), number(100), number(64));
  }
  record.itl_sum_fine = static_cast<Int128>(number(1ULL << 62)) * 1000;
  record.arrived = record.completed = requests;
  record.rejected_too_long = number(5);
  record.rejected_never_fits = number(5);
  record.unfinished = number(5);
  record.good = number(200);
  record.input_tokens = number(100000);
  record.output_tokens = number(100000);
  record.preemptions = number(10);
  record.preemptions_swapped = number(10);
  record.recomputed_tokens = number(1000);
  record.prefix_queried_tokens = number(10000) + 1;
  record.prefix_hit_tokens = number(1000);
  record.first_arrival = Instant{Duration{number(1'000'000'000)}};
  record.last_token = Instant{Duration{number(60'000'000'000)}};
  record.blocks_used_max = number(100);
  record.steps = {number(10000), number(100000), number(1ULL << 60), number(1ULL << 60), number(1ULL << 60)};
  record.timeline.spacing_ns <<= random() % 8;
  const std::int64_t points = number(1000);
  for (std::int64_t i = 0; i < points; ++i) {
    record.timeline.add({number(9), number(9), number(90), number(900), number(90)});
  }
  record.timeline.idle.largest_free_blocks = 100;
  record.stuck = number(4) == 0;
  record.stuck_request = RequestId{record.stuck ? random() % 100 : 0};
  return record;
}

void check_equal(const LatencySummary& a, const LatencySummary& b) {
  BOOST_TEST(a.count == b.count);
  BOOST_TEST(a.mean == b.mean);
  BOOST_TEST(a.std == b.std);
  BOOST_TEST(a.p50 == b.p50);
  BOOST_TEST(a.p90 == b.p90);
  BOOST_TEST(a.p99 == b.p99);
}

void check_equal(const RunRecord& a, const RunRecord& b) {
  const DeploymentFacts facts{
      .replicas = 3, .gpus = 3, .blocks_total = 100, .block_size = 16, .hbm_bytes_per_s = 1e12};
  const Metrics x = reduce(a, facts);
  const Metrics y = reduce(b, facts);
  check_equal(x.ttft, y.ttft);
  check_equal(x.tpot, y.tpot);
  check_equal(x.itl, y.itl);
  check_equal(x.e2el, y.e2el);
  check_equal(x.queue, y.queue);
  BOOST_TEST(x.failed == y.failed);
  BOOST_TEST(x.duration_s == y.duration_s);
  BOOST_TEST(x.total_token_throughput == y.total_token_throughput);
  BOOST_TEST(x.preemptions == y.preemptions);
  BOOST_TEST(x.preemptions_swapped == y.preemptions_swapped);
  BOOST_TEST(x.recomputed_tokens == y.recomputed_tokens);
  BOOST_TEST(x.prefix_hit_rate_tokens == y.prefix_hit_rate_tokens);
  BOOST_TEST(x.kv_usage_mean == y.kv_usage_mean);
  BOOST_TEST(x.kv_usage_peak == y.kv_usage_peak);
  BOOST_TEST(x.kv_waste_mean == y.kv_waste_mean);
  BOOST_TEST(x.kv_external_fragmentation_mean == y.kv_external_fragmentation_mean);
  BOOST_TEST(x.gpu_busy_fraction == y.gpu_busy_fraction);
  BOOST_TEST(x.gpu_hbm_fraction == y.gpu_hbm_fraction);
  BOOST_TEST(x.max_concurrent_requests == y.max_concurrent_requests);
  BOOST_TEST(x.stuck == y.stuck);
  BOOST_TEST(x.stuck_request == y.stuck_request);
  BOOST_TEST(a.arrived == b.arrived);
  BOOST_TEST(a.good == b.good);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(record)

BOOST_AUTO_TEST_CASE(halving_keeps_the_doubled_grid) {
  Timeline timeline = timeline_of(4, {1, 2, 3, 4, 5});  // at 4, 8, 12, 16, 20
  timeline.halve();
  BOOST_TEST(timeline.spacing_ns == 8);
  BOOST_TEST(running_of(timeline) == (std::vector<std::int64_t>{2, 4}), boost::test_tools::per_element());
  BOOST_TEST(timeline.next_scrape_ns() == 24);
}

BOOST_AUTO_TEST_CASE(the_grid_doubles_before_it_outgrows_its_limit) {
  Timeline timeline;
  const std::int64_t spacing = timeline.spacing_ns;
  for (int i = 0; i < 5000; ++i) {
    const std::int64_t next = timeline.next_scrape_ns();
    timeline.add({.running = next});
    BOOST_REQUIRE(timeline.points.size() < Timeline::kPointsMax);
    BOOST_REQUIRE(timeline.next_scrape_ns() > next);
  }
  BOOST_TEST(timeline.spacing_ns > spacing);
  for (std::size_t i = 0; i < timeline.points.size(); ++i) {  // every kept point still stands at its own time
    BOOST_REQUIRE_EQUAL(timeline.points[i].running, static_cast<std::int64_t>(i + 1) * timeline.spacing_ns);
  }
}

BOOST_AUTO_TEST_CASE(timelines_merge_at_the_coarser_spacing) {
  Timeline sum = timeline_of(1, {1, 2, 3, 4, 5, 6, 7, 8});
  sum.idle.largest_free_blocks = 10;
  Timeline other = timeline_of(4, {100, 200, 300});
  other.idle.largest_free_blocks = 7;
  sum.merge(other);
  BOOST_TEST(sum.spacing_ns == 4);
  BOOST_TEST(running_of(sum) == (std::vector<std::int64_t>{104, 208, 300}), boost::test_tools::per_element());
  BOOST_TEST(sum.points[2].largest_free_blocks == 10);  // the first one is idle there: its whole pool is free
  BOOST_TEST(sum.idle.largest_free_blocks == 17);
}

BOOST_AUTO_TEST_CASE(merging_in_any_grouping_is_equal) {
  std::mt19937_64 random(29);
  for (int round = 0; round < 20; ++round) {
    const RunRecord a = random_record(random);
    const RunRecord b = random_record(random);
    const RunRecord c = random_record(random);
    RunRecord left = a;
    left.merge(b);
    left.merge(c);
    RunRecord tail = c;
    tail.merge(b);
    RunRecord right = tail;
    right.merge(a);
    RunRecord from_empty;
    from_empty.merge(b);
    from_empty.merge(a);
    from_empty.merge(c);
    check_equal(left, right);
    check_equal(left, from_empty);
  }
}

BOOST_AUTO_TEST_SUITE_END()
