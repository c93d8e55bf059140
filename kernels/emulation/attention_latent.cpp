#include "kernels/emulation/attention_variants.h"

namespace kvcast::kernels {

EmulatedKernel emulated_kernel_latent(const Variant& variant) {
  switch (variant.type) {
    case KvType::bf16:
      return emulated_latent_kernel<KvType::bf16>(variant.head_size, variant.form);
    case KvType::fp16:
      return emulated_latent_kernel<KvType::fp16>(variant.head_size, variant.form);
    case KvType::fp8_e4m3:
      return emulated_latent_kernel<KvType::fp8_e4m3>(variant.head_size, variant.form);
    default:
      return nullptr;
  }
}

}  // namespace kvcast::kernels
