/// What fits: weights, activations, KV cache, blocks, tokens, concurrency of one engine on one GPU (per
/// rank).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/engine_profile.h"
#include "hwmodels/gpu_spec.h"
#include "hwmodels/kv_capacity.h"
#include "hwmodels/kv_dtype.h"
#include "hwmodels/kv_layout.h"
#include "hwmodels/model_spec.h"

namespace kvcast {

/// The terms of vLLM's budget that no formula gives, fitted on published logs and refitted without each GPU
/// in turn by tests/oracles/memory_measured.cpp (docs/accuracy.md has the rows and the errors).
struct BudgetConstants {
  /// Memory that neither weights nor activations explain: kernels loaded on first use, workspaces, and the
  /// buffers of NCCL and the custom all-reduce, which grow with the ranks. Least absolute deviations over one
  /// node's logs.
  double non_torch_gib = 0.24;
  double non_torch_gib_per_rank = 0.11;
  /// A captured graph keeps its kernel nodes and their buffers. The median of the logged captures.
  double graph_mib_per_layer_and_size = 0.39;
};

/// What a user can set; zero or empty means the engine's or the model's default. from_profile() fills in the
/// defaults.
struct MemoryOptions {
  EngineProfile profile;
  std::int64_t tensor_parallel_size = 1;
  std::int64_t pipeline_parallel_size = 1;
  std::int64_t decode_context_parallel_size = 1;
  std::int64_t context_parallel_size = 1;  // ranks that share a prompt's tokens and everybody's cache
  std::int64_t data_parallel_size = 1;     // ranks with a cache of their own that share the experts
  bool enable_expert_parallel = false;
  KvDtype kv_cache_dtype = KvDtype::model;
  std::string dtype;               // of the weights; empty: the model's
  std::int64_t block_size = 0;     // 0: as the engine chooses
  std::int64_t max_model_len = 0;  // 0: the model's
  std::int64_t max_num_seqs = 0;   // 0: the profile's
  std::int64_t max_num_batched_tokens = 0;
  double gpu_memory_utilization = 0;  // 0: the profile's
  bool enforce_eager = false;         // no CUDA graphs
  std::optional<bool> enable_prefix_caching;
  std::optional<bool> async_scheduling;
  std::optional<bool> enable_chunked_prefill;  // carried for the schedulers; the step's tokens are
                                               // max_num_batched_tokens either way
  bool disable_hybrid_kv_cache_manager = false;
  std::optional<PoolSplit> kv_pool_split;  // none: one pool for all groups of layers
  std::string mamba_ssm_cache_dtype;       // "float32", "bfloat16", "float16"; empty: from the model
  std::string spec_method;                 // "", or a to_string(DraftMethod)
  std::int64_t num_speculative_tokens = 0;
  std::shared_ptr<const ModelSpec> draft_model;  // of the method draft_model
  std::int64_t draft_tensor_parallel_size = 1;
  std::string moe_backend;                         // "", "triton", "marlin": how MXFP4 experts are padded
  std::optional<std::int64_t> available_kv_bytes;  // per rank: skips the budget
  std::optional<std::int64_t> num_gpu_blocks_override;  // null block counted
  BudgetConstants constants;
};

/// One line of the waterfall. Bytes are signed: what is taken off is negative, so that the items sum to the
/// KV cache's share.
struct BudgetItem {
  std::string item;
  std::int64_t bytes = 0;
  std::string source;  // "measured", "formula" or "assumption", colon, the reason
};

struct WeightsReport {
  std::int64_t parameters = 0;          // of the whole model, unquantised elements
  std::int64_t parameters_active = 0;   // per token
  std::int64_t bytes_per_rank = 0;      // parameters only
  std::int64_t buffer_bytes = 0;        // rotary tables, index maps
  std::int64_t mla_absorbed_bytes = 0;  // copies of kv_b_proj that MLA makes after loading
  std::int64_t draft_bytes = 0;         // a drafter's parameters and buffers, not in the lines above
  std::int64_t loaded_bytes = 0;        // the sum
  std::string refused;                  // why the weights are not counted; empty: they are
};

struct KvGroupReport {
  std::string kind;  // "full_attention", "sliding_window", "chunked_local", "mla", "recurrent"
  std::int64_t layers = 0;
  std::int64_t block_size = 0;          // tokens
  std::int64_t page_bytes = 0;          // one layer's part of one block, padding included
  std::int64_t window = 0;              // tokens; 0: unbounded
  std::int64_t blocks_per_request = 0;  // of max_model_len
  std::int64_t blocks_max = 0;          // of any request, where a bounded cache recycles them; 0: no bound
  std::int64_t prompt_max = 0;          // tokens of a prompt that stay; 0: all
};

/// Whether its layers keep less than every token.
[[nodiscard]] inline bool is_bounded(const KvGroupReport& group) {
  return group.window > 0 || group.kind == "recurrent" || group.blocks_max > 0;
}

struct KvReport {
  std::string dtype;                          // resolved
  std::string scheme;                         // what the scales cost
  std::int64_t bytes_per_token = 0;           // unbounded layers only, per rank, before rounding up to blocks
  std::int64_t state_bytes_per_sequence = 0;  // recurrent layers
  std::int64_t bytes_per_block = 0;
  std::int64_t block_size = 0;    // smallest of the groups'
  std::int64_t blocks_total = 0;  // as the engine logs it, null block included
  std::int64_t blocks_usable = 0;
  std::int64_t tokens_total = 0;        // the figure that the engine reports
  std::int64_t tokens_capacity = 0;     // tokens of requests of max_model_len that really fit
  double max_concurrency = 0;           // requests of max_model_len, as the engine reports it
  std::int64_t blocks_per_request = 0;  // of max_model_len, over all groups
  std::int64_t bytes_per_request = 0;   // the engine's check: the sum over groups of blocks x bytes per block
  std::vector<KvGroupReport> groups;
  std::vector<KvPool> pools;  // of a split cache
  double bounded_share = 0;   // of a split cache: the share of the blocks that the layers with bounds have
};

enum class MemoryStatus : std::uint8_t { ok, refused };

struct MemoryReport {
  MemoryStatus status = MemoryStatus::ok;
  std::string message;                  // why it is refused and what would fit; empty when ok
  std::vector<std::string> warnings;    // starts, but may hang or starve
  std::int64_t fits_max_model_len = 0;  // longest request that passes the engine's check (0: none)
  std::int64_t max_model_len = 0;
  std::int64_t max_num_seqs = 0;
  std::int64_t max_num_batched_tokens = 0;
  double gpu_memory_utilization = 0;
  std::int64_t available_kv_bytes = 0;
  WeightsReport weights;
  KvReport kv;
  std::vector<BudgetItem> budget;  // empty where available_kv_bytes was given
};

/// Sizes one rank (with pipeline parallelism: the stage with the largest page sum).
/// \throws InputError for settings that the engine refuses outright (heads not divisible, block size not
/// supported, ...)
[[nodiscard]] MemoryReport memory_report(const ModelSpec& model, const GpuSpec& gpu,
                                         const MemoryOptions& options);

/// One stage of a pipeline, on one of its ranks.
struct StageReport {
  std::int64_t first_layer = 0, layers = 0;
  std::int64_t weight_bytes = 0;        // parameters and buffers, absorbed copies too
  std::int64_t kv_bytes_per_token = 0;  // of layers whose cache grows with the context, on all ranks that
                                        // share one; before rounding up to blocks
};

/// All stages, in order. \throws InputError as above, and where the weights cannot be counted
[[nodiscard]] std::vector<StageReport> stage_reports(const ModelSpec& model, const GpuSpec& gpu,
                                                     const MemoryOptions& options);

/// The pool's groups and what each layer stores, as memory_report() sizes them; in the model's own dtype.
/// \throws InputError as above
[[nodiscard]] KvLayout memory_layout(const ModelSpec& model, const MemoryOptions& options);

}  // namespace kvcast
