#include "hwmodels/kv_dtype.h"

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

struct Name {
  KvDtype dtype;
  const char* name;
  const char* scheme;
};

constexpr Name kNames[] = {
    {KvDtype::model, "auto", "the model's dtype, no scales"},
    {KvDtype::bfloat16, "bfloat16", "16 bits, no scales"},
    {KvDtype::float16, "float16", "16 bits, no scales"},
    {KvDtype::float32, "float32", "32 bits, no scales"},
    {KvDtype::fp8_e4m3, "fp8_e4m3", "8 bits; per-tensor scales stay outside the cache"},
    {KvDtype::fp8_e5m2, "fp8_e5m2", "8 bits; per-tensor scales stay outside the cache"},
    {KvDtype::fp8_ds_mla, "fp8_ds_mla",
     "656-byte record per token: 512 fp8 values, 4 fp32 scales, 64 bf16 rotary values"},
    {KvDtype::int8_per_token_head, "int8_per_token_head",
     "8 bits and one fp32 scale per token, head and side"},
    {KvDtype::fp8_per_token_head, "fp8_per_token_head", "8 bits and one fp32 scale per token, head and side"},
    {KvDtype::int4_per_token_head, "int4_per_token_head",
     "4 bits and one fp32 scale per token, head and side"},
    {KvDtype::int8, "int8", "kvcast's own: 8 bits, symmetric, one fp16 scale per token, head and side"},
    {KvDtype::int4, "int4",
     "kvcast's own: 4 bits, fp16 scale and fp16 zero point per token, head, side and 128 elements"},
    {KvDtype::nf4, "nf4",
     "kvcast's own: NormalFloat-4, one fp16 absolute maximum per token, head, side and 64 elements"},
};

const Name& entry_of(KvDtype dtype) {
  for (const Name& entry : kNames) {
    if (entry.dtype == dtype) return entry;
  }
  check_failed("every KvDtype has a name", __FILE__, __LINE__);
}

}  // namespace

KvDtype parse_kv_dtype(std::string_view name, const std::string& where) {
  if (name == "fp8") return KvDtype::fp8_e4m3;
  for (const Name& entry : kNames) {
    if (name == entry.name) return entry.dtype;
  }
  throw InputError(where + ": unknown KV cache dtype \"" + std::string(name) + "\"" +
                   known_names(name, kv_dtype_names()));
}

std::string_view to_string(KvDtype dtype) { return entry_of(dtype).name; }

std::string kv_dtype_scheme(KvDtype dtype) { return entry_of(dtype).scheme; }

std::vector<std::string> kv_dtype_names() {
  std::vector<std::string> names;
  for (const Name& entry : kNames) {
    names.emplace_back(entry.name);
    if (entry.dtype == KvDtype::float32) names.emplace_back("fp8");
  }
  return names;
}

std::int64_t kv_vector_bytes(KvDtype dtype, std::int64_t elements, std::int64_t model_dtype_bytes) {
  switch (dtype) {
    case KvDtype::model:
      return elements * model_dtype_bytes;
    case KvDtype::bfloat16:
    case KvDtype::float16:
      return elements * 2;
    case KvDtype::float32:
      return elements * 4;
    case KvDtype::fp8_e4m3:
    case KvDtype::fp8_e5m2:
    case KvDtype::fp8_ds_mla:
      return elements;
    case KvDtype::int8_per_token_head:
    case KvDtype::fp8_per_token_head:
      return elements + 4;
    case KvDtype::int4_per_token_head:
      return ceil_div(elements, 2) + 4;
    case KvDtype::int8:
      return elements + 2;
    case KvDtype::int4:
      return ceil_div(elements, 2) + 4 * ceil_div(elements, 128);
    case KvDtype::nf4:
      return ceil_div(elements, 2) + 2 * ceil_div(elements, 64);
  }
  return 0;
}

}  // namespace kvcast
