// What the keys of a scenario mean, for the JSON Schema and for `kvcast init`. One sentence each, without the
// default, which the readers know.
#include <utility>

#include "sim/app/scenario_schema.h"

namespace kvcast {
namespace {

using Description = std::pair<std::string_view, std::string_view>;

constexpr Description kDescriptions[] = {
    {"model", "A Hugging Face config.json, a folder that holds one, or a name of kvcast list models"},
    {"engine", "The serving engine, under vLLM's argument names"},
    {"engine.profile", "Engine and version, which decide every default (kvcast list engines)"},
    {"engine.dtype", "Type of weights and activations: auto (the model's), bfloat16, float16, float32"},
    {"engine.kv_cache_dtype",
     "Type of the KV cache: auto (the model's), bfloat16, float16, fp8, fp8_e5m2, int8_per_token_head, "
     "fp8_per_token_head, int4_per_token_head, int8, int4, nf4"},
    {"engine.block_size", "Tokens in a block of the KV cache"},
    {"engine.gpu_memory_utilization", "Share of the GPU's memory that the engine may use"},
    {"engine.num_gpu_blocks_override", "Sets the number of KV blocks outright, without a memory check"},
    {"engine.max_model_len", "Longest request, prompt and answer together, in tokens"},
    {"engine.max_num_seqs", "Most requests in one step"},
    {"engine.max_num_batched_tokens", "Most tokens in one step: the size of prompt chunks"},
    {"engine.enable_prefix_caching", "Whether prompts that begin alike share their KV blocks"},
    {"engine.enable_chunked_prefill", "Whether long prompts are computed in pieces beside decodes"},
    {"engine.async_scheduling", "Whether the next step is planned while one runs"},
    {"engine.long_prefill_token_threshold",
     "Prompts longer than this are taken in chunks of it; 0: no such cap"},
    {"engine.enforce_eager", "Runs without CUDA graphs"},
    {"engine.scheduler", "Who runs in the next step (kvcast list schedulers)"},
    {"engine.scheduling_policy", "Order of the queue (kvcast list policies)"},
    {"engine.allocator", "How the KV cache is divided (kvcast list allocators)"},
    {"engine.preemption",
     "What becomes of a sequence's KV when it gives way: recompute, swap, or of the two the cheapest for "
     "each"},
    {"engine.state_snapshots", "Where recurrent layers keep a state for prompts that begin alike"},
    {"engine.kv_offload.prefetch",
     "When loads from a tier begin: as a request comes to the head of the queue, or as it arrives"},
    {"engine.kv_pools",
     "Whether layers that keep every token and those that do not draw from one pool of blocks (shared) or "
     "from two (split)"},
    {"engine.kv_pool_window_share",
     "Of a split cache: the share of the blocks for layers that do not keep every token"},
    {"engine.swap_space_gib", "Host memory for swapped sequences, GiB a GPU"},
    {"engine.prefix_cache_eviction", "Which cached block goes when the pool is full (kvcast list evictions)"},
    {"engine.sampling",
     "How tokens are drawn: greedy or top_k_top_p, which costs a sort of the vocabulary for each token up to "
     "vLLM 0.15"},
    {"engine.parallel_sampling", "How several answers of one request are made: copy_on_write or separate"},
    {"engine.beam_fork_rate", "Share of steps in which a beam forks"},
    {"engine.model_overrides", "Values that replace those of the model's config.json"},
    {"engine.step_time",
     "Where step times come from; left out: the best calibration that covers model and GPU"},
    {"engine.step_time.calibration", "A file made by kvcast calibrate, calibrate import or calibrate steps"},
    {"engine.step_time.fit", "The fit's name, where the calibration holds several"},
    {"engine.step_time.affine", "A formula in place of a model of the hardware, for tests and teaching"},
    {"engine.step_time.roofline", "true: the data sheet's roofline, even where a calibration is there"},
    {"engine.step_time.speed_factor", "Multiplies every step time"},
    {"engine.step_time.host_overhead_us", "Time of the host in each step, in place of the profile's"},
    {"engine.frontend", "Time before and after the engine: HTTP, tokenizer, detokenizer"},
    {"engine.kv_offload", "Tiers below the GPU's memory: host, SSD, remote"},
    {"engine.edf", "TTFT targets by SLO class, for the earliest-deadline queue"},
    {"engine.vtc", "Weights of input and output tokens, for the fair queue"},
    {"engine.capacity_scheduler_policy", "TensorRT-LLM's: guaranteed_no_evict or max_utilization"},
    {"engine.speculative", "Speculative decoding: method, draft tokens, acceptance"},
    {"cluster", "The GPUs and how many of them"},
    {"cluster.gpu", "A name of kvcast list gpus, or a mapping with memory, bandwidth and rates of your own"},
    {"cluster.tensor_parallel_size", "GPUs that share each layer of one replica"},
    {"cluster.pipeline_parallel_size", "Stages of consecutive layers in one replica"},
    {"cluster.replicas", "Copies of the deployment behind one router"},
    {"cluster.router", "Which replica serves a request (kvcast list routers)"},
    {"cluster.prefix_index",
     "What the router knows of cached prefixes: approximate (what it sent where) or exact (what engines "
     "hold)"},
    {"cluster.admission", "What may enter the cluster; the rest is refused before the router"},
    {"cluster.admission.max_inflight", "Most requests inside the cluster"},
    {"cluster.admission.rate_limits",
     "Token buckets, a request must pass them all: requests_per_s or tokens_per_s, burst, per (cluster or "
     "tenant)"},
    {"cluster.admission.shed", "Refuses requests that can wait while no replica has room"},
    {"cluster.admission.shed.priority_above", "Requests with a larger priority value can wait"},
    {"cluster.admission.shed.waiting_max", "A replica has room with at most so many requests waiting"},
    {"cluster.admission.shed.kv_usage_max",
     "A replica has room with at most this share of its KV blocks in use"},
    {"cluster.price_per_gpu_hour", "USD, in place of the catalogue's price"},
    {"workload", "The requests: a trace, or synthetic ones"},
    {"workload.trace", "Requests of a file"},
    {"workload.trace.path", "The file, plain or compressed"},
    {"workload.trace.format", "One of kvcast list traces; left out: found from the content"},
    {"workload.trace.limit", "The first so many requests only"},
    {"workload.trace.rate_scale", "2: arrivals twice as close together"},
    {"workload.synthetic", "Requests drawn from distributions"},
    {"workload.synthetic.requests", "How many"},
    {"workload.synthetic.arrivals", "When they come: process, rate, burstiness or concurrency"},
    {"workload.synthetic.input",
     "Prompt lengths: {fixed: 512}, {uniform: [1, 900]}, {lognormal: {mean: 800, cv: 1.2}}, "
     "{quantiles: [...]}"},
    {"workload.synthetic.output", "Answer lengths, in the forms of input"},
    {"workload.max_concurrency", "Most requests under way at once; others wait with the client"},
    {"slo", "Latencies asked for; kvcast exits with 1 where one is missed"},
    {"slo.ttft_ms", "Time to first token: {p99: 2000}; mean, median, p50, p90, p95, p99"},
    {"slo.tpot_ms", "Time per output token after the first"},
    {"slo.itl_ms", "Gaps between tokens"},
    {"slo.e2el_ms", "Whole request"},
    {"slo.queue_ms", "Waiting before the first step"},
    {"seed", "Of all randomness: equal seeds give equal runs"},
    {"limits", "Where a run is cut off"},
    {"limits.sim_time_s", "Simulated seconds; what is not done by then is unfinished"},
    {"plan", "What kvcast plan may choose; simulate ignores it"},
    {"plan.goal", "cost: the cheapest cluster; goodput or rate: the most of it"},
    {"plan.gpus", "GPU types to choose from"},
    {"plan.prices", "USD a GPU and hour, by GPU"},
};

}  // namespace

std::string_view key_description(std::string_view path) {
  for (const auto& [key, text] : kDescriptions) {
    if (key == path) return text;
  }
  return {};
}

std::vector<std::string_view> described_keys() {
  std::vector<std::string_view> paths;
  for (const auto& [key, text] : kDescriptions) paths.push_back(key);
  return paths;
}

}  // namespace kvcast
