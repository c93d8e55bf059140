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

std::vector<Setting> with_lengths(std::vector<Setting> settings) {
  settings.push_back({"workload.synthetic.input", "{lognormal: {mean: 3000, cv: 0.8}}"});
  settings.push_back({"workload.synthetic.output", "{lognormal: {mean: 120, cv: 0.9}}"});
  settings.push_back({"workload.synthetic.max", "16000"});
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
      {"tide",
       "a100-80-sxm, up and down between 2 and 11 req/s in 12 windows of 25 s, over and over, 6,000 requests",
       on("a100-80-sxm",
          traffic(6000, "{process: rates, rates: [2, 3, 5, 7, 9, 11, 10, 8, 6, 4, 3, 2], window_s: 25}")),
       {{"engine.kv_cache_dtype", "fp8"}},
       true},
      {"summaries",
       "h200, prompts of 3,000 tokens on average, answers of 120, gamma gaps of cv 2, 3 req/s, 4,000 "
       "requests",
       on("h200", with_lengths(traffic(4000, "{process: gamma, rate: 3, cv: 2}"))),
       {{"engine.max_num_batched_tokens", "2048"}},
       true},
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
  static const std::vector<Figure> all = [] {
    std::vector<Figure> kinds = plan_figures();
    std::erase_if(kinds, [](const Figure& figure) {
      const std::string_view key = figure.key;
      return key == "request_goodput" || key == "kv_usage_peak";
    });
    return kinds;
  }();
  return all;
}

double strain_of(const Metrics& metrics, const Limits& limits) {
  return std::max(metrics.ttft.p99 / limits.ttft_ms, metrics.tpot.p99 / limits.tpot_ms);
}

}  // namespace kvcast::coverage
