/// One-line texts about models, GPUs and engines for the outputs.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/memory_report.h"
#include "sim/metrics/forecast.h"

namespace kvcast {

/// "llama-3.1-8b: 32 layers, GQA 32/8 heads of 128, 8.03 B parameters, bfloat16"
[[nodiscard]] std::string describe_model(const ModelSpec& model);
/// "NVIDIA H100 SXM5 80 GB: 3,350 GB/s, 989 TFLOP/s bf16"
[[nodiscard]] std::string describe_gpu(const GpuSpec& gpu, const std::string& dtype);
/// "llama-3.1-8b on 4 x NVIDIA H100 SXM5 80 GB"
[[nodiscard]] std::string describe_title(const ModelSpec& model, const GpuSpec& gpu, std::int64_t gpus);
/// "fp8_e4m3"; the model's dtype where the cache follows it.
[[nodiscard]] std::string describe_kv_dtype(const ModelSpec& model, const KvReport& kv);
/// Names of this catalogue's dtypes: "bfloat16" -> "bf16".
[[nodiscard]] std::string short_dtype(const std::string& dtype);

[[nodiscard]] std::vector<BudgetLine> budget_lines(const MemoryReport& report);

}  // namespace kvcast
