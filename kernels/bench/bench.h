/// The benchmark: a suite of cases on one device, timed, as one {"record": ...} line each.
///
/// The cases are run in random order, a handful at a time in several rounds of different order, so that
/// neither a drift of the machine nor a neighbour in the order looks like a property of a shape. A sample is
/// a stretch of executions of at least 100 us; each execution uses other parts of the pool. Every half minute
/// fixed cases, the sentinels, are measured, which tell a change of the machine from one of a kernel.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/bench/device.h"
#include "kernels/bench/small_model.h"

namespace kvcast::bench {

/// Wrong input or a device that is not there; the message is for the user.
class BenchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct BenchOptions {
  Suite suite = Suite::quick;
  std::uint64_t seed = 1;
  std::string only = {};  // a regular expression (ECMAScript) on the record's identity; empty: all
  int samples = 0;        // of each case; 0: 21 in the full suite, 15 in the quick one
  /// Ops whose name matches this regular expression are made slower by so many percent, to try a regression
  /// gate.
  std::string slow_op = {};
  int slow_percent = 0;
};

struct BenchProgress {
  std::size_t done = 0, total = 0;
};

/// \param finished the records already there, as lines: their cases are not measured again
/// \param emit gets each record's line, without its end, as soon as it is complete
/// \param skipped gets the identity of every case that the device cannot run
/// \throws BenchError for a wrong regular expression, or one that matches no case
void run_bench(Device& device, const BenchOptions& options, const std::vector<std::string>& finished,
               const std::function<void(const std::string&, BenchProgress)>& emit,
               const std::function<void(const std::string&)>& skipped);

/// The device of that name ("cpu", "cuda"). \param threads of the CPU backend
/// \throws BenchError where there is none, saying what to do instead
[[nodiscard]] std::unique_ptr<Device> make_device(const std::string& name, int threads, std::uint64_t seed);

/// Compares every kernel of the device with definitions in double precision (check.h).
/// \param report gets a line for each group of checks \returns the number of failed checks
/// \throws BenchError where there is no such device
[[nodiscard]] int run_check(const std::string& device, int threads, std::uint64_t seed,
                            const std::function<void(const std::string&)>& report);

/// Steps of the small model with random compositions, run on the CPU backend.
struct StepsOptions {
  int steps = 200;
  int passes = 3;  // each step's time is the median over so many runs of the whole sequence
  int threads = 1;
  std::uint64_t seed = 1;
};

struct TimedStep {
  std::vector<Scheduled> scheduled;
  std::vector<std::int64_t> requests;  // the same sequences by the numbers of their requests
  double us = 0;                       // by the clock that the device's records say
};

struct TimedSteps {
  std::vector<TimedStep> steps;
  std::vector<std::int64_t> prompts;  // tokens, of each request
};

[[nodiscard]] TimedSteps time_steps(const StepsOptions& options);

/// The steps in the form of an engine's own log (a "header", then "request" and "step" lines).
void write_steps(const TimedSteps& steps, const StepsOptions& options,
                 const std::function<void(const std::string&)>& emit);

}  // namespace kvcast::bench
