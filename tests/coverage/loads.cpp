#include "tests/coverage/loads.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvcast::coverage {
namespace {

constexpr const char* kScenario = "common-load";

std::vector<Setting> traffic(int requests, const std::string& arrivals) {
  return {{"workload.synthetic.requests", std::to_string(requests)},
          {"workload.synthetic.arrivals", arrivals}};
}

std::vector<Setting> on(const char* gpu, std::vector<Setting> settings) {
  settings.push_back({"cluster.gpu", gpu});
  return settings;
}

}  // namespace

const std::vector<Load>& loads() {
  static const std::vector<Load> all = {
      {"light",
       "l40s, Poisson, 2.5 req/s, 4,000 requests: nobody queues",
       on("l40s", traffic(4000, "{process: poisson, rate: 2.5}")),
       {{"engine.max_num_seqs", "16"}}},
      {"heavy",
       "a100-80-sxm, Poisson, 10 req/s, 8,000 requests: nearly all that it carries",
       on("a100-80-sxm", traffic(8000, "{process: poisson, rate: 10}")),
       {{"engine.kv_cache_dtype", "fp8"}}},
      {"bursts",
       "h200, gamma gaps of cv 4, 6 req/s, 6,000 requests",
       on("h200", traffic(6000, "{process: gamma, rate: 6, cv: 4}")),
       {{"engine.kv_cache_dtype", "fp8"}}},
      {"waves",
       "l40s, 1.5, 5, 2.5 and 4 req/s for 40 s each, over and over, 4,000 requests",
       on("l40s", traffic(4000, "{process: rates, rates: [1.5, 5, 2.5, 4], window_s: 40}")),
       {{"engine.max_num_batched_tokens", "8192"}}},
      {"calibrated",
       "h100-sxm, calibrated step times, Poisson, 8 req/s, 4,000 requests",
       on("h100-sxm", traffic(4000, "{process: poisson, rate: 8}")),
       {{"engine.kv_cache_dtype", "fp8"}}},
  };
  return all;
}

PlanBench bench_of(const Load& load, std::uint64_t seed, const Limits& limits, const std::string& trace) {
  std::vector<Setting> settings = load.settings;
  if (!trace.empty()) {
    std::erase_if(settings, [](const Setting& setting) { return setting.path.starts_with("workload"); });
    settings.push_back({"workload", "{trace: {path: '" + trace + "'}}"});
  }
  settings.push_back({"seed", std::to_string(seed)});
  settings.push_back(
      {"slo", fmt::format("{{ttft_ms: {{p99: {}}}, tpot_ms: {{p99: {}}}}}", limits.ttft_ms, limits.tpot_ms)});
  PlanSpace space;
  space.max_gpus = 1;
  space.tensor_parallel_size = {"1"};
  return {kScenario, settings, space};
}

Design design_of(const PlanBench& bench) { return bench.designs(1).front(); }

const std::vector<Figure>& figures() {
  static const std::vector<Figure> all = {
      {"p50_ttft_ms", [](const Metrics& m) { return m.ttft.p50; }},
      {"p99_ttft_ms", [](const Metrics& m) { return m.ttft.p99; }},
      {"p50_tpot_ms", [](const Metrics& m) { return m.tpot.p50; }},
      {"p99_tpot_ms", [](const Metrics& m) { return m.tpot.p99; }},
      {"p50_e2el_ms", [](const Metrics& m) { return m.e2el.p50; }},
      {"p99_e2el_ms", [](const Metrics& m) { return m.e2el.p99; }},
      {"request_throughput", [](const Metrics& m) { return m.request_throughput; }},
      {"output_throughput", [](const Metrics& m) { return m.output_throughput; }},
  };
  return all;
}

double strain_of(const Metrics& metrics, const Limits& limits) {
  return std::max(metrics.ttft.p99 / limits.ttft_ms, metrics.tpot.p99 / limits.tpot_ms);
}

}  // namespace kvcast::coverage
