// Step times fitted to vLLM's own log on H100 (measured/vllm_steps_h100.csv.gz): errors on steps that the fit
// has not seen, blocks of a run and whole runs. The log's column cycle_time_us is the median of the gaps that
// clients saw; it is printed beside, not judged by (docs/accuracy.md says why).
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>

#include "hwmodels/step_fit.h"
#include "tests/support/data.h"
#include "workloads/step_log.h"

namespace kvcast::test {
namespace {

constexpr const char* kFile = "measured/vllm_steps_h100.csv.gz";
constexpr double kBar = 0.05;
constexpr std::size_t kBlocks = 20;

StepLog read(const std::string& path) {
  StepLog log;
  read_step_log(file_on_disk(path), nullptr, log);
  return log;
}

template <class Take>
std::vector<StepSample> samples_of(const StepLog& log, const Take& take) {
  std::vector<StepSample> samples;
  for (std::size_t i = 0; i < log.steps.size(); ++i) {
    const LoggedStep& step = log.steps[i];
    if (take(i, step))
      samples.push_back(
          {.shape = step.shape, .time_us = step.time_us, .start_us = step.start_us, .run = step.run});
  }
  return samples;
}

StepErrors judge(const std::string& what, const std::vector<StepSample>& fit,
                 const std::vector<StepSample>& held) {
  const StepErrors errors = step_errors(fit_step_model(fit, ""), held).front();
  fmt::print(
      "{:<78} fitted to {:>5} steps, judged on {:>4}: median |e| {:.2f} %, p90 {:.1f} %, bias {:+.2f} %\n",
      what, fit.size(), held.size(), 100 * errors.median, 100 * errors.p90, 100 * errors.bias);
  return errors;
}

BOOST_AUTO_TEST_SUITE(vllm_steps)

BOOST_AUTO_TEST_CASE(blocks_held_out) {
  const auto path = data_folder(kFile);
  if (!path) return;
  const StepLog log = read(path->string());
  BOOST_REQUIRE(log.groups.size() == 2U);
  for (std::size_t group = 0; group < log.groups.size(); ++group) {
    // Every fifth block of the rows of a group, in the order of the log.
    const auto all =
        samples_of(log, [&](std::size_t, const LoggedStep& step) { return step.group == group; });
    std::vector<StepSample> fit, held;
    for (std::size_t i = 0; i < all.size(); ++i)
      ((i * kBlocks / all.size()) % 5 == 4 ? held : fit).push_back(all[i]);
    BOOST_TEST(judge(log.groups[group] + ", a fifth of the blocks held out", fit, held).median < kBar);
  }
}

BOOST_AUTO_TEST_CASE(runs_held_out_whole) {
  const auto path = data_folder(kFile);
  if (!path) return;
  const StepLog log = read(path->string());
  int judged = 0;
  for (std::size_t run = 0; run < log.runs.size(); ++run) {
    std::size_t group = 0;
    const auto held = samples_of(log, [&](std::size_t, const LoggedStep& step) {
      if (step.run == run) group = step.group;
      return step.run == run;
    });
    const auto fit = samples_of(
        log, [&](std::size_t, const LoggedStep& step) { return step.group == group && step.run != run; });
    if (fit.empty()) {
      fmt::print("{}: the only run of its model, cannot be held out whole\n", log.runs[run]);
      continue;
    }
    BOOST_TEST(judge(log.runs[run] + ", the run held out", fit, held).median < kBar);
    ++judged;
  }
  BOOST_TEST(judged == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast::test
