#include "kernels/emulation/attention_variants.h"

namespace kvcast::kernels {

EmulatedKernel emulated_kernel_4_bit(const Variant& variant) {
  return variant.type == KvType::int4 ? emulated_paged_kernel<KvType::int4>(variant.head_size, variant.form)
                                      : emulated_paged_kernel<KvType::nf4>(variant.head_size, variant.form);
}

}  // namespace kvcast::kernels
