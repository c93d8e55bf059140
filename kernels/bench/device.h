/// What a benchmark runs on: a GPU, or the CPU backend.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/bench/case.h"

namespace kvcast::cpu {
class Threads;
}

namespace kvcast::bench {

/// One timed stretch: `repeats` executions in a row.
struct Sample {
  double ns = 0;           // of one execution
  double cycles = 0;       // of the compute clock, for one execution; 0: not measured
  double clock_mhz = 0;    // mean over the stretch; 0: not measured
  bool throttled = false;  // the clock fell below 75 % of its usual value: the sample does not count
};

/// A case made ready: operands in place. Successive executions use other parts of the pool ("rotation"), so
/// that no execution finds its operands in the L2 cache because the one before left them there.
class Job {
 public:
  virtual ~Job() = default;
  /// Starts one execution. \param rotation which part of the pool it uses, from 0 up
  virtual void run(std::int64_t rotation) = 0;
};

/// Contract: one job is alive at a time; measure() returns when its executions are done.
class Device {
 public:
  virtual ~Device() = default;
  /// The members of the record's "device" object: {"name": ..., ...}, with what is known of driver, clocks
  /// and power.
  [[nodiscard]] virtual std::string describe() const = 0;
  /// What changes while a suite runs, as members of the record (", \"clocks\": {...}, ..."); may be empty.
  [[nodiscard]] virtual std::string state() const = 0;
  /// "thread_cpu_clock", "wall_clock", "cuda_events"
  [[nodiscard]] virtual std::string method() const = 0;
  [[nodiscard]] virtual std::vector<Case> suite(Suite suite) const = 0;
  [[nodiscard]] virtual std::vector<Case> sentinels() const = 0;
  /// nullptr where the device has no such kernel, or not the memory for the shape.
  [[nodiscard]] virtual std::unique_ptr<Job> prepare(const Case& what) = 0;
  [[nodiscard]] virtual Sample measure(Job& job, std::int64_t repeats, std::int64_t rotation) = 0;
};

/// The CPU backend. One thread is timed by its own CPU clock, which other programs on the machine hardly
/// disturb; several by the wall clock.
[[nodiscard]] std::unique_ptr<Device> make_cpu_device(int threads, std::uint64_t seed);

}  // namespace kvcast::bench
