// The benchmark's protocol on a device with known times, its records, and the small model.
#include "kernels/bench/bench.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "kernels/bench/cuda_device.h"
#include "kernels/bench/record.h"
#include "kernels/cpu/threads.h"

namespace kvcast::bench {
namespace {

/// A device whose clock is what its jobs add to it.
class FakeDevice final : public Device {
 public:
  std::vector<Case> cases;
  std::int64_t throttled_until = 0;  // measurements that come back throttled
  std::vector<std::string> order;    // of the cases that were measured, repeats dropped
  std::map<std::string, std::set<std::int64_t>> rotations;

  std::string describe() const override { return "{\"name\": \"fake\"}"; }
  std::string state() const override { return ""; }
  std::string method() const override { return "none"; }
  std::vector<Case> suite(Suite) const override { return cases; }
  std::vector<Case> sentinels() const override {
    Case sentinel{.op = "sentinel"};
    sentinel.sentinel = true;
    return {sentinel};
  }
  std::unique_ptr<Job> prepare(const Case& what) override {
    if (what.get("impossible") != 0) return nullptr;
    if (order.empty() || order.back() != what.identity()) order.push_back(what.identity());
    return std::make_unique<FakeJob>(*this, what);
  }
  Sample measure(Job& job, std::int64_t repeats, std::int64_t rotation) override {
    const double before = now_;
    for (std::int64_t i = 0; i < repeats; ++i) job.run(rotation + i);
    Sample sample{.ns = (now_ - before) / static_cast<double>(repeats)};
    sample.throttled = repeats > 1 && throttled_until > 0 && throttled_until-- > 0;
    return sample;
  }

 private:
  class FakeJob final : public Job {
   public:
    FakeJob(FakeDevice& device, const Case& what) : device_(device), what_(what) {}
    void run(std::int64_t rotation) override {
      device_.now_ += what_.sentinel ? 50e3 : static_cast<double>(what_.get("ns"));
      device_.rotations[what_.identity()].insert(rotation);
    }

   private:
    FakeDevice& device_;
    Case what_;
  };

  double now_ = 0;
};

Case fake_case(std::int64_t ns, bool impossible = false) {
  return {.op = "work", .dtype = "x", .shape = {{"ns", ns}, {"impossible", impossible ? 1 : 0}}};
}

struct Result {
  std::vector<std::string> lines, skipped;
};

Result run(FakeDevice& device, const BenchOptions& options, const std::vector<std::string>& finished = {}) {
  Result result;
  run_bench(
      device, options, finished,
      [&](const std::string& line, BenchProgress) { result.lines.push_back(line); },
      [&](const std::string& identity) { result.skipped.push_back(identity); });
  return result;
}

double number_after(const std::string& line, const std::string& key) {
  const std::size_t at = line.find(key);
  BOOST_TEST_REQUIRE(at != std::string::npos, key << " in " << line);
  return std::stod(line.substr(at + key.size()));
}

const std::string& line_of(const Result& result, std::int64_t ns) {
  for (const std::string& line : result.lines)
    if (line.find("\"ns\": " + std::to_string(ns) + ",") != std::string::npos) return line;
  throw std::runtime_error("no record");
}

BOOST_AUTO_TEST_SUITE(bench)

BOOST_AUTO_TEST_CASE(a_sample_is_at_least_100_us_of_executions) {
  FakeDevice device;
  device.cases = {fake_case(700), fake_case(30'000), fake_case(2'000'000), fake_case(9'000'000)};
  const Result result = run(device, {});
  BOOST_TEST(result.lines.size() == 5U);  // and the sentinel
  BOOST_TEST(number_after(line_of(result, 700), "\"inner_repeats\": ") == 143);
  BOOST_TEST(number_after(line_of(result, 30'000), "\"inner_repeats\": ") == 4);
  BOOST_TEST(number_after(line_of(result, 2'000'000), "\"inner_repeats\": ") == 1);
  BOOST_TEST(number_after(line_of(result, 700), "\"ns\": {\"n\": ") == 15);
  BOOST_TEST(number_after(line_of(result, 9'000'000), "\"ns\": {\"n\": ") == 7);
  BOOST_TEST(number_after(line_of(result, 30'000), "\"median\": ") == 30'000);
  // Every execution has another part of the pool.
  BOOST_TEST(device.rotations[fake_case(700).identity()].size() >= 15U * 143U);
}

BOOST_AUTO_TEST_CASE(the_order_is_random_and_in_rounds) {
  FakeDevice device, other, again;
  for (std::int64_t i = 1; i <= 20; ++i) device.cases.push_back(fake_case(200'000 + i));
  other.cases = again.cases = device.cases;
  static_cast<void>(run(device, {.seed = 1}));
  static_cast<void>(run(other, {.seed = 2}));
  static_cast<void>(run(again, {.seed = 1}));
  BOOST_TEST((device.order == again.order));
  BOOST_TEST((device.order != other.order));
  std::map<std::string, int> visits;
  for (const std::string& identity : device.order) ++visits[identity];
  int three = 0;
  for (const auto& [identity, count] : visits) three += count == 3 ? 1 : 0;
  BOOST_TEST(three >= 15);  // fewer than three only where the end of a round met the start of the next
}

BOOST_AUTO_TEST_CASE(throttled_samples_are_measured_again_and_counted) {
  FakeDevice device;
  device.cases = {fake_case(700)};
  device.throttled_until = 6;
  const Result result = run(device, {});
  BOOST_TEST(number_after(line_of(result, 700), "\"ns\": {\"n\": ") == 15);
  BOOST_TEST(line_of(result, 700).find("\"samples_throttled\": ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(finished_records_are_not_measured_again) {
  FakeDevice device;
  device.cases = {fake_case(700), fake_case(800)};
  const Result first = run(device, {});
  FakeDevice second;
  second.cases = device.cases;
  const Result rest = run(second, {}, {line_of(first, 700)});
  BOOST_TEST(rest.lines.size() == 2U);
  BOOST_TEST(rest.lines.front().find("\"ns\": 800,") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_said) {
  FakeDevice device;
  device.cases = {fake_case(700), fake_case(800, true)};
  const Result result = run(device, {});
  BOOST_TEST(result.skipped.size() == 1U);
  BOOST_TEST(result.lines.size() == 2U);
}

BOOST_AUTO_TEST_CASE(only_and_its_errors) {
  FakeDevice device;
  device.cases = {fake_case(700), fake_case(800)};
  BOOST_TEST(run(device, {.only = "\"ns\": 8"}).lines.size() == 2U);
  BOOST_CHECK_THROW(static_cast<void>(run(device, {.only = "("})), BenchError);
  BOOST_CHECK_THROW(static_cast<void>(run(device, {.only = "nothing"})), BenchError);
}

BOOST_AUTO_TEST_CASE(a_slowed_kernel_takes_as_much_longer) {
  // Long kernels too, of which one execution would be a sample: every sample has its share of the slowdown.
  for (const int percent : {1, 4, 7, 10, 15, 30, 75, 100, 150, 1000}) {
    FakeDevice device;
    device.cases = {fake_case(700), fake_case(2'000'000), fake_case(9'000'000)};
    const Result result = run(device, {.slow_op = "work", .slow_percent = percent});
    for (const std::int64_t ns : {700, 2'000'000, 9'000'000}) {
      const double slower = static_cast<double>(ns) * (1 + percent / 100.0);
      for (const char* quantile : {"\"min\": ", "\"median\": ", "\"p95\": "})
        BOOST_TEST(std::abs(number_after(line_of(result, ns), quantile) / slower - 1) < 1e-6,
                   percent << " % of " << ns << " ns: " << line_of(result, ns));
    }
  }
}

BOOST_AUTO_TEST_CASE(quantiles_are_numpys) {
  BOOST_TEST(summary_json({4, 1, 3, 2}) ==
             "{\"n\": 4, \"min\": 1, \"p5\": 1.15, \"q1\": 1.75, \"median\": 2.5, \"q3\": 3.25, \"p95\": "
             "3.85, \"mad\": 1}");
}

// A record is found by its identity: two cases of one would be mixed up.
BOOST_AUTO_TEST_CASE(every_case_of_a_suite_is_there_once) {
  for (const bool gpu : {false, true}) {
    for (const Suite suite : {Suite::quick, Suite::full}) {
      std::set<std::string> seen;
      std::vector<Case> cases = gpu ? gpu_suite(suite) : cpu_suite(suite);
      for (const Case& what : gpu ? gpu_sentinels() : cpu_sentinels()) cases.push_back(what);
      for (const Case& what : cases) {
        BOOST_TEST(seen.insert(what.identity()).second, what.identity());
        BOOST_TEST(what.bytes > 0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(steps_are_random_but_repeatable) {
  const TimedSteps first = time_steps({.steps = 30, .passes = 1, .seed = 5});
  const TimedSteps again = time_steps({.steps = 30, .passes = 1, .seed = 5});
  const TimedSteps other = time_steps({.steps = 30, .passes = 1, .seed = 6});
  const auto text = [](const TimedSteps& steps) {
    std::string all;
    for (const TimedStep& step : steps.steps)
      for (const Scheduled& part : step.scheduled)
        all += std::to_string(part.sequence) + " " + std::to_string(part.tokens) + " " +
               std::to_string(part.computed) + ";";
    return all;
  };
  BOOST_TEST(text(first) == text(again));
  BOOST_TEST(text(first) != text(other));
  std::map<std::int64_t, std::int64_t> computed;
  for (const TimedStep& step : first.steps) {
    BOOST_TEST(step.us > 0);
    for (std::size_t i = 0; i < step.scheduled.size(); ++i) {
      BOOST_TEST(step.scheduled[i].computed == computed[step.requests[i]]);
      computed[step.requests[i]] += step.scheduled[i].tokens;
    }
  }
}

BOOST_AUTO_TEST_CASE(the_small_model_does_not_depend_on_threads) {
  const std::vector<std::vector<Scheduled>> steps = {{{0, 5, 0, true}, {1, 40, 0, false}},
                                                     {{0, 1, 5, true}, {1, 30, 40, true}},
                                                     {{0, 1, 6, true}, {1, 1, 70, true}}};
  std::vector<std::vector<std::int32_t>> first;
  for (const int count : {1, 3}) {
    cpu::Threads threads(count);
    const std::unique_ptr<SmallModel> model = make_small_model({}, 2, 9, threads);
    std::vector<std::vector<std::int32_t>> tokens;
    for (const std::vector<Scheduled>& step : steps) tokens.push_back(model->step(step));
    if (first.empty()) first = tokens;
    BOOST_TEST((tokens == first));
  }
  BOOST_TEST(first[0].size() == 1U);
  BOOST_TEST(first[1].size() == 2U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast::bench
