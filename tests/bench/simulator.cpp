// How fast the simulator is. Reports, never asserts: cmake -DKVCAST_BENCHMARKS=ON, then build/kvcast_bench.
#include <benchmark/benchmark.h>

#include <cmath>

#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "sim/cluster/cluster.h"
#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

/// A plausible GPU: 4 ms a step, 20 us a token, 0.04 us a context token.
class BenchTimer final : public StepTimer {
 public:
  [[nodiscard]] StepCost step(const StepShape& s) const override {
    return {FineDuration{kBase + kToken * s.tokens + kContext * (s.decode_context + s.prefill_context)}, 0,
            0};
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t /*context*/) const override {
    DecodeLine line;
    line.base.time = FineDuration{kBase + kToken * seqs};
    line.per_context_token.time = FineDuration{kContext};
    return line;
  }

 private:
  static constexpr std::int64_t kBase = std::int64_t{4'000'000} << kFineBits;
  static constexpr std::int64_t kToken = std::int64_t{20'000} << kFineBits;
  static constexpr std::int64_t kContext = std::int64_t{40} << kFineBits;
};

class PoissonSource final : public RequestSource {
 public:
  PoissonSource(double rate, std::int64_t count) : random_(1, "bench"), gap_ns_(1e9 / rate), left_(count) {}
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (left_ == 0) return std::nullopt;
    return kStart + Duration{static_cast<std::int64_t>(at_ns_)};
  }
  [[nodiscard]] Request take() override {
    Request request;
    request.id = static_cast<RequestId>(made_++);
    request.arrival = kStart + Duration{static_cast<std::int64_t>(at_ns_)};
    request.input = Tokens{random_.integer(100, 2000)};
    request.output = Tokens{random_.integer(1, 400)};
    at_ns_ += random_.exponential(gap_ns_);
    --left_;
    return request;
  }

 private:
  RandomStream random_;
  double gap_ns_;
  std::int64_t left_;
  std::uint64_t made_ = 0;
  double at_ns_ = 0;
};

ClusterSetup setup_of(StepPath path, bool caching) {
  Config none = Config::empty("bench");
  ClusterSetup setup;
  EngineDefaults defaults;
  setup.engine.max_model_len = defaults.max_model_len;
  setup.engine.scheduler = make_vllm_v1(none, defaults);
  setup.engine.order = make_fcfs(none);
  CachedBlocksSettings layers;
  layers.groups = {KvGroup{}};
  layers.caching = caching;
  setup.engine.allocator = make_paged(none, layers);
  setup.engine.pool = {Blocks{28'000}, Tokens{16}};
  setup.engine.path = path;
  setup.router = make_round_robin(none);
  return setup;
}

void serve(benchmark::State& state, StepPath path, bool caching) {
  const BenchTimer timer;
  const ClusterSetup setup = setup_of(path, caching);
  constexpr std::int64_t kRequests = 20'000;
  std::int64_t steps = 0;
  for (auto _ : state) {
    const RunRecord record =
        run(setup,
            [&] { return std::make_unique<PoissonSource>(static_cast<double>(state.range(0)), kRequests); },
            timer, {});
    steps += record.steps.steps;
  }
  state.counters["requests/s"] =
      benchmark::Counter(static_cast<double>(kRequests), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["steps/s"] = benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kIsRate);
}

BENCHMARK_CAPTURE(serve, closed_form, StepPath::closed_form, false)
    ->Arg(2)
    ->Arg(20)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(serve, closed_form_prefix_cache, StepPath::closed_form, true)
    ->Arg(2)
    ->Arg(20)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(serve, step_by_step, StepPath::step_by_step, false)
    ->Arg(2)
    ->Arg(20)
    ->Unit(benchmark::kMillisecond);

/// A decode step costs the same whatever the batch: single steps of the group, forced by a timer whose line
/// never reaches further.
class OneStepTimer final : public StepTimer {
 public:
  [[nodiscard]] StepCost step(const StepShape& s) const override {
    return {FineDuration{(s.tokens + 1'000'000) << kFineBits}, 0, 0};
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    DecodeLine line;
    line.base.time = FineDuration{(seqs + 1'000'000) << kFineBits};
    line.context_max = context;
    return line;
  }
};

class BurstSource final : public RequestSource {
 public:
  explicit BurstSource(std::int64_t count) : left_(count) {}
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    return left_ == 0 ? std::nullopt : std::optional(kStart);
  }
  [[nodiscard]] Request take() override {
    Request request;
    request.id = static_cast<RequestId>(--left_);
    request.input = Tokens{8};
    request.output = Tokens{8000};
    return request;
  }

 private:
  std::int64_t left_;
};

void decode_step(benchmark::State& state) {
  const OneStepTimer timer;
  ClusterSetup setup = setup_of(StepPath::closed_form, false);
  setup.engine.pool.blocks = Blocks{1 << 24};
  Config wide = Config::from_text("max_num_seqs: 8192\nmax_num_batched_tokens: 100000\n", "bench");
  setup.engine.scheduler = make_vllm_v1(wide, EngineDefaults{});
  std::int64_t steps = 0;
  for (auto _ : state) {
    steps += run(setup, [&] { return std::make_unique<BurstSource>(state.range(0)); }, timer, {}).steps.steps;
  }
  state.counters["steps/s"] = benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kIsRate);
}
BENCHMARK(decode_step)->Arg(1)->Arg(8)->Arg(64)->Arg(512)->Arg(4096)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvcast
