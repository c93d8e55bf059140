// Statistics and fits against numbers worked out by hand or by numpy's definitions.
#include "workloads/trace_stats.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "tests/unit/workloads/support.h"
#include "workloads/hash_table.h"
#include "workloads/trace_fit.h"

namespace kvcast {
namespace {

TraceStats stats_of(const std::string& format, const std::string& text) {
  return trace_stats(*test::trace_in_memory(format, text)());
}

/// numpy.quantile with its default, linear method.
double numpy_quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(rank);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (rank - static_cast<double>(low));
}

BOOST_AUTO_TEST_SUITE(statistics)

BOOST_AUTO_TEST_CASE(counts_have_numpys_quantiles) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    RandomStream stream(seed, "test");
    TokenCounts counts;
    std::vector<double> values;
    const std::int64_t n = stream.integer(1, 400);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t value =
          stream.integer(0, 3) == 0 ? stream.integer(1, 3'000'000) : stream.integer(1, 20);
      counts.add(value);
      values.push_back(static_cast<double>(value));
    }
    const std::vector<double> table = counts.quantiles(201);
    for (int i = 0; i <= 200; ++i) {
      const double expected = numpy_quantile(values, i / 200.0);
      BOOST_TEST(table[static_cast<std::size_t>(i)] == expected, boost::test_tools::tolerance(1e-9));
      BOOST_TEST(counts.quantile(i / 200.0) == expected, boost::test_tools::tolerance(1e-9));
    }
    const test::Moments moments(values);
    BOOST_TEST(counts.mean() == moments.mean, boost::test_tools::tolerance(1e-12));
    if (n > 1) BOOST_TEST(counts.std() == moments.std, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(static_cast<double>(counts.min()) == numpy_quantile(values, 0));
    BOOST_TEST(static_cast<double>(counts.max()) == numpy_quantile(values, 1));
    BOOST_TEST(counts.below(21) ==
               std::count_if(values.begin(), values.end(), [](double v) { return v < 21; }));
  }
}

BOOST_AUTO_TEST_CASE(gaps_have_exact_moments_and_fine_buckets) {
  GapCounts gaps;
  for (const std::int64_t gap : {0, 1, 1023, 1024, 2047, 2048, 2049, 1'000'000'007}) gaps.add(gap);
  BOOST_TEST(gaps.count() == 8);
  BOOST_TEST(gaps.mean_ns() == (0 + 1 + 1023 + 1024 + 2047 + 2048 + 2049 + 1'000'000'007) / 8.0,
             boost::test_tools::tolerance(1e-12));
  // A step at 3,000: 7 of 8 gaps lie below it, and nothing between it and the last.
  BOOST_TEST(gaps.distance([](double gap) { return gap < 3000 ? 0.0 : 1.0; }) == 0.875,
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(exponential_gaps_are_near_their_distribution) {
  RandomStream stream(5, "test");
  GapCounts gaps;
  for (int i = 0; i < 100'000; ++i) gaps.add(static_cast<std::int64_t>(stream.exponential(1e8)));
  BOOST_TEST(gaps.distance([](double gap) { return 1 - std::exp(-gap / 1e8); }) < 2.7 / std::sqrt(1e5));
  BOOST_TEST(gaps.distance([](double gap) { return 1 - std::exp(-gap / 2e8); }) > 0.2);
}

BOOST_AUTO_TEST_CASE(a_trace_is_summed_up) {
  const TraceStats stats =
      stats_of("vidur", "arrived_at,num_prefill_tokens,num_decode_tokens\n10,100,1\n11,200,2\n14,300,6\n");
  BOOST_TEST(stats.requests == 3);
  BOOST_TEST(stats.duration_ns == 4'000'000'000);
  BOOST_TEST(stats.rate() == 0.5);
  BOOST_TEST(stats.gaps.cv() == 0.5, boost::test_tools::tolerance(1e-12));  // gaps 1 and 3
  BOOST_TEST(stats.input.sum() == 600);
  BOOST_TEST(stats.output.mean() == 3.0);
  BOOST_TEST(stats.context.max() == 306);
  BOOST_TEST((stats.profile.arrivals == std::vector<std::int64_t>{1, 1, 0, 0, 1}));
  BOOST_TEST(stats.sessions == 0);
}

BOOST_AUTO_TEST_CASE(an_empty_trace_has_zeros) {
  const TraceStats stats = stats_of("vidur", "arrived_at,num_prefill_tokens,num_decode_tokens\n");
  BOOST_TEST(stats.requests == 0);
  BOOST_TEST(stats.rate() == 0.0);
  std::ostringstream out;
  write_stats(stats, "nothing", out);
  BOOST_TEST(out.str().starts_with("nothing\n  requests"));
}

BOOST_AUTO_TEST_CASE(rate_profiles_merge_their_windows) {
  RateProfile profile;
  for (std::int64_t s = 0; s < 2000; ++s) profile.add(Instant{Duration{s * 1'000'000'000}});
  BOOST_TEST(profile.window_ns == 4'000'000'000);
  BOOST_TEST(profile.arrivals.size() == 500U);
  for (const std::int64_t count : profile.arrivals) BOOST_REQUIRE(count == 4);
}

BOOST_AUTO_TEST_CASE(shared_prefixes_are_what_an_infinite_cache_would_hit) {
  const auto line = [](const std::string& id, const std::string& input, const std::string& more = "") {
    return "{\"id\": \"" + id + "\", \"arrival_us\": 0, \"output_tokens\": 7, \"input\": " + input + more +
           "}\n";
  };
  const TraceStats stats =
      stats_of("kvcast", line("a", "[[\"s\", 100], [\"x\", 20]]") +      // new
                             line("b", "[[\"s\", 100], [\"x\", 30]]") +  // 120
                             line("c", "[[\"s\", 60], [\"x\", 20]]") +   // 60: x stands elsewhere
                             line("d", "[[\"x\", 20], [\"s\", 100]]") +  // 0
                             line("e", "[[\"s\", 100], [\"x\", 20]]", ", \"tenant\": \"t\"") +  // 0
                             line("f", "[[\"s\", 100], [\"x\", 20], [\"out:a\", 7], [\"y\", 3]]",
                                  ", \"session\": \"1\""));  // 127
  BOOST_TEST(stats.shared_tokens == 120 + 60 + 127);
  BOOST_TEST(stats.content_tokens == stats.input.sum());
  BOOST_TEST(stats.tenants == 1);
  BOOST_TEST(stats.sessions == 1);
  BOOST_TEST(stats.requests_with_content == 6);
}

BOOST_AUTO_TEST_CASE(hash_tables_hold_every_key) {
  HashTable table;
  RandomStream stream(3, "test");
  std::vector<std::uint64_t> keys = {0};
  for (int i = 0; i < 10'000; ++i) keys.push_back(stream());
  for (std::size_t i = 0; i < keys.size(); ++i) table[keys[i]] = static_cast<std::int32_t>(i + 1);
  for (std::size_t i = 0; i < keys.size(); ++i)
    BOOST_REQUIRE(table[keys[i]] == static_cast<std::int32_t>(i + 1));
  BOOST_TEST(table[12345] == 0);
}

BOOST_AUTO_TEST_CASE(a_fit_finds_what_was_drawn) {
  const WorkloadSetup truth = test::workload(
      "synthetic: {requests: 100000, arrivals: {process: gamma, rate: 7, cv: 2}, input: {uniform: [100, "
      "2000]}, output: {given_input: "
      "[{quantiles: [10, 20]}, {quantiles: [200, 400]}]}}",
      3);
  const WorkloadFit fit = fit_workload(truth, {});
  BOOST_TEST(fit.requests == 100'000);
  BOOST_TEST(fit.rate == 7, boost::test_tools::tolerance(4.5 * 2 / std::sqrt(1e5)));
  BOOST_TEST(fit.cv == 2, boost::test_tools::tolerance(0.05));
  BOOST_TEST(fit.distance_gaps < 0.01);
  BOOST_TEST(fit.distance_poisson > 0.1);
  BOOST_TEST(fit.distance_input < 0.006);
  BOOST_TEST(fit.distance_output <
             0.03);  // whole numbers 10 to 20: a table in steps of 1/40 of a band cannot do better
  BOOST_TEST(fit.outputs.size() == 20U);
  BOOST_TEST(fit.outputs[0].steps.back() == 20);
  BOOST_TEST(fit.outputs[19].steps.front() == 200);
}

BOOST_AUTO_TEST_CASE(a_fit_reads_back_as_a_workload) {
  const WorkloadSetup truth = test::workload(
      "synthetic: {requests: 20000, arrivals: {process: rates, rates: [2, 20], window_s: 100}, input: "
      "{lognormal: {mean: 900, cv: 1}}, "
      "output: {lognormal: {mean: 200, cv: 0.7}}}",
      3);
  FitOptions options;
  options.profile_window_s = 100;
  for (const double window : {0.0, 100.0}) {
    options.profile_window_s = window;
    const WorkloadFit fit = fit_workload(truth, options);
    std::ostringstream yaml;
    write_fit(fit, truth, yaml);
    Config root = Config::from_text(yaml.str(), "fit.yaml");
    Config section = root.child("workload");
    const WorkloadSetup model = make_workload(section, 8, "");
    root.finish();
    const TraceStats before = trace_stats(*truth.make_source());
    const TraceStats after = trace_stats(*model.make_source());
    BOOST_TEST(after.requests == before.requests);
    const auto near = [](const TokenCounts& a, const TokenCounts& b) {
      const double error = std::hypot(a.std(), b.std()) / std::sqrt(static_cast<double>(a.count()));
      return std::fabs(a.mean() - b.mean()) < 5 * error;
    };
    BOOST_TEST(near(before.input, after.input));
    BOOST_TEST(near(before.output, after.output));
    BOOST_TEST(after.rate() == before.rate(), boost::test_tools::tolerance(0.05));
    if (window > 0) {
      BOOST_TEST(fit.cv == 1, boost::test_tools::tolerance(0.05));  // Poisson once the profile is taken out
      BOOST_TEST(fit.distance_gaps < 0.02);
      BOOST_TEST(fit.rates[0] == 2, boost::test_tools::tolerance(0.4));
      BOOST_TEST(fit.rates[1] == 20, boost::test_tools::tolerance(0.15));
    }
  }
}

BOOST_AUTO_TEST_CASE(small_traces_fit_without_bands) {
  const WorkloadSetup truth = test::workload(
      "synthetic: {requests: 3, arrivals: {process: at-once}, input: {fixed: 5}, output: {fixed: 9}}");
  const WorkloadFit fit = fit_workload(truth, {});
  BOOST_TEST(fit.rate == 0.0);
  BOOST_TEST(fit.outputs.size() == 1U);
  std::ostringstream yaml;
  write_fit(fit, truth, yaml);
  BOOST_TEST(yaml.str().find("arrivals: {process: at-once}") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_limit_on_concurrency_cannot_be_written) {
  const auto source = test::workload(
                          "synthetic: {requests: 3, arrivals: {process: closed-loop, concurrency: 1}, input: "
                          "{fixed: 5}, output: "
                          "{fixed: 9}}")
                          .make_source();
  std::ostringstream out;
  BOOST_TEST(
      test::message_of([&] { static_cast<void>(write_requests(*source, out)); }) ==
      "a limit on the requests in flight cannot be written as requests: their arrivals depend on the server");
}

BOOST_AUTO_TEST_CASE(generated_sessions_read_back_as_sessions) {
  const WorkloadSetup setup = test::workload(
      "synthetic: {requests: 60, arrivals: {rate: 1}, input: {uniform: [5, 50]}, output: {uniform: [2, 9]}, "
      "prefix: {groups: 2, tokens: 8}, "
      "sessions: {turns: 4, think_s: {exponential: 3}}}");
  std::ostringstream out;
  BOOST_TEST(write_requests(*setup.make_source(), out) == 60);
  const auto before = test::take_all(*setup.make_source());
  const auto after = test::read_all("kvcast", out.str());
  BOOST_REQUIRE(after.size() == 60U);
  for (std::size_t i = 0; i < after.size(); ++i) {
    BOOST_TEST(after[i].details->name == std::to_string(i));
    BOOST_CHECK(after[i].arrival == before[i].arrival);
    BOOST_TEST(after[i].input.value == before[i].input.value);
    BOOST_TEST(after[i].details->content.back().segment == before[i].details->content.back().segment);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
