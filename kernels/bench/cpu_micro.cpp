#include "kernels/bench/cpu_micro.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "kernels/bench/random.h"

namespace kvcast::bench {
namespace {

/// Starting work on all threads and hearing that it is done, without any work.
class LaunchJob final : public Job {
 public:
  LaunchJob(const Case& what, cpu::Threads& threads) : count_(what.get("kernels")), threads_(threads) {}
  void run(std::int64_t /*rotation*/) override {
    for (std::int64_t i = 0; i < count_; ++i) threads_.run(threads_.size(), [](std::int64_t, int) {});
  }

 private:
  std::int64_t count_;
  cpu::Threads& threads_;
};

/// Reads, writes or copies an array, each thread its part.
class MemoryJob final : public Job {
 public:
  MemoryJob(const Case& what, std::uint64_t seed, cpu::Threads& threads)
      : variant_(what.variant), count_(what.get("bytes") / 4), threads_(threads) {
    Random random(seed);
    from_ = random_floats(count_, random);
    if (variant_ != "read") to_ = from_;
    sums_.resize(static_cast<std::size_t>(threads.size()) * kLanes);
  }
  void run(std::int64_t rotation) override {
    const std::int64_t parts = threads_.size(), size = count_ / parts;
    threads_.run(parts, [&](std::int64_t part, int worker) {
      const std::int64_t begin = part * size;
      if (variant_ == "copy") {
        std::memcpy(to_.data() + begin, from_.data() + begin, static_cast<std::size_t>(size) * 4);
      } else if (variant_ == "write") {
        std::fill_n(to_.begin() + begin, size, static_cast<float>(rotation));
      } else {
        std::array<float, kLanes> sums{};
        for (std::int64_t i = begin; i + kLanes <= begin + size; i += kLanes)
          for (std::int64_t lane = 0; lane < kLanes; ++lane)
            sums[static_cast<std::size_t>(lane)] += from_[static_cast<std::size_t>(i + lane)];
        std::copy(sums.begin(), sums.end(), sums_.begin() + worker * kLanes);  // or nothing would be read
      }
    });
  }

 private:
  static constexpr std::int64_t kLanes = 32;
  std::string variant_;
  std::int64_t count_;
  cpu::Threads& threads_;
  std::vector<float> from_, to_, sums_;
};

}  // namespace

std::unique_ptr<Job> make_cpu_micro_job(const Case& what, std::uint64_t seed, cpu::Threads& threads) {
  if (what.op == "launch") return std::make_unique<LaunchJob>(what, threads);
  return std::make_unique<MemoryJob>(what, seed, threads);
}

std::vector<Case> cpu_micro_cases(Suite suite) {
  std::vector<Case> cases = {{.op = "launch", .dtype = "none", .shape = {{"kernels", 64}}, .bytes = 1}};
  std::vector<std::int64_t> sizes = {std::int64_t{1} << 18, std::int64_t{1} << 25};
  if (suite == Suite::full) sizes = {1 << 14, 1 << 18, 1 << 20, 1 << 22, 1 << 25, 1 << 27};
  for (const std::int64_t bytes : sizes)
    for (const char* variant : {"read", "write", "copy"})
      cases.push_back({.op = "memory",
                       .variant = variant,
                       .dtype = "bytes",
                       .shape = {{"bytes", bytes}},
                       .bytes = static_cast<double>(variant == std::string("copy") ? 2 * bytes : bytes)});
  return cases;
}

}  // namespace kvcast::bench
