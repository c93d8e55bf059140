#include "hwmodels/engine_profile.h"

#include <algorithm>

#include "sim/base/config.h"
#include "sim/base/embedded.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::string_view kFolder = "configs/engines/";
constexpr std::string_view kSuffix = ".yaml";
constexpr IntRange kCounts{1, std::int64_t{1} << 30};

std::string name_of(const EmbeddedFile& file) {
  return std::string(file.path.substr(kFolder.size(), file.path.size() - kFolder.size() - kSuffix.size()));
}

/// A default that depends on the GPU: the last entry whose conditions hold, in the file's order.
/// {value: 256} or {value: 1024, memory_gib_min: 70, except: [a100]}.
std::int64_t by_gpu(Config& config, std::string_view key, const GpuSpec& gpu) {
  std::int64_t value = 0;
  for (Config& entry : config.children(key)) {
    const std::int64_t candidate = entry.get_int("value", kCounts);
    const double memory = entry.get_real("memory_gib_min", {0, 1e6}, 0);
    const std::vector<std::string> except =
        entry.has("except") ? entry.get_strings("except") : std::vector<std::string>{};
    const bool excepted = std::any_of(except.begin(), except.end(), [&](const std::string& part) {
      return gpu.name.find(part) != std::string::npos;
    });
    if (gpu.memory_gib >= memory && !excepted) value = candidate;
  }
  if (value == 0) config.fail(key, "needs an entry that holds for every GPU");
  return value;
}

FrontendTimes read_frontend(Config config) {
  constexpr RealRange kTimes{0, 1e9};
  FrontendTimes times;
  times.before_us = config.get_real("before_us", kTimes);
  times.per_input_token_us = config.get_real("per_input_token_us", kTimes);
  times.after_us = config.get_real("after_us", kTimes);
  times.relative_error = config.get_real("relative_error", {0, 1}, 0);
  times.source = config.get_string("source");
  return times;
}

/// {sizes: [{from: 8, to: 256, by: 8}, ...], per_seq: 2, prompts: true, source: ...}
CudaGraphs read_cuda_graphs(Config config) {
  CudaGraphs graphs;
  for (Config& range : config.children("sizes")) {
    const std::int64_t from = range.get_int("from", kCounts);
    const std::int64_t to = range.get_int("to", kCounts, from);
    const std::int64_t by = range.get_int("by", kCounts, 1);
    for (std::int64_t size = from; size <= to; size += by) {
      if (!graphs.sizes.empty() && graphs.sizes.back() >= size) range.fail("from", "sizes must ascend");
      graphs.sizes.push_back(size);
    }
  }
  graphs.per_seq = config.get_int("per_seq", kCounts, 1);
  graphs.prompts = config.get_bool("prompts", false);
  graphs.source = config.get_string("source");
  return graphs;
}

EngineProfile read_profile(const EmbeddedFile& file, const GpuSpec& gpu) {
  Config config = Config::from_text(file.text, std::string(file.path));
  EngineProfile profile;
  profile.name = name_of(file);
  profile.engine = config.get_string("engine");
  profile.version = config.get_string("version");
  profile.summary = config.get_string("summary");
  profile.gpu_memory_utilization = config.get_real("gpu_memory_utilization", {0.01, 1});
  profile.max_num_seqs = by_gpu(config, "max_num_seqs", gpu);
  profile.max_num_batched_tokens = by_gpu(config, "max_num_batched_tokens", gpu);
  profile.block_size = config.get_int("block_size", kCounts);
  profile.mla_block_size = config.get_int("mla_block_size", kCounts);
  profile.subtracts_cuda_graphs = config.get_bool("subtracts_cuda_graphs", false);
  profile.async_scheduling = config.get_bool("async_scheduling", false);
  profile.enable_prefix_caching = config.get_bool("enable_prefix_caching", false);
  profile.enable_prefix_caching_recurrent = config.get_bool("enable_prefix_caching_recurrent", false);
  profile.enable_chunked_prefill = config.get_bool("enable_chunked_prefill", false);
  profile.hybrid_kv_cache_manager = config.get_bool("hybrid_kv_cache_manager", false);
  profile.async_doubles_window = config.get_bool("async_doubles_window", false);
  profile.null_block = config.get_bool("null_block", false);
  profile.checks_length = config.get_bool("checks_length", false);
  profile.checks_null_block = config.get_bool("checks_null_block", false);
  profile.chunked_local_hybrid = config.get_bool("chunked_local_hybrid", false);
  profile.state_checkpoints = config.get_bool("state_checkpoints", false);
  profile.sampler = config.get_choice("sampler", {"sort", "fused"}, "fused") == "sort" ? SamplerKernel::sort
                                                                                       : SamplerKernel::fused;
  profile.sort_ns_per_logit = config.get_real("sort_ns_per_logit", {0, 1e3}, 0);
  profile.sort_source = config.get_string("sort_source", "");
  profile.token_formula =
      config.get_choice("token_formula", {"concurrency", "blocks_per_groups"}, "concurrency") == "concurrency"
          ? TokenFormula::concurrency
          : TokenFormula::blocks_per_groups;
  profile.mxfp4_backend = config.get_choice("mxfp4_backend", {"triton", "marlin"}, "triton");
  profile.scheduler = config.get_string("scheduler");
  profile.allocator = config.get_string("allocator");
  profile.host_overhead_us = config.get_real("host_overhead_us", {0, 1e6});
  profile.host_overhead_source = config.get_string("host_overhead_source");
  profile.step_time_error = config.get_real("step_time_error", {0, 1}, 0);
  profile.host_hidden_us = config.get_real("host_hidden_us", {0, 1e6}, 0);
  profile.host_hidden_source = config.get_string("host_hidden_source", "");
  if (config.has("cuda_graphs")) profile.cuda_graphs = read_cuda_graphs(config.child("cuda_graphs"));
  if (config.has("frontend")) profile.frontend = read_frontend(config.child("frontend"));
  profile.sources = config.get_strings("sources");
  config.finish();
  return profile;
}

}  // namespace

std::vector<std::int64_t> captured_sizes(const CudaGraphs& graphs, std::int64_t max_num_seqs) {
  std::vector<std::int64_t> sizes = graphs.sizes;
  const std::int64_t most = graphs.per_seq * max_num_seqs;
  while (!sizes.empty() && sizes.back() > most) sizes.pop_back();
  return sizes;
}

EngineProfile load_engine_profile(const std::string& name, const GpuSpec& gpu, const std::string& where) {
  std::vector<std::string> known;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path.substr(0, kFolder.size()) != kFolder) continue;
    known.push_back(name_of(file));
    if (known.back() == name) return read_profile(file, gpu);
  }
  throw InputError((where.empty() ? std::string("engine.profile") : where) + ": unknown engine profile \"" +
                   name + "\"" + known_names(name, known));
}

std::vector<EngineProfileName> list_engine_profiles() {
  std::vector<EngineProfileName> names;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path.substr(0, kFolder.size()) != kFolder) continue;
    Config config = Config::from_text(file.text, std::string(file.path));
    names.push_back({name_of(file), config.get_string("summary")});
  }
  return names;
}

}  // namespace kvcast
