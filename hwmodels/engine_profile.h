/// Engine profiles: an engine's defaults by version, read from configs/engines/<name>.yaml.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/gpu_spec.h"

namespace kvcast {

/// How an engine turns its block count into the token figure that it logs.
enum class TokenFormula : std::uint8_t {
  concurrency,        // floor(max_concurrency x max_model_len): vLLM since about 0.21
  blocks_per_groups,  // floor(num_blocks / groups) x block_size: vLLM up to about 0.20, wrong for hybrids
                      // (vLLM issue 40691)
};

/// How the sampler of the profiling run works on logits; decides what it allocates per logit.
enum class SamplerKernel : std::uint8_t {
  sort,   // PyTorch's sort of the whole vocabulary
  fused,  // FlashInfer's or Triton's kernel: softmax and masking only
};

/// Time between a client and the engine, microseconds: HTTP and tokenizer before, detokenizer and streaming
/// after.
struct FrontendTimes {
  double before_us = 0;
  double per_input_token_us = 0;  // on top of before_us, for each prompt token
  double after_us = 0;
  double relative_error = 0;  // one standard error of these times
  std::string source;         // of these figures; empty where all are 0
};

/// Which steps run as captured CUDA graphs, padded to a size that was captured.
struct CudaGraphs {
  std::vector<std::int64_t> sizes;  // tokens of a step, ascending; empty: none
  std::int64_t per_seq = 1;         // sizes end at so many tokens for each sequence that may run
  bool prompts = false;             // steps with prompt chunks too, else decode steps alone
  std::string source;
};

/// The sizes in force, for so many sequences at once.
[[nodiscard]] std::vector<std::int64_t> captured_sizes(const CudaGraphs& graphs, std::int64_t max_num_seqs);

/// Defaults of one engine version on one GPU. Every one can be set in the scenario; the output says which
/// were assumed.
struct EngineProfile {
  std::string name;    // "vllm-0.32"
  std::string engine;  // "vllm", "hf", "sglang", "tensorrt-llm"
  std::string version;
  std::string summary;
  double gpu_memory_utilization = 0;
  std::int64_t max_num_seqs = 0;
  std::int64_t max_num_batched_tokens = 0;
  std::int64_t block_size = 0;         // smallest that the default attention backend takes, tokens
  std::int64_t mla_block_size = 0;     // the same for latent attention
  bool subtracts_cuda_graphs = false;  // the CUDA-graph estimate is taken off the KV budget
  bool async_scheduling = false;
  bool enable_prefix_caching = false;
  bool enable_prefix_caching_recurrent = false;  // the same for models with recurrent layers
  bool enable_chunked_prefill = false;
  bool hybrid_kv_cache_manager = false;
  bool async_doubles_window = false;  // concurrency counts the tokens of two batches in flight (KV rule 27)
  bool null_block = false;            // one block of the pool is never handed out
  bool checks_length = false;         // refuses to start when one request of max_model_len does not fit
  bool checks_null_block = false;  // that check puts the null block aside (fixed in vLLM pull request 47272)
  bool chunked_local_hybrid =
      false;  // chunked-local layers get groups of their own; else they are sized as full attention
  bool state_checkpoints =
      false;  // recurrent layers hold one more block for a prefill checkpoint (KV rule 26)
  SamplerKernel sampler = SamplerKernel::fused;
  double sort_ns_per_logit = 0;  // of a sampler that sorts, where requests ask for top-k or top-p
  std::string sort_source;
  TokenFormula token_formula = TokenFormula::concurrency;
  std::string mxfp4_backend;  // kernel of MXFP4 experts on GPUs that have a choice: "triton" or "marlin";
                              // decides their padding
  std::string scheduler;      // name in the catalogue of schedulers
  std::string allocator;
  double host_overhead_us = 0;  // per step, not hidden behind the GPU
  std::string host_overhead_source;
  double host_hidden_us = 0;  // the host's work for a step that runs beside the GPU's: no step is shorter
  std::string host_hidden_source;
  CudaGraphs cuda_graphs;
  FrontendTimes frontend;
  double step_time_error = 0;  // one relative standard error of a step's time as the sum of its kernels,
                               // beside the kernels' own errors; seen on real runs
  std::string kv_cache_dtype = "auto";
  std::vector<std::string> sources;
};

/// SGLang sizes its pool, and names its arguments, in its own way.
[[nodiscard]] inline bool is_sglang(const EngineProfile& profile) { return profile.engine == "sglang"; }

/// \param where "file:line:column" of the name, for the message
/// \param gpu some defaults depend on its memory and kind
/// \throws InputError naming the known profiles
[[nodiscard]] EngineProfile load_engine_profile(const std::string& name, const GpuSpec& gpu,
                                                const std::string& where = {});

/// Names of all profiles, in order, with their summaries.
struct EngineProfileName {
  std::string name;
  std::string summary;
};
[[nodiscard]] std::vector<EngineProfileName> list_engine_profiles();

}  // namespace kvcast
