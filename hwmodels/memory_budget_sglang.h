/// The waterfall from a GPU's memory to the KV cache, as SGLang makes it: no profiling run, a fixed share.
#pragma once

#include <vector>

#include "hwmodels/memory_report.h"

namespace kvcast {

/// KV bytes = free memory after the weights - (1 - mem_fraction_static) x free memory before them;
/// activations and CUDA graphs live in the share that is left out. Items sum to the KV cache's bytes. report
/// holds weights and gpu_memory_utilization (mem_fraction_static). Source: SGLang 0.5.23, srt/model_executor
/// (pool configuration), as read; checked against two public logs, see docs/accuracy.md.
[[nodiscard]] std::vector<BudgetItem> sglang_memory_budget(const ModelSpec& model, const GpuSpec& gpu,
                                                           const MemoryOptions& options,
                                                           const MemoryReport& report);

}  // namespace kvcast
