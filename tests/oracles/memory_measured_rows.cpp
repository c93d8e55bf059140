#include "tests/oracles/memory_measured_rows.h"

namespace kvcast::test {
namespace {

// Total memory as PyTorch reports it in public logs. GB300: 276.50 GiB; H20: the 97,871 MiB part, 95.00 GiB.
constexpr double kGb300Gib = 276.50, kH20Gib = 95.0;

const char* const kFp8Block = R"({"quant_method": "fp8", "weight_block_size": [128, 128]})";

/// What the published extract of MiniMax-M2.5 leaves out (its config.json); NVFP4 in the experts alone.
const ModelOverrides& minimax() {
  static const ModelOverrides all = {
      {"vocab_size", "200064"},
      {"intermediate_size", "1536"},
      {"num_experts_per_tok", "8"},
      {"quantization_config",
       R"({"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head", "re:.*self_attn.*"]})"},
  };
  return all;
}

}  // namespace

const std::vector<Case>& cases() {
  static const std::string indexers = [] {
    std::string text;
    for (int i = 0; i < 78; ++i)
      text += std::string(i == 0 ? "[" : ", ") + (i < 21 ? "\"full\"" : "\"shared\"");
    return text + "]";
  }();
  static const std::vector<Case> all = {
      {"5", "llama-3.1-8b", "v0", ""},
      {"6", "llama-3.1-8b", "v0", ""},
      {"7", "llama-3-8b", "v0", "a100-40-sxm"},
      {"9", "hf:deepseek-ai--DeepSeek-R1", "vllm-0.11", "h200", {}, false, kH20Gib},
      {"12", "llama-3.1-8b", "vllm-0.11", "h100-sxm"},
      {"13", "hf:Qwen--Qwen3-235B-A22B-FP8", "vllm-0.11", "h100-sxm"},
      {"15", "qwen3-235b-a22b", "vllm-0.11", ""},
      {"16", "qwen3-30b-a3b", "vllm-0.11", "l40s", {{"quantization_config", kFp8Block}}},
      {"19",
       "qwen3-30b-a3b",
       "vllm-0.11",
       "",
       {{"quantization_config", kFp8Block}, {"max_position_embeddings", "262144"}}},
      {"20", "hf:moonshotai--Kimi-K2-Instruct", "vllm-0.11", ""},
      {"26", "llama-3.1-70b", "vllm-0.19", "h100-sxm"},
      {"27", "llama-3.1-70b", "vllm-0.19", "h100-sxm"},
      {"28", "llama-3.1-70b", "vllm-0.19", "h100-sxm"},
      {"36", "qwen2.5-1.5b", "vllm-0.15", "h100-sxm"},
      {"37", "fields:nvidia--MiniMax-M2.5-NVFP4_config.json", "vllm-0.24", "b200", minimax(), false,
       kGb300Gib},
      {"38", "fields:nvidia--MiniMax-M2.5-NVFP4_config.json", "vllm-0.24", "b200", minimax(), false,
       kGb300Gib},
      {"41", "fields:nvidia--MiniMax-M2.5-NVFP4_config.json", "vllm-0.24", "b200", minimax(), false,
       kGb300Gib},
      {"42", "fields:nvidia--MiniMax-M2.5-NVFP4_config.json", "vllm-0.24", "b200", minimax(), false,
       kGb300Gib},
      {"45", "qwen2.5-14b", "vllm-0.24", ""},
      {"49", "hf:Qwen--Qwen3.5-27B", "vllm-0.24", ""},
      {"50", "hf:Qwen--Qwen3.5-27B", "vllm-0.24", ""},
      {"51", "hf:Qwen--Qwen3.5-27B", "vllm-0.24+caching", ""},
      {"52", "hf:Qwen--Qwen3.5-35B-A3B", "vllm-0.24+caching", ""},
      {"53", "hf:Qwen--Qwen3.5-35B-A3B", "vllm-0.24+caching", ""},
      {"54", "hf:Qwen--Qwen3.5-27B", "vllm-0.24", ""},
      {"56", "hf:Qwen--Qwen3.5-27B", "vllm-0.24", ""},
      {"60", "hf:openai--gpt-oss-120b", "vllm-0.11", "h100-sxm"},
      {"61", "hf:openai--gpt-oss-20b", "vllm-0.19", "a100-80-sxm", {}, true},
      {"62", "hf:google--gemma-4-26B-A4B", "vllm-0.19", "a100-80-sxm", {}, true},
      {"66", "hf:Qwen--Qwen3.5-35B-A3B", "vllm-0.15", ""},
      {"67", "hf:Qwen--Qwen3.5-35B-A3B", "vllm-0.15", ""},
      {"69",
       "hf:zai-org--GLM-5",
       "vllm-0.24",
       "",
       {{"indexer_types", indexers}, {"max_position_embeddings", "1048576"}}},
  };
  return all;
}

const std::map<std::string, std::string>& refusals() {
  static const std::map<std::string, std::string> all = {
      {"3", "no GiB logged, and the RTX 3090 is not in the catalogue"},
      {"4",
       "no GiB logged, and vLLM before the V1 engine profiled in another way: no profile (vllm-0.11's budget "
       "would be 91 % off)"},
      {"8", "no GiB logged, GPU unknown"},
      {"10", "no GiB logged, GPU unknown"},
      {"46", "no GiB logged, and the RTX 3090 is not in the catalogue"},
      {"47", "no GiB logged, and the RTX 3090 is not in the catalogue"},
      {"63", "no GiB logged, GPU unknown; the row's own note finds its state pages twice the model's"},
      {"64", "no GiB logged, GPU unknown"},
      {"65", "no GiB logged, GPU unknown"},
      {"71", "the DFlash drafter's layers are not described"},
      {"72", "KV dtype not in the excerpt; the ratio fits no geometry of the stated model"},
      {"73", "KV dtype not in the excerpt"},
  };
  return all;
}

const std::map<std::string, std::string>& contradictions() {
  static const std::map<std::string, std::string> all = {
      {"5", "row 7: same geometry and series, 2.07 GiB of activations at 20,000 tokens"},
      {"6", "row 7: same geometry and series, 2.99 GiB of activations at 29,000 tokens"},
      {"7", "rows 5 and 6: same geometry and series, 9.37 GiB of activations at 8,192 tokens"},
      {"66", "row 67: same settings, 3.42 GiB more"},
      {"67", "row 66: same settings, 3.42 GiB less in a later build"},
  };
  return all;
}

}  // namespace kvcast::test
