/// The KV pool of one engine: what each layer stores per block, how layers share block ids in groups, how
/// many bytes one block costs. The rules follow vLLM's memory manager (kv_cache_utils); see docs of
/// EngineProfile for what differs between versions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hwmodels/kv_dtype.h"
#include "hwmodels/model_spec.h"

namespace kvcast {

/// What shapes the pool.
struct KvOptions {
  std::int64_t tensor_parallel = 1;
  std::int64_t pipeline_parallel = 1;
  std::int64_t context_parallel = 1;  // decode context parallelism
  KvDtype dtype = KvDtype::model;
  std::int64_t block_size = 0;           // tokens; 0: as the engine chooses
  std::int64_t default_block_size = 16;  // the engine's smallest for attention
  std::int64_t mla_block_size = 16;      // and for latent attention
  bool hybrid_manager = true;
  bool prefix_caching = true;      // recurrent states are kept per block ("align"), else once ("none")
  std::int64_t max_model_len = 0;  // without prefix caching, one recurrent block spans it
  std::string state_dtype;         // mamba_ssm_cache_dtype; empty: the model's
  std::string spec_method;         // drafting: all but "ngram" and "medusa" add layers
  std::shared_ptr<const ModelSpec> draft_model;  // whose layers "draft_model" adds
  std::int64_t draft_tensor_parallel = 1;
  std::int64_t speculative_tokens = 0;
  bool state_checkpoints = true;  // recurrent layers that can export a prefill checkpoint hold one block more
  std::int64_t in_flight_tokens =
      0;  // tokens of the batches in flight: what a window may hold beside its width
};

/// What one layer (or its sparse-attention index) stores.
struct KvEntry {
  LayerKind kind = LayerKind::full_attention;  // full, sliding, chunked, mla or recurrent
  bool is_index = false;                       // the sparse indexer's keys
  std::int64_t layer = 0;                      // index in the model; drafters come after the last layer
  std::int64_t block_size = 0;                 // tokens
  std::int64_t page_bytes = 0;                 // of one block, padding included
  std::int64_t unpadded_bytes = 0;
  std::int64_t window = 0;  // tokens; 0: unbounded
  bool checkpoint = false;  // recurrent: exports prefill checkpoints
  Retention retention;
};

/// Layers that share block ids: block k of the group is page k of each of its layers.
struct KvLayoutGroup {
  LayerKind kind = LayerKind::full_attention;
  std::int64_t block_size = 0;
  std::int64_t window = 0;
  bool checkpoint = false;
  Retention retention;
  std::vector<KvEntry> entries;
  [[nodiscard]] std::int64_t page_bytes_max() const;
};

struct KvLayout {
  KvDtype dtype = KvDtype::model;        // resolved: "auto" stays, fp8 on sparse MLA becomes fp8_ds_mla
  std::int64_t block_size_resolved = 0;  // after the engine's choice and hybrid alignment, before grouping
  std::vector<KvEntry> layers;  // what each layer asks for, before windows are widened and pages made equal
  std::vector<KvLayoutGroup> groups;          // empty: the model keeps no cache
  std::int64_t bytes_per_block = 0;           // of the rank that needs most (the largest pipeline stage)
  std::int64_t bytes_per_token = 0;           // unbounded layers of that rank, without padding
  std::int64_t state_bytes_per_sequence = 0;  // recurrent layers of that rank, one state each
  std::int64_t block_size = 0;                // smallest of the groups
};

/// \throws InputError where an engine refuses: block sizes or dtypes that no attention kernel takes, heads
/// that do not divide, ...
[[nodiscard]] KvLayout make_kv_layout(const ModelSpec& model, const KvOptions& options);

/// Whether the group's layers keep less than every token.
[[nodiscard]] inline bool is_bounded(const KvLayoutGroup& group) {
  return group.window > 0 || group.kind == LayerKind::recurrent ||
         group.retention.blocks_max(group.block_size) > 0;
}

/// Blocks that one request of `tokens` needs in one group; the engine reserves room for a window plus the
/// tokens in flight.
[[nodiscard]] std::int64_t group_blocks(const KvLayoutGroup& group, const KvOptions& options,
                                        std::int64_t tokens);
/// The same, summed over the groups.
[[nodiscard]] std::int64_t request_blocks(const KvLayout& layout, const KvOptions& options,
                                          std::int64_t tokens);

/// Bytes that one token costs on one rank, in every layer whose cache grows with the context; before rounding
/// up to blocks. \param tensor_parallel KV heads are replicated when it exceeds their number; MLA is
/// replicated always Source: Shazeer 2019 (MQA), Ainslie et al. 2023 (GQA), DeepSeek-V2 report sec. 2.1
/// (MLA).
[[nodiscard]] std::int64_t kv_bytes_per_token(const ModelSpec& model, std::int64_t tensor_parallel,
                                              KvDtype dtype);

/// Bytes of one recurrent state on one rank. \param element_bytes of the recurrent part; 0: as the model says
[[nodiscard]] std::int64_t state_bytes(const RecurrentShape& state, std::int64_t tensor_parallel,
                                       std::int64_t speculative_tokens, std::int64_t dtype_bytes,
                                       std::int64_t element_bytes);

/// Bytes one token costs in one attention or MLA layer on one rank (0 in other kinds), with what its
/// retention keeps of scores; its sparse index not counted.
[[nodiscard]] std::int64_t layer_bytes_per_token(const LayerSpec& layer, std::int64_t tensor_parallel,
                                                 KvDtype dtype, std::int64_t dtype_bytes);

constexpr std::int64_t kIndexBytesPerElement = 1;  // fp8 keys of the sparse indexer
constexpr std::int64_t kIndexScaleBytes = 4;       // and one fp32 scale per token

}  // namespace kvcast
