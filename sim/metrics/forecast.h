/// One finished run with all that a reader needs to judge it: what every writer in reports/ takes. The app
/// fills it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/metrics/metrics.h"
#include "sim/metrics/record.h"
#include "sim/metrics/speculation_facts.h"
#include "sim/metrics/step_span.h"
#include "sim/metrics/uncertainty.h"

namespace kvcast {

/// One line of the memory waterfall, per rank. What is taken off is negative: the lines sum to the KV cache's
/// share, which the writers add as the last line themselves.
struct BudgetLine {
  std::string item;
  std::int64_t bytes = 0;
  std::string source;  // "measured", "formula" or "assumption", colon, the reason
};

/// Something the forecast rests on that was not measured here.
struct Assumption {
  std::string text;    // one sentence
  std::string source;  // paper, data sheet, file, or "kvcast default"
};

struct InputHash {
  std::string path;
  std::string hash;  // content_hash() of its bytes
};

/// One term of the SLO as the user wrote it (`slo: {ttft_ms: {p99: 2000}}`) and how the run stands to it.
struct SloTerm {
  std::string metric;     // "ttft", "tpot", "itl", "e2el", "queue"
  std::string statistic;  // "p99", "mean", ...
  double limit_ms = 0;
  double value_ms = 0;
  bool met = false;
};

/// What the GPUs cost; absent where no price is known.
struct Price {
  double per_gpu_hour = 0;
  std::string currency = "USD";
  std::string source;  // with its date
};

/// Replicas of one shape among several behind one router. Strings as in Forecast.
struct PoolForecast {
  std::string name;
  std::string gpu, engine, cluster, timer;
  DeploymentFacts facts;
  Metrics metrics;                 // over the whole run
  std::vector<BudgetLine> budget;  // likewise
  std::optional<Price> price;
  double kv_bytes_per_s = 0;  // that its links carry to or from the other pool; 0: none, or no limit
};

/// Plain data; every string is ready to print. Holds no wall-clock time and no host name: equal runs give
/// equal reports.
struct Forecast {
  Metrics metrics;
  DeploymentFacts facts;
  const RunRecord* record = nullptr;  // distributions and timeline; not owned, outlives the writers' calls

  std::string title;     // one line: "Llama-3.1-8B on 4 x H100 SXM"
  std::string scenario;  // file name without folders, or "defaults"
  std::string model;     // "Llama-3.1-8B: 32 layers, GQA 32/8 heads of 128, 8.03 B parameters, bfloat16"
  std::string gpu;       // "NVIDIA H100 SXM 80 GB: 3,350 GB/s, 989 TFLOP/s bf16"
  std::string engine;    // "vllm-0.32, scheduler vllm-v1, paged blocks of 16, KV in bfloat16"
  std::string cluster;   // "4 replicas, TP 1, router round-robin"
  std::string workload;  // "azure_conv.csv (azure), 19,366 requests"
  std::string timer;     // "data-sheet roofline of H100 SXM"
  bool calibrated = false;

  std::vector<BudgetLine> budget;  // in waterfall order; empty where the pool was set outright
  std::vector<SloTerm> slo;        // empty: no SLO was set
  std::vector<Assumption> assumptions;
  std::vector<std::string> notes;  // warnings that belong next to the verdict
  std::vector<InputHash> inputs;   // in order of path
  std::optional<Price> price;
  Uncertainty uncertainty;
  std::vector<PoolForecast> pools;  // where replicas are of several shapes; each has its own budget
  std::vector<StepSpan> steps;      // a stretch of the first replica's steps, in order; for the HTML report,
                                    // empty where nobody asked
  std::optional<SpeculationFacts> speculation;
  const struct Explanation* explanation = nullptr;  // of kvcast explain; not owned
  std::uint64_t seed = 0;
  std::string version;
  std::string command;   // shown by the HTML report only; empty: not shown
  std::string resolved;  // Config::dump() of the scenario in force
};

/// True where no SLO is set, or every term of it is met and the engine does not hang.
[[nodiscard]] bool slo_met(const Forecast& forecast);

/// How a run stands to one term: met when the statistic is at or below the limit and anything completed at
/// all. A metric without samples (TPOT where every request has one token) meets its term. \throws InputError
/// naming the known metrics or statistics
[[nodiscard]] SloTerm judge_slo(const Metrics& metrics, const std::string& metric,
                                const std::string& statistic, double limit_ms);

/// What the GPUs cost while the run lasts.
struct Cost {
  double per_hour = 0;
  double total = 0;                      // of the run's duration
  double per_million_output_tokens = 0;  // 0 where nothing was generated
};
[[nodiscard]] Cost cost_of_run(const Price& price, const Forecast& forecast);
/// Of one pool's GPUs, idle ones included. \param pool has a price
[[nodiscard]] Cost cost_of_pool(const PoolForecast& pool, const Forecast& forecast);

/// The statistic of a metric that an SloTerm names, in milliseconds.
/// \throws InputError naming the known metrics or statistics
[[nodiscard]] double statistic_ms(const Metrics& metrics, const std::string& metric,
                                  const std::string& statistic);

}  // namespace kvcast
