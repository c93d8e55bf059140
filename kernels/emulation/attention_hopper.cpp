#include "kernels/emulation/attention_variants.h"

namespace kvcast::kernels {

EmulatedHopperKernel emulated_kernel_hopper(const Variant& variant) {
#define KVCAST_PICK_HOPPER(kv_type, head, which)                      \
  if (variant.type == KvType::kv_type && variant.head_size == (head)) \
    return &KernelOf<KvType::kv_type, head, Form::which>::run;
  KVCAST_HOPPER_VARIANTS_OF(bf16, KVCAST_PICK_HOPPER)
  KVCAST_HOPPER_VARIANTS_OF(fp16, KVCAST_PICK_HOPPER)
#undef KVCAST_PICK_HOPPER
  return nullptr;
}

}  // namespace kvcast::kernels
