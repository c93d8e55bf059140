/// Physical forms of kernel times: what a kernel's time must follow from bytes, FLOP and waves of work, with
/// few parameters that tables of timings fill in. What the form misses is left to a residual
/// (kernel_model.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/fit_least_squares.h"

namespace kvcast {

/// What one evaluation of a form depends on; the order is that of the KernelForm's lists.
struct FormInput {
  const double* at = nullptr;          // coordinates of the point
  const double* constants = nullptr;   // what the class shares
  const double* parameters = nullptr;  // fitted
  bool cold = false;  // nothing of the data lies in the L2 cache, as between the layers of a model; tables
                      // are made by repeating one kernel, so that what fits into the cache stays there
  double cached = 0;  // of prefill_attention: tokens before each prompt chunk that are in the KV cache
};

/// A kind of kernel. Points of a class (equal constants and labels) share one set of parameters.
struct KernelForm {
  std::string_view name;                      // "decode_attention"
  std::vector<std::string_view> coordinates;  // "batch", "context", ...
  std::vector<std::string_view> constants;    // "head_dim", ...
  std::vector<FitParameter> parameters;
  double (*time_us)(const FormInput&) = nullptr;
  /// log2 of what the residual is a function of. Empty: the form has no residual.
  std::vector<double> (*features)(const double* at) = nullptr;
};

/// In the order of the report. Names:
/// - decode_attention: batch sequences of one query each over `context` keys. The work-item form: items =
/// batch *
///   kv_heads, split along the context where they do not fill the SMs (FlashAttention-3's heuristic), waves
///   of items with an overhead each, one SM's bandwidth on the longest, the memory's on all.
/// - prefill_attention: batch prompts of `tokens` under the causal mask: waves of query tiles, the last
/// tile's
///   path, bytes.
/// - mla_decode, mla_prefill: DeepSeek-V3's whole attention module (projections too) with `heads` of its
/// heads.
/// - gdn: one of the kernels of a gated delta net.
/// - gemm, moe: rows (tokens) through weights; bytes and FLOP only, the residual is a curve at each site.
/// - collective: a + n / beta + c log(1 + n / k) over `bytes`.
[[nodiscard]] std::span<const KernelForm> kernel_forms();
/// nullptr where there is none of this name.
[[nodiscard]] const KernelForm* find_kernel_form(std::string_view name);

/// Splits of the context that FlashAttention-3's scheduler chooses for `items` work items of `blocks` key
/// blocks on `sms` SMs. Source: flash-attention hopper/heuristics.h (num_splits_heuristic).
[[nodiscard]] std::int64_t attention_splits(std::int64_t items, std::int64_t blocks, std::int64_t sms);

}  // namespace kvcast
