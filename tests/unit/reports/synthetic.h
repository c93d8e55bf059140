/// A made-up run for the writers' tests: plausible numbers from a fixed seed, no simulator.
#pragma once

#include <cmath>
#include <memory>
#include <random>

#include "sim/metrics/forecast.h"

namespace kvcast {

struct SyntheticRun {
  RunRecord record;
  Forecast forecast;  // points into record
};

inline RunRecord synthetic_record(std::int64_t requests) {
  std::mt19937_64 random(5);
  const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 1) * 0x1p-53; };
  RunRecord record;
  std::int64_t now = 1'000'000;
  record.first_arrival = Instant{Duration{now}};
  for (std::int64_t i = 0; i < requests; ++i) {
    now += static_cast<std::int64_t>(-std::log(uniform()) * 2e8);
    const auto queue = static_cast<std::int64_t>(uniform() < 0.7 ? 0 : -std::log(uniform()) * 1.5e8);
    const std::int64_t ttft = queue + static_cast<std::int64_t>(2e7 - std::log(uniform()) * 4e7);
    const std::int64_t tokens = 1 + static_cast<std::int64_t>(-std::log(uniform()) * 210);
    const auto gap = static_cast<std::int64_t>(7e6 + 2e6 * uniform() - std::log(uniform()) * 8e5);
    record.queue.add(Duration{queue});
    record.ttft.add(Duration{ttft});
    if (tokens > 1) record.tpot.add(Duration{gap});
    record.e2el.add(Duration{ttft + gap * (tokens - 1)});
    record.itl.add_run(gap << kFineBits, 300 << kFineBits, tokens - 1, 1);
    record.itl_sum_fine += static_cast<Int128>(gap << kFineBits) * (tokens - 1) +
                           static_cast<Int128>(300 << kFineBits) * (tokens - 1) * (tokens - 2) / 2;
    record.input_tokens += 1155;
    record.output_tokens += tokens;
    record.good += ttft < 200'000'000 ? 1 : 0;
    record.last_token = std::max(record.last_token, Instant{Duration{now + ttft + gap * (tokens - 1)}});
  }
  record.arrived = requests + 7;
  record.completed = requests;
  record.rejected_too_long = 5;
  record.rejected_never_fits = 2;
  record.preemptions = 41;
  record.recomputed_tokens = 61234;
  record.blocks_used_max = 4 * 27000;
  const std::int64_t end = record.last_token.time_since_epoch().count();
  record.steps = {.steps = requests * 90,
                  .grouped = 0,
                  .scheduled_tokens = requests * 1300,
                  .busy_fine = static_cast<Int128>(end) * 3 << kFineBits,
                  .hbm_bytes = static_cast<Int128>(end) * 3350 * 21 / 10,
                  .flop = static_cast<Int128>(end) * 989'000 * 6 / 10};
  record.timeline.idle.largest_free_blocks = 4 * 27126;
  while (record.timeline.next_scrape_ns() <= end) {
    const double phase = static_cast<double>(record.timeline.next_scrape_ns()) / static_cast<double>(end);
    const double load = 0.45 + 0.4 * std::sin(9 * phase) * std::sin(2.3 * phase) + 0.06 * uniform();
    const auto used = static_cast<std::int64_t>(load * 4 * 27126);
    const auto waiting = static_cast<std::int64_t>(load > 0.7 ? (load - 0.7) * 300 * uniform() : 0);
    record.timeline.add(
        {static_cast<std::int64_t>(load * 180 + 8 * uniform()), waiting, used, used * 15, 4 * 27126 - used});
  }
  return record;
}

/// Four H100 with an SLO of which one term is missed.
inline std::unique_ptr<SyntheticRun> synthetic_run(std::int64_t requests = 19366) {
  auto run = std::make_unique<SyntheticRun>();
  run->record = synthetic_record(requests);
  Forecast& forecast = run->forecast;
  forecast.record = &run->record;
  forecast.facts = {.replicas = 4,
                    .gpus = 4,
                    .blocks_total = 27126,
                    .block_size = 16,
                    .kv_bytes_per_token = 131072,
                    .hbm_bytes_per_s = 3.35e12,
                    .flop_per_s = 9.89e14,
                    .slo = {.ttft_ns = 200'000'000}};
  forecast.metrics = reduce(run->record, forecast.facts);
  forecast.title = "Llama-3.1-8B on 4 x NVIDIA H100 SXM5 80 GB";
  forecast.scenario = "azure-conv-h100.yaml";
  forecast.model = "Llama-3.1-8B: 32 layers, GQA 32/8 heads of 128, 8.03 B parameters, bfloat16";
  forecast.gpu = "NVIDIA H100 SXM5 80 GB: 3,350 GB/s, 989 TFLOP/s bf16";
  forecast.engine = "vllm-0.32, scheduler vllm-v1, paged blocks of 16, KV in bfloat16";
  forecast.cluster = "4 replicas, TP 1, router round-robin";
  forecast.workload = "azure_conv.csv (azure), 19,366 requests";
  forecast.timer = "the data-sheet roofline of NVIDIA H100 SXM5 80 GB";
  forecast.budget = {{"GPU memory", 85'017'493'504, "measured: CUDA's total on an H100 SXM 80 GB"},
                     {"left to others", -6'801'399'480, "formula: 1 - gpu_memory_utilization (0.92)"},
                     {"weights", -16'060'522'496, "formula: parameters of the architecture, 2 bytes each"},
                     {"activation peak", -1'218'576'384, "assumption: profile run of 8,192 tokens"},
                     {"CUDA graphs", -692'060'160, "assumption: 35 captured batch sizes"},
                     {"non-torch memory", -1'371'537'408, "assumption: NCCL, cuBLAS and CUDA context"}};
  forecast.slo = {judge_slo(forecast.metrics, "ttft", "p99", 500),
                  judge_slo(forecast.metrics, "tpot", "p99", 50)};
  forecast.assumptions = {{"GEMMs reach 80 % of the data sheet's FLOP rate.", "kvcast default"},
                          {"Host overhead is 350 us a step.", "configs/engines/vllm-0.32.yaml"}};
  forecast.notes = {"num_gpu_blocks_override exceeds what the GPU holds by 12 blocks"};
  forecast.inputs = {{"azure_conv.csv", "0123456789abcdef"}, {"llama-3.1-8b.json", "fedcba9876543210"}};
  forecast.price = Price{2.5, "USD", "configs/gpus/h100-sxm.yaml, 2025-06"};
  forecast.seed = 1;
  forecast.version = "0.1.0";
  forecast.command = "kvcast simulate azure-conv-h100.yaml --report out.html";
  forecast.resolved =
      "model: configs/models/llama-3.1-8b.json  # given\nengine:\n  profile: vllm-0.32  # engine default\n  "
      "block_size: 16  # given\n";
  return run;
}

}  // namespace kvcast
