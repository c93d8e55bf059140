/// How the KV cache stores a token: bytes of one head's vector, scales counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

enum class KvDtype : std::uint8_t {
  model,  // "auto": the model's dtype
  bfloat16,
  float16,
  float32,
  fp8_e4m3,  // no scales in the cache: per-tensor scales are module buffers (vLLM)
  fp8_e5m2,
  fp8_ds_mla,  // packed record of sparse MLA: 512 fp8 + 4 fp32 scales + 64 bf16 = 656 bytes a token (vLLM,
               // DeepSeek-V3.2)
  int8_per_token_head,  // one fp32 scale per token, head and side (vLLM)
  fp8_per_token_head,
  int4_per_token_head,
  int8,  // kvcast's own: symmetric, one fp16 scale per token, head and side
  int4,  // kvcast's own: asymmetric, fp16 scale and fp16 zero point per token, head, side and group of 128
         // elements
  nf4,   // kvcast's own: NormalFloat-4, one fp16 absolute maximum per 64 elements (QLoRA's block, Dettmers et
         // al. 2023)
};

/// \param name "auto", "bfloat16", "float16", "float32", "fp8" (= "fp8_e4m3"), ...: see kv_cache_dtype in README.md
/// \throws InputError naming the known ones
[[nodiscard]] KvDtype parse_kv_dtype(std::string_view name, const std::string& where);
[[nodiscard]] std::string_view to_string(KvDtype dtype);
[[nodiscard]] std::vector<std::string> kv_dtype_names();

/// Bytes of one head's vector of `elements` values of one token, with its scales.
/// \param model_dtype_bytes what "auto" means
[[nodiscard]] std::int64_t kv_vector_bytes(KvDtype dtype, std::int64_t elements,
                                           std::int64_t model_dtype_bytes);

/// One line that says the scheme and what its scales cost, for the outputs.
[[nodiscard]] std::string kv_dtype_scheme(KvDtype dtype);

}  // namespace kvcast
