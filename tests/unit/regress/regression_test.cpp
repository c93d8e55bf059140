// The decision rule, one property a case; how often it errs under noise is in tests/laws/regress.cpp.
#include "sim/regress/regression.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "sim/base/error.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

namespace tt = boost::test_tools;

/// n samples around `median`, spread evenly over +-1 % in an order without trend.
TimingBlock block(double median_value, int n = 20, double spread = 0.01) {
  TimingBlock result;
  for (int i = 0; i < n; ++i) {
    const double at = n == 1 ? 0 : 2.0 * ((i * 7) % n) / (n - 1) - 1;
    result.samples.push_back(median_value * std::exp(spread * at));
  }
  result.n = n;
  result.median = median(result.samples);
  result.deviation = robust_deviation(result.samples);
  return result;
}

KernelTiming kernel(const std::string& name, double ns, int n = 20) {
  KernelTiming timing;
  timing.name = name;
  timing.ns = {block(ns, n)};
  return timing;
}

KernelTiming compute(const std::string& name, double ns, double clock_ghz) {
  KernelTiming timing = kernel(name, ns);
  timing.compute_bound = true;
  timing.cycles = {block(ns * clock_ghz)};
  return timing;
}

KernelTiming sentinel(double ns) {
  KernelTiming timing = kernel("copy", ns);
  timing.sentinel = true;
  return timing;
}

/// `count` kernels of 200 us, `factor` times as slow, and what else is given.
std::vector<KernelTiming> suite(int count, double factor, std::vector<KernelTiming> more = {}) {
  std::vector<KernelTiming> kernels = std::move(more);
  for (int i = 0; i < count; ++i) kernels.push_back(kernel("k" + std::to_string(i), 200e3 * factor));
  return kernels;
}

const KernelChange& find(const Regression& regression, const std::string& name) {
  for (const KernelChange& change : regression.kernels) {
    if (change.name == name) return change;
  }
  BOOST_FAIL("no kernel " + name);
  return regression.kernels.front();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(regression)

BOOST_AUTO_TEST_CASE(floors_by_time) {
  BOOST_TEST(noise_floor(19.9e3) == 0.05);
  BOOST_TEST(noise_floor(20e3) == 0.03);
  BOOST_TEST(noise_floor(99.9e3) == 0.03);
  BOOST_TEST(noise_floor(100e3) == 0.02);
}

BOOST_AUTO_TEST_CASE(verdicts_follow_the_interval) {
  const auto base =
      suite(0, 1, {kernel("a", 200e3), kernel("b", 200e3), kernel("c", 200e3), kernel("d", 200e3)});
  const auto next =
      suite(0, 1, {kernel("a", 209e3), kernel("b", 204e3), kernel("c", 200.4e3), kernel("d", 190e3)});
  const Regression result = compare_timings(base, next, {});
  BOOST_TEST(to_string(find(result, "a").verdict) == "slower");
  BOOST_TEST(to_string(find(result, "b").verdict) == "suspect");
  BOOST_TEST(to_string(find(result, "c").verdict) == "unchanged");
  BOOST_TEST(to_string(find(result, "d").verdict) == "faster");
  BOOST_TEST(find(result, "a").change == 0.045, tt::tolerance(1e-9));
  BOOST_TEST(find(result, "a").low < 0.045);
  BOOST_TEST(find(result, "a").low > 0.02);
  BOOST_TEST(find(result, "a").high > 0.045);
  BOOST_TEST(result.fails());
  BOOST_TEST(!compare_timings(base, base, {}).fails());
}

BOOST_AUTO_TEST_CASE(short_kernels_need_more) {
  const Regression result = compare_timings({kernel("short", 10e3), kernel("middle", 50e3)},
                                            {kernel("short", 10.4e3), kernel("middle", 52.2e3)}, {});
  BOOST_TEST(to_string(find(result, "short").verdict) == "suspect");
  BOOST_TEST(to_string(find(result, "middle").verdict) == "slower");
}

BOOST_AUTO_TEST_CASE(missing_and_new_kernels_are_listed) {
  const Regression result =
      compare_timings({kernel("a", 1e5), kernel("gone", 1e5)}, {kernel("a", 1e5), kernel("added", 1e5)}, {});
  BOOST_TEST(result.missing == std::vector<std::string>{"gone"}, tt::per_element());
  BOOST_TEST(result.added == std::vector<std::string>{"added"}, tt::per_element());
  BOOST_TEST(!result.fails());
  BOOST_CHECK_THROW((void)compare_timings({kernel("a", 1e5)}, {kernel("b", 1e5)}, {}), InputError);
}

BOOST_AUTO_TEST_CASE(a_slower_clock_is_no_regression_of_a_compute_bound_kernel) {
  const Regression result = compare_timings({compute("gemm", 1e6, 1.8), kernel("copy", 1e6)},
                                            {compute("gemm", 1.8e6 / 1.5, 1.5), kernel("copy", 1e6)}, {});
  const KernelChange& gemm = find(result, "gemm");
  BOOST_TEST(to_string(gemm.quantity) == "cycles");
  BOOST_TEST(to_string(gemm.verdict) == "unchanged");
  BOOST_TEST(gemm.new_ns / gemm.base_ns == 1.2, tt::tolerance(1e-9));
  // One side without cycles: time is what both have.
  const Regression times = compare_timings({compute("gemm", 1e6, 1.8)}, {kernel("gemm", 1.2e6)}, {});
  BOOST_TEST(to_string(find(times, "gemm").quantity) == "ns");
  BOOST_TEST(times.fails());
}

BOOST_AUTO_TEST_CASE(a_change_of_the_device_is_taken_out) {
  const Regression result = compare_timings(suite(12, 1, {sentinel(1e6), kernel("slow", 200e3)}),
                                            suite(12, 1.05, {sentinel(1.05e6), kernel("slow", 220e3)}), {});
  BOOST_TEST(to_string(result.shift[0].use) == "removed");
  BOOST_TEST(result.shift[0].sentinels == 0.05, tt::tolerance(1e-6));
  BOOST_TEST(result.count(TimingVerdict::slower) == 1);
  BOOST_TEST(find(result, "slow").change == 1.1 / 1.05 - 1, tt::tolerance(1e-6));
  BOOST_TEST(result.warnings.empty());
}

BOOST_AUTO_TEST_CASE(sentinels_far_off_are_warned_of) {
  const Regression result =
      compare_timings(suite(12, 1, {sentinel(1e6)}), suite(12, 1.1, {sentinel(1.1e6)}), {});
  BOOST_TEST(!result.fails());
  BOOST_REQUIRE(result.warnings.size() == 1U);
  BOOST_TEST(result.warnings.front().find("+10.0 %") != std::string::npos);
  const Regression within =
      compare_timings(suite(12, 1, {sentinel(1e6)}), suite(12, 1.079, {sentinel(1.079e6)}), {});
  BOOST_TEST(within.warnings.empty());
}

BOOST_AUTO_TEST_CASE(every_kernel_slower_beside_steady_sentinels_is_a_regression) {
  const Regression result =
      compare_timings(suite(12, 1, {sentinel(1e6)}), suite(12, 1.05, {sentinel(1e6)}), {});
  BOOST_TEST(to_string(result.shift[0].use) == "disputed");
  BOOST_TEST(result.count(TimingVerdict::slower) == 12);
}

BOOST_AUTO_TEST_CASE(half_of_the_kernels_slower_is_no_change_of_the_device) {
  auto base = suite(12, 1, {sentinel(1e6)});
  auto next = suite(6, 2, {sentinel(1e6)});
  for (int i = 6; i < 12; ++i) next.push_back(kernel("k" + std::to_string(i), 200e3));
  const Regression result = compare_timings(base, next, {});
  BOOST_TEST(to_string(result.shift[0].use) == "disputed");
  BOOST_TEST(result.count(TimingVerdict::slower) == 6);
  BOOST_TEST(result.count(TimingVerdict::faster) == 0);
}

BOOST_AUTO_TEST_CASE(faster_sentinels_alone_make_no_regression) {
  const Regression result =
      compare_timings(suite(12, 1, {sentinel(1e6)}), suite(12, 1, {sentinel(0.9e6)}), {});
  BOOST_TEST(!result.fails());
  BOOST_TEST(result.warnings.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_sentinel_of_the_other_kind_is_believed_only_where_kernels_agree) {
  KernelTiming gemm = compute("gemm", 1e6, 1.8);
  gemm.sentinel = true;
  // The clock fell, which memory does not feel: the kernels are judged as measured.
  KernelTiming throttled = compute("gemm", 1.2e6, 1.5);
  throttled.sentinel = true;
  const Regression clock = compare_timings(suite(12, 1, {gemm}), suite(12, 1.05, {throttled}), {});
  BOOST_TEST(to_string(clock.shift[0].use) == "none");
  BOOST_TEST(clock.count(TimingVerdict::slower) == 12);
  // All slowed down alike, the sentinel too.
  KernelTiming slowed = compute("gemm", 1.05e6, 1.8);
  slowed.sentinel = true;
  const Regression device = compare_timings(suite(12, 1, {gemm}), suite(12, 1.05, {slowed}), {});
  BOOST_TEST(to_string(device.shift[0].use) == "removed");
  BOOST_TEST(!device.fails());
}

BOOST_AUTO_TEST_CASE(without_sentinels_only_a_small_common_shift_is_taken_out) {
  const Regression small = compare_timings(suite(30, 1), suite(30, 1.025), {});
  BOOST_TEST(to_string(small.shift[0].use) == "assumed");
  BOOST_TEST(!small.fails());
  BOOST_TEST(small.warnings.size() == 1U);
  const Regression large = compare_timings(suite(30, 1), suite(30, 1.05), {});
  BOOST_TEST(to_string(large.shift[0].use) == "none");
  BOOST_TEST(large.count(TimingVerdict::slower) == 30);
}

BOOST_AUTO_TEST_CASE(across_devices_ratios_to_sentinels_count) {
  RegressionOptions options;
  options.same_device = false;
  const Regression result =
      compare_timings(suite(10, 1, {sentinel(1e6), kernel("slow", 200e3)}),
                      suite(10, 0.7, {sentinel(0.7e6), kernel("slow", 168e3)}), options);
  BOOST_TEST(to_string(result.shift[0].use) == "reference");
  BOOST_TEST(result.count(TimingVerdict::slower) == 1);
  BOOST_TEST(find(result, "slow").change == 0.2, tt::tolerance(1e-6));
  // Below the tolerance of 8 % nothing is said across devices.
  const Regression within =
      compare_timings(suite(10, 1, {sentinel(1e6)}), suite(10, 0.7 * 1.075, {sentinel(0.7e6)}), options);
  BOOST_TEST(!within.fails());
  BOOST_CHECK_THROW((void)compare_timings(suite(10, 1), suite(10, 1), options), InputError);
}

BOOST_AUTO_TEST_CASE(too_few_samples_decide_nothing) {
  const Regression result = compare_timings({kernel("a", 1e5, 6), kernel("b", 1e5, 7)},
                                            {kernel("a", 2e5, 6), kernel("b", 2e5, 7)}, {});
  BOOST_TEST(to_string(find(result, "a").verdict) == "undecided");
  BOOST_TEST(find(result, "a").remark.find("6 and 6 samples") != std::string::npos);
  BOOST_TEST(to_string(find(result, "b").verdict) == "slower");
}

BOOST_AUTO_TEST_CASE(summaries_decide_by_their_spread) {
  auto base = suite(1, 1);
  auto next = suite(1, 1.05);
  for (auto* side : {&base, &next}) side->front().ns.front().samples.clear();
  BOOST_TEST(compare_timings(base, next, {}).fails());
  next.front().ns.front().deviation = -1;
  const Regression result = compare_timings(base, next, {});
  BOOST_TEST(to_string(result.kernels.front().verdict) == "undecided");
  BOOST_TEST(!result.fails());
}

BOOST_AUTO_TEST_CASE(paired_blocks_survive_a_drift_that_hides_the_change) {
  // The device slows down by 30 % over 15 blocks; the new code is 5 % slower in each.
  KernelTiming base = kernel("a", 1e5);
  KernelTiming next = base;
  base.ns.clear();
  next.ns.clear();
  for (int i = 0; i < 15; ++i) {
    const double drift = 1 + 0.02 * ((i * 4) % 15) + 0.0001 * i;
    base.ns.push_back(block(1e5 * drift, 5));
    next.ns.push_back(block(1.05e5 * drift * (1 + 0.001 * (i % 3)), 5));
  }
  RegressionOptions options;
  options.paired = true;
  const Regression paired = compare_timings({base}, {next}, options);
  BOOST_TEST(to_string(paired.kernels.front().verdict) == "slower");
  BOOST_TEST(paired.kernels.front().blocks);
  BOOST_TEST(paired.kernels.front().n_new == 15);
  BOOST_TEST(!compare_timings({base}, {next}, {}).fails());
}

BOOST_AUTO_TEST_CASE(efficiency_is_a_gate_of_its_own) {
  KernelTiming timing = kernel("a", 1e5);
  timing.bound_ns = 0.7e5;
  Regression result = compare_timings({timing}, {timing}, {});
  KernelChange& change = result.kernels.front();
  BOOST_TEST(change.efficiency.value() == 0.7, tt::tolerance(1e-6));
  change.efficiency_min = 0.6;
  BOOST_TEST(!result.fails());
  change.efficiency_min = 0.8;
  BOOST_TEST(result.fails());
  change.efficiency.reset();  // unknown is not enough
  BOOST_TEST(result.fails());
}

BOOST_AUTO_TEST_CASE(a_second_run_must_confirm) {
  const auto base = suite(3, 1);
  auto slow = base;
  slow[0] = kernel("k0", 220e3);
  slow[1] = kernel("k1", 220e3);
  auto again = base;
  again[1] = kernel("k1", 221e3);
  const Regression result = confirmed(compare_timings(base, slow, {}), compare_timings(base, again, {}));
  BOOST_TEST(to_string(result.kernels[0].verdict) == "suspect");
  BOOST_TEST(result.kernels[0].remark.find("did not confirm") != std::string::npos);
  BOOST_TEST(to_string(result.kernels[1].verdict) == "slower");
}

BOOST_AUTO_TEST_CASE(order_and_other_kernels_change_nothing) {
  auto base = suite(12, 1, {kernel("a", 50e3)});
  auto next = suite(12, 1, {kernel("a", 51e3)});
  const KernelChange before = find(compare_timings(base, next, {}), "a");
  std::reverse(base.begin(), base.end());
  const KernelChange after = find(compare_timings(base, next, {}), "a");
  BOOST_TEST(before.low == after.low);
  BOOST_TEST(before.high == after.high);
  BOOST_TEST(before.p == after.p);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
