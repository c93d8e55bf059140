#include "kernels/emulation/attention_variants.h"

namespace kvcast::kernels {

EmulatedKernel emulated_kernel_8_bit(const Variant& variant) {
  switch (variant.type) {
    case KvType::fp8_e4m3:
      return emulated_paged_kernel<KvType::fp8_e4m3>(variant.head_size, variant.form);
    case KvType::fp8_e5m2:
      return emulated_paged_kernel<KvType::fp8_e5m2>(variant.head_size, variant.form);
    default:
      return emulated_paged_kernel<KvType::int8>(variant.head_size, variant.form);
  }
}

}  // namespace kvcast::kernels
