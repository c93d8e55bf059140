// vLLM 0.32 end to end on a CPU (measured/vllm_cpu): step times fitted to the grid and one load, the other
// loads replayed and judged. Of a judged run the forecast knows its requests and settings, and one factor:
// its single-sequence decode steps over the calibration's.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "hwmodels/step_fit.h"
#include "sim/app/validate_log.h"
#include "tests/support/data.h"
#include "workloads/step_log.h"

namespace kvcast::test {
namespace {

// Prompts of 3 to 1,900 tokens: the load that shows most kinds of prompt steps.
const std::vector<std::string> kFitted = {"grid", "azure_code_mod"};

/// Median over the runs, and the worst, in percent.
struct Bar {
  const char* metric;
  const char* statistic;
  double median, worst;
};
constexpr Bar kBars[] = {{"tpot", "p50", 3, 7}, {"ttft", "p50", 6, 12}, {"ttft", "p99", 12, 25}};
constexpr double kSpeedMax = 0.12;
constexpr std::int64_t kPreemptionsMin = 50;

std::string calibrate(const std::filesystem::path& folder) {
  StepLog log;
  for (const std::string& name : kFitted)
    read_step_log(file_on_disk((folder / (name + ".jsonl.gz")).string()), nullptr, log);
  std::vector<StepSample> samples;
  for (const LoggedStep& step : log.steps)
    samples.push_back(
        {.shape = step.shape, .time_us = step.time_us, .start_us = step.start_us, .run = step.run});
  CalibrationHeader header;
  header.kind = "steps";
  header.device = "cpu";
  header.source = "a test";
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("kvcast-vllm-cpu-{}.jsonl", getpid())).string();
  std::ofstream(path) << format_calibration_header(header) << "\n"
                      << format_step_model(fit_step_model(samples, "")) << "\n";
  return path;
}

const ValidatedValue* find(const JudgedLog& log, const std::string& metric, const std::string& statistic) {
  for (const ValidatedValue& value : log.load.values) {
    if (value.metric == metric && value.statistic == statistic) return &value;
  }
  return nullptr;
}

double busy_of(const EngineRun& run) {
  double end = 0;
  for (const EngineAnswer& answer : run.answers) end = std::max(end, answer.last_token_us);
  return run.busy_us / end;
}

void print(const JudgedLog& log, const std::string& file) {
  fmt::print("{:<24} x {:.3f}, busy {:.2f}:", file, log.speed, busy_of(log.run));
  for (const ValidatedValue& value : log.load.values)
    fmt::print(" {} {} {:+.1f} %", value.metric, value.statistic, 100 * value.error());
  fmt::print("; preemptions {} for {}; hit rate {:.3f} for {:.3f}\n", log.preemptions, log.run.preemptions,
             log.hit_rate,
             static_cast<double>(log.run.cached_tokens) / static_cast<double>(log.run.prompt_tokens));
}

/// What must hold for each run by itself, beside the latencies.
void check_run(const JudgedLog& log) {
  BOOST_TEST(std::abs(log.speed - 1) <= kSpeedMax);
  const ValidatedValue* throughput = find(log, "output_throughput", "");
  BOOST_REQUIRE(throughput != nullptr);
  BOOST_TEST(std::abs(throughput->error()) < (busy_of(log.run) < 0.9 ? 0.02 : 0.05));
  if (log.run.preemptions > kPreemptionsMin) {
    const double ratio = static_cast<double>(log.preemptions) / static_cast<double>(log.run.preemptions);
    BOOST_TEST(std::abs(ratio - 1) < 0.1);
  }
  const double hits = static_cast<double>(log.run.cached_tokens) / static_cast<double>(log.run.prompt_tokens);
  BOOST_TEST(std::abs(log.hit_rate - hits) < 0.01);
}

BOOST_AUTO_TEST_CASE(vllm_cpu) {
  const auto folder = data_folder("measured/vllm_cpu");
  if (!folder) return;
  const std::string calibration = calibrate(*folder);
  std::vector<std::vector<double>> errors(std::size(kBars));
  std::size_t inside = 0, judged = 0;
  for (const std::filesystem::path& path : files_in(*folder, ".jsonl.gz")) {
    std::string name = path.filename().string();
    name = name.substr(0, name.find('.'));
    if (std::find(kFitted.begin(), kFitted.end(), name) != kFitted.end()) continue;
    const JudgedLog log = judge_engine_log(path.string(), calibration, "auto");
    print(log, name);
    check_run(log);
    for (const ValidatedValue& value : log.load.values) {
      if (value.covered()) ++inside;
      ++judged;
    }
    for (std::size_t i = 0; i < std::size(kBars); ++i) {
      const ValidatedValue* value = find(log, kBars[i].metric, kBars[i].statistic);
      BOOST_REQUIRE(value != nullptr);
      errors[i].push_back(100 * std::abs(value->error()));
    }
  }
  std::filesystem::remove(calibration);
  fmt::print("{} of {} measurements lie within the stated 90 % intervals\n", inside, judged);
  BOOST_TEST(static_cast<double>(inside) > 0.8 * static_cast<double>(judged));
  BOOST_TEST(static_cast<double>(inside) < 0.97 * static_cast<double>(judged));
  for (std::size_t i = 0; i < std::size(kBars); ++i) {
    std::sort(errors[i].begin(), errors[i].end());
    const std::size_t n = errors[i].size();
    BOOST_REQUIRE(n > 0U);
    const double median = (errors[i][(n - 1) / 2] + errors[i][n / 2]) / 2;
    fmt::print("{} {}: median error {:.1f} % (bar {}), worst {:.1f} % (bar {})\n", kBars[i].metric,
               kBars[i].statistic, median, kBars[i].median, errors[i].back(), kBars[i].worst);
    BOOST_TEST(median < kBars[i].median);
    BOOST_TEST(errors[i].back() < kBars[i].worst);
  }
}

}  // namespace
}  // namespace kvcast::test
