#include "kernels/attention/cuda_kernels.h"

namespace kvcast::kernels {
namespace {

template <class Kernel>
__global__ void __launch_bounds__(Kernel::Config::kThreads, 1)
    hopper_kernel(const __grid_constant__ AttentionArgs args, const __grid_constant__ PlanArrays plan,
                  const __grid_constant__ gpu::TensorMap keys,
                  const __grid_constant__ gpu::TensorMap values) {
  // Other architectures have no such instructions; choose_variant() does not send them here.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  Kernel::run(args, plan, keys, values);
#else
  __trap();
#endif
}

}  // namespace

HopperKernel hopper_kernel_of(const Variant& variant) {
#define KVCAST_PICK_HOPPER(kv_type, head, which)                         \
  if (variant.type == KvType::kv_type && variant.head_size == (head)) {  \
    return &hopper_kernel<KernelOf<KvType::kv_type, head, Form::which>>; \
  }
  KVCAST_HOPPER_VARIANTS_OF(bf16, KVCAST_PICK_HOPPER)
  KVCAST_HOPPER_VARIANTS_OF(fp16, KVCAST_PICK_HOPPER)
#undef KVCAST_PICK_HOPPER
  return nullptr;
}

}  // namespace kvcast::kernels
