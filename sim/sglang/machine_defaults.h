/// SGLang's defaults that follow from the machine.
#pragma once

#include <cstdint>

namespace kvcast {

struct SglangMachine {
  std::int64_t gpu_memory_mib = 0;
  std::int64_t tensor_parallel_size = 1;
  std::int64_t pipeline_parallel_size = 1;
  bool prefill_graphs = true;  // CUDA graphs of prefill chunks
  bool mla = false;
  bool deepep = false;  // expert parallelism over DeepEP
};

/// Prompt tokens a prefill step takes at most, by GPU memory.
[[nodiscard]] std::int64_t sglang_chunked_prefill_size(const SglangMachine& machine);

/// Largest decode batch that gets a CUDA graph.
[[nodiscard]] std::int64_t sglang_decode_graph_batch_max(const SglangMachine& machine);

/// MiB kept from weights and KV cache: activations of a prefill chunk, parallelism, CUDA graphs.
/// \param prefill_tokens chunked_prefill_size, or max_prefill_tokens without chunking
[[nodiscard]] std::int64_t sglang_reserved_mib(const SglangMachine& machine, std::int64_t prefill_tokens);

/// mem_fraction_static: (gpu - reserved) / gpu, to three digits.
/// Source: SGLang 0.5.23, srt/server_args.py, as read (not measured).
[[nodiscard]] double sglang_mem_fraction_static(const SglangMachine& machine, std::int64_t prefill_tokens);

/// max_running_requests from the pool; `wanted` > 0 is what the user set.
[[nodiscard]] std::int64_t sglang_max_running_requests(std::int64_t pool_tokens, std::int64_t context_len,
                                                       std::int64_t wanted = 0);

}  // namespace kvcast
