// The autoscaler against Kubernetes' rules, on samples made up.
#include "sim/cluster/autoscaler.h"

#include <boost/test/unit_test.hpp>

namespace kvcast {
namespace {

constexpr Duration kSecond{1'000'000'000};

AutoscalerSetup queue_of(double target) {
  AutoscalerSetup setup;
  setup.target = target;
  setup.replicas_max = 100;
  setup.down_window = Duration{};
  return setup;
}

std::int64_t wanted(const AutoscalerSetup& setup, std::int64_t ready, std::int64_t current,
                    std::int64_t waiting) {
  Autoscaler scaler(setup);
  ScaleSample sample;
  sample.ready = ready;
  sample.current = current;
  sample.waiting = waiting;
  return scaler.look(kStart + kSecond, sample);
}

BOOST_AUTO_TEST_SUITE(autoscaler)

/// Kubernetes' documentation: twice the target doubles the replicas, half of it halves them.
BOOST_AUTO_TEST_CASE(replicas_follow_the_ratio) {
  BOOST_TEST(wanted(queue_of(10), 4, 4, 80) == 8);
  BOOST_TEST(wanted(queue_of(10), 4, 4, 20) == 2);
  BOOST_TEST(wanted(queue_of(10), 4, 4, 81) == 9);  // rounded up
  BOOST_TEST(wanted(queue_of(10), 4, 4, 0) == 1);   // the least
  BOOST_TEST(wanted(queue_of(10), 4, 4, 1'000'000) == 100);
}

BOOST_AUTO_TEST_CASE(near_the_target_nothing_changes) {
  BOOST_TEST(wanted(queue_of(10), 10, 10, 109) == 10);
  BOOST_TEST(wanted(queue_of(10), 10, 10, 111) == 12);
  BOOST_TEST(wanted(queue_of(10), 10, 10, 91) == 10);
  BOOST_TEST(wanted(queue_of(10), 10, 10, 89) == 9);
}

/// Replicas that are not ready count as idle when growing: two ready with 60 waiting ask for 6; with four
/// more on their way that is what there is.
BOOST_AUTO_TEST_CASE(replicas_on_their_way_are_not_asked_for_again) {
  BOOST_TEST(wanted(queue_of(10), 2, 2, 60) == 6);
  BOOST_TEST(wanted(queue_of(10), 2, 6, 60) == 6);
  BOOST_TEST(wanted(queue_of(10), 2, 4, 60) == 6);
  BOOST_TEST(wanted(queue_of(10), 2, 8, 60) == 8);  // the ratio would turn: nothing changes
  BOOST_TEST(wanted(queue_of(10), 0, 3, 60) == 3);  // nobody to ask
}

BOOST_AUTO_TEST_CASE(windows_delay_growing_and_shrinking) {
  AutoscalerSetup setup = queue_of(10);
  setup.up_window = 20 * kSecond;
  setup.down_window = 30 * kSecond;
  Autoscaler scaler(setup);
  std::int64_t current = 2;
  const auto look = [&](std::int64_t at_s, std::int64_t waiting) {
    ScaleSample sample;
    sample.ready = sample.current = current;
    sample.waiting = waiting;
    return current = scaler.look(kStart + at_s * kSecond, sample);
  };
  BOOST_TEST(look(10, 20) == 2);
  BOOST_TEST(look(20, 80) == 2);  // 10 s ago two were enough
  BOOST_TEST(look(30, 80) == 8);  // that is 20 s ago: out of the window
  BOOST_TEST(look(40, 20) == 8);
  BOOST_TEST(look(50, 40) == 8);
  BOOST_TEST(look(60, 20) == 4);  // the most that was asked for since 30 s
}

BOOST_AUTO_TEST_CASE(first_tokens_count_since_the_last_look) {
  AutoscalerSetup setup = queue_of(100);  // ms
  setup.metric = ScaleMetric::ttft;
  Autoscaler scaler(setup);
  ScaleSample sample;
  sample.ready = sample.current = 2;
  BOOST_TEST(scaler.look(kStart + kSecond, sample) == 2);  // nothing measured
  sample.first_tokens = 10;
  sample.ttft_sum_ns = Int128{10} * 200'000'000;
  BOOST_TEST(scaler.look(kStart + 2 * kSecond, sample) == 4);
  sample.first_tokens = 30;
  sample.ttft_sum_ns += Int128{20} * 50'000'000;
  BOOST_TEST(scaler.look(kStart + 3 * kSecond, sample) == 1);
}

/// A rate that grows evenly is forecast exactly: 10 a second more every 10 s, read 30 s ahead.
BOOST_AUTO_TEST_CASE(a_ramp_is_read_ahead) {
  AutoscalerSetup setup = queue_of(1);
  setup.metric = ScaleMetric::rate;
  setup.replicas_max = 1000;
  setup.interval = 10 * kSecond;
  setup.rate_window = 40 * kSecond;
  setup.horizon = 30 * kSecond;
  Autoscaler scaler(setup);
  ScaleSample sample;
  sample.ready = sample.current = 1;
  std::int64_t wanted = 0;
  for (std::int64_t i = 1; i <= 6; ++i) {
    sample.arrived += 100 * i;  // 10 i a second in the i-th interval: 10 i + 5 at its end
    wanted = scaler.look(kStart + i * setup.interval, sample);
  }
  BOOST_TEST(wanted == 60 + 5 + 30);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
