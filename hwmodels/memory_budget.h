/// The waterfall from a GPU's memory to the KV cache, as vLLM's profiling run makes it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "hwmodels/gpu_spec.h"
#include "hwmodels/memory_report.h"
#include "hwmodels/model_spec.h"

namespace kvcast {

/// Peak of the transient tensors of one step of `tokens` tokens with `rows` sampled rows, bytes on one rank.
struct ActivationPeak {
  std::int64_t forward_bytes = 0;  // widest layer: its inputs, projections and workspaces at once
  std::int64_t sampler_bytes = 0;  // logits and what top-k/top-p sampling makes of them
  std::int64_t encoder_bytes =
      0;  // the vision encoder's widest layer over the largest items, run before both
  std::int64_t encoded_bytes = 0;  // its outputs, which wait in the encoder cache during both
  [[nodiscard]] std::int64_t bytes() const {
    return std::max(encoder_bytes, encoded_bytes + std::max(forward_bytes, sampler_bytes));
  }
};

/// Tensors that are alive at once in an engine's forward pass: hidden state, residual and normed input (3 x
/// hidden_size), and the widest of attention (queries, keys, values, output), dense MLP (gate, up, product),
/// experts (both workspaces of a fused MoE kernel for each of the top-k copies of a token) and recurrent
/// projections. Logits are counted over the whole vocabulary on every rank. The forward part reproduces the
/// two published V0 breakdowns of one 8B model: 2.07 GiB at 20,000 tokens and 2.99 GiB at 29,000 (vLLM issue
/// 10517); nothing in it is fitted. A multimodal model first encodes as many items of the
/// largest kind as max_num_batched_tokens hold, at least one (vLLM: profile_run, MultiModalBudget).
[[nodiscard]] ActivationPeak activation_peak(const ModelSpec& model, const MemoryOptions& options,
                                             std::int64_t tokens, std::int64_t rows);

/// Items that sum to the KV cache's bytes. options.moe_backend must be resolved, report hold weights,
/// max_num_seqs, max_num_batched_tokens and gpu_memory_utilization. \throws InputError where the weights
/// cannot be counted
[[nodiscard]] std::vector<BudgetItem> memory_budget(const ModelSpec& model, const GpuSpec& gpu,
                                                    const MemoryOptions& options, const MemoryReport& report);

}  // namespace kvcast
