/// Rows of data/oracles/vllm_kv_capacity as kvcast's options, and the models they name.
#pragma once

#include <map>
#include <string>

#include "hwmodels/memory_report.h"
#include "tests/oracles/memory_csv.h"
#include "tests/support/data.h"

namespace kvcast::test {

/// A row of kv_capacity.csv.gz.
inline MemoryOptions capacity_options(const CsvRow& row, const GpuSpec& h100) {
  MemoryOptions options;
  options.profile = load_engine_profile("vllm-0.32", h100);
  options.tensor_parallel_size = std::stoll(row.at("tp"));
  options.pipeline_parallel_size = std::stoll(row.at("pp"));
  options.decode_context_parallel_size = std::stoll(row.at("dcp"));
  options.enable_expert_parallel = row.at("ep") == "1";
  options.kv_cache_dtype = parse_kv_dtype(row.at("kv_cache_dtype"), "row");
  if (!row.at("block_size_arg").empty()) options.block_size = std::stoll(row.at("block_size_arg"));
  options.max_model_len = std::stoll(row.at("max_model_len"));
  options.max_num_batched_tokens = std::stoll(row.at("max_num_batched_tokens"));
  options.enable_prefix_caching = row.at("prefix_caching") == "1";
  options.async_scheduling = row.at("async_scheduling") == "1";
  options.disable_hybrid_kv_cache_manager = row.at("hybrid_manager") == "0";
  options.mamba_ssm_cache_dtype = row.at("mamba_ssm_cache_dtype");
  options.spec_method = row.at("spec_method");
  options.num_speculative_tokens = std::stoll(row.at("speculative_tokens"));
  options.available_kv_bytes = std::stoll(row.at("available_bytes"));
  return options;
}

/// Models of data/models/hf_config, each read once.
class ModelCache {
 public:
  explicit ModelCache(std::filesystem::path folder) : folder_(std::move(folder)) {}
  const ModelSpec& at(const std::string& name) {
    if (models_.count(name) == 0) models_.emplace(name, load_model((folder_ / (name + ".json")).string()));
    return models_.at(name);
  }

 private:
  std::filesystem::path folder_;
  std::map<std::string, ModelSpec> models_;
};

}  // namespace kvcast::test
