#include "kernels/attention/variants.h"

#include <algorithm>

#include "kernels/attention/kernel_of.h"

namespace kvcast::kernels {
namespace {

template <KvType type, int head_size, Form form>
constexpr Variant variant() {
  using Kernel = KernelOf<type, head_size, form>;
  using Config = typename Kernel::Config;
  return {type, form, head_size, Kernel::kValue, Config::kRows, Config::kThreads, Config::kSharedBytes};
}

#define KVCAST_VARIANT(type, head, form) variant<KvType::type, head, Form::form>(),
constexpr Variant kVariants[] = {
    KVCAST_PAGED_VARIANTS_OF(bf16, KVCAST_VARIANT)       //
    KVCAST_LATENT_VARIANTS_OF(bf16, KVCAST_VARIANT)      //
    KVCAST_HOPPER_VARIANTS_OF(bf16, KVCAST_VARIANT)      //
    KVCAST_PAGED_VARIANTS_OF(fp16, KVCAST_VARIANT)       //
    KVCAST_LATENT_VARIANTS_OF(fp16, KVCAST_VARIANT)      //
    KVCAST_HOPPER_VARIANTS_OF(fp16, KVCAST_VARIANT)      //
    KVCAST_PAGED_VARIANTS_OF(fp8_e4m3, KVCAST_VARIANT)   //
    KVCAST_LATENT_VARIANTS_OF(fp8_e4m3, KVCAST_VARIANT)  //
    KVCAST_PAGED_VARIANTS_OF(fp8_e5m2, KVCAST_VARIANT)   //
    KVCAST_PAGED_VARIANTS_OF(int8, KVCAST_VARIANT)       //
    KVCAST_PAGED_VARIANTS_OF(int4, KVCAST_VARIANT)       //
    KVCAST_PAGED_VARIANTS_OF(nf4, KVCAST_VARIANT)        //
};
#undef KVCAST_VARIANT

const Variant* find_variant(const AttentionArgs& args, Form form) {
  const auto found = std::find_if(std::begin(kVariants), std::end(kVariants), [&](const Variant& v) {
    return v.type == args.cache.type && v.head_size == args.head_size && v.form == form;
  });
  return found == std::end(kVariants) ? nullptr : found;
}

bool aligned(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

std::string check_cache(const PagedKv& cache, int head_size) {
  if (cache.page_size < 8 || cache.page_size > 128 || (cache.page_size & (cache.page_size - 1)) != 0) {
    return "page_size must be 8, 16, 32, 64 or 128";
  }
  const auto whole_chunks = [](std::int64_t stride) { return stride % 16 == 0; };
  if (!whole_chunks(cache.page_stride) || !whole_chunks(cache.token_stride) ||
      !whole_chunks(cache.head_stride) || !aligned(cache.k) || !aligned(cache.v)) {
    return "rows of the cache must start at multiples of 16 bytes";
  }
  if (cache.token_stride < kv_row_bytes(cache.type, head_size)) return "token_stride is less than a row";
  if (kv_has_scale(cache.type) &&
      (cache.k_scale == nullptr || (cache.v != nullptr && cache.v_scale == nullptr))) {
    return "this storage type needs k_scale and v_scale";
  }
  return "";
}

}  // namespace

std::span<const Variant> attention_variants() { return kVariants; }

const Variant* choose_variant(const AttentionArgs& args, int q_len_max, const Device& device) {
  const int rows = args.kv_heads > 0 ? args.q_heads / args.kv_heads * q_len_max : 0;
  if (args.head_size == 576) {
    const Variant* wide = find_variant(args, Form::mla_wide);
    const bool fits = wide != nullptr && wide->shared_bytes <= device.shared_bytes_max;
    return rows > 16 && fits ? wide : find_variant(args, Form::mla);
  }
  if (rows <= 16) return find_variant(args, Form::decode);
  const Variant* hopper = find_variant(args, Form::prefill_hopper);
  return rows > 64 && hopper != nullptr && device.compute_capability == 90
             ? hopper
             : find_variant(args, Form::prefill);
}

std::string check_attention(const AttentionArgs& args) {
  if (args.requests < 0 || args.kv_heads <= 0 || args.q_heads <= 0 || args.q_heads % args.kv_heads != 0) {
    return "kv_heads must divide q_heads";
  }
  const bool latent = args.head_size == 576;
  if (args.q_heads / args.kv_heads > (latent ? 128 : 16)) {
    return latent ? "more than 128 query heads" : "more than 16 query heads for each KV head";
  }
  if (find_variant(args, latent ? Form::mla : Form::decode) == nullptr) {
    return latent ? "latent attention takes bf16, fp16 and fp8_e4m3"
                  : "head_size must be 64, 128 or 256, or 576 (latent)";
  }
  if (latent && (args.kv_heads != 1 || args.cache.v != nullptr))
    return "latent attention has one KV head and no v";
  if (args.value_size != (latent ? 512 : args.head_size)) return "value_size must be head_size (latent: 512)";
  if (args.q_token_stride % 8 != 0 || args.q_head_stride % 8 != 0 || args.out_token_stride % 8 != 0 ||
      args.out_head_stride % 8 != 0 || !aligned(args.q) || !aligned(args.out)) {
    return "rows of q and out must start at multiples of 16 bytes";
  }
  const bool half_cache = args.cache.type == KvType::fp16;
  if ((args.cache.type == KvType::bf16 || half_cache) && half_cache != (args.q_type == QueryType::fp16)) {
    return "a 16-bit cache must have the type of the queries";
  }
  if (args.window < 0 || args.sink_tokens < 0 || args.soft_cap < 0) {
    return "window, sink_tokens and soft_cap must not be negative";
  }
  return check_cache(args.cache, args.head_size);
}

}  // namespace kvcast::kernels
