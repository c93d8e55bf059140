#include "hwmodels/memory_budget_sglang.h"

#include <fmt/format.h>

#include <cmath>

namespace kvcast {
namespace {

// The CUDA context and the libraries that PyTorch loads, before any weight: an L40S reports 44.39 GiB and
// logged 44.00 free (SGLang pull request 13023, 2025-11).
constexpr double kContextGib = 0.39;
// NCCL's and the all-reduce kernels' buffers: 2.0 GiB on each of 8 H200 (SGLang pull request 11716, 2025-10).
constexpr double kCommunicationGibPerRank = 0.25;

std::int64_t gib_bytes(double gib) { return static_cast<std::int64_t>(std::llround(gib * 0x1p30)); }

}  // namespace

std::vector<BudgetItem> sglang_memory_budget(const ModelSpec& model, const GpuSpec& gpu,
                                             const MemoryOptions& options, const MemoryReport& report) {
  std::vector<BudgetItem> items;
  const auto add = [&items](const char* item, std::int64_t bytes, std::string source) {
    items.push_back({item, bytes, std::move(source)});
  };
  const std::int64_t ranks = options.tensor_parallel_size;
  const std::int64_t context = gib_bytes(kContextGib);
  const std::int64_t communication =
      ranks > 1 ? gib_bytes(kCommunicationGibPerRank * static_cast<double>(ranks)) : 0;
  const auto free_at_start = static_cast<double>(gpu.memory_bytes() - context - communication);
  const auto left_out =
      static_cast<std::int64_t>(std::llround(free_at_start * (1 - report.gpu_memory_utilization)));
  add("gpu_memory", gpu.memory_bytes(),
      "measured: total memory of " + gpu.name + " as its driver reports it");
  add("context", -context, "assumption: 0.39 GiB, from one public SGLang log");
  if (communication > 0)
    add("communication", -communication,
        "assumption: 0.25 GiB per tensor-parallel rank, from one public SGLang log");
  add("outside_static_fraction", -left_out,
      fmt::format(
          "formula: 1 - mem_fraction_static {} of what is free before the weights: activations, CUDA graphs",
          report.gpu_memory_utilization));
  add("weights", -report.weights.bytes_per_rank,
      fmt::format("formula: parameters of {} on one of {} ranks, {}", model.name, ranks,
                  to_string(model.quantization.format)));
  add("weight_buffers", -report.weights.buffer_bytes,
      "formula: rotary tables and other buffers beside the parameters");
  if (report.weights.mla_absorbed_bytes > 0)
    add("mla_absorbed", -report.weights.mla_absorbed_bytes,
        "formula: copies of kv_b_proj made after loading");
  if (report.weights.draft_bytes > 0)
    add("drafter", -report.weights.draft_bytes, "formula: the drafter's parameters without those it shares");
  return items;
}

}  // namespace kvcast
