#include "kernels/emulation/attention_variants.h"

namespace kvcast::kernels {

EmulatedKernel emulated_kernel_16_bit(const Variant& variant) {
  return variant.type == KvType::bf16 ? emulated_paged_kernel<KvType::bf16>(variant.head_size, variant.form)
                                      : emulated_paged_kernel<KvType::fp16>(variant.head_size, variant.form);
}

}  // namespace kvcast::kernels
