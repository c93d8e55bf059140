/// The attention kernels as CUDA kernels; each storage type is compiled in a file of its own
/// (attention_<type>.cu).
#pragma once

#include "kernels/attention/kernel_of.h"
#include "kernels/attention/variants.h"

namespace kvcast::kernels {

using AttentionKernel = void (*)(AttentionArgs, PlanArrays);

template <class Kernel>
__global__ void __launch_bounds__(Kernel::Config::kThreads, 1)
    attention_kernel(const __grid_constant__ AttentionArgs args, const __grid_constant__ PlanArrays plan) {
  Kernel::run(args, plan);
}

/// The kernel of a variant of this storage type, or null.
template <KvType type>
AttentionKernel attention_kernel_of(int head_size, Form form);

using HopperKernel = void (*)(AttentionArgs, PlanArrays, gpu::TensorMap, gpu::TensorMap);
HopperKernel hopper_kernel_of(const Variant& variant);

#define KVCAST_PICK_KERNEL(kv_type, head, which)                            \
  if (head_size == (head) && form == Form::which) {                         \
    return &attention_kernel<KernelOf<KvType::kv_type, head, Form::which>>; \
  }
/// Defines attention_kernel_of() for one storage type.
#define KVCAST_DEFINE_KERNELS(type)                                             \
  template <>                                                                   \
  AttentionKernel attention_kernel_of<KvType::type>(int head_size, Form form) { \
    KVCAST_PAGED_VARIANTS_OF(type, KVCAST_PICK_KERNEL)                          \
    return nullptr;                                                             \
  }
#define KVCAST_DEFINE_KERNELS_WITH_LATENT(type)                                 \
  template <>                                                                   \
  AttentionKernel attention_kernel_of<KvType::type>(int head_size, Form form) { \
    KVCAST_PAGED_VARIANTS_OF(type, KVCAST_PICK_KERNEL)                          \
    KVCAST_LATENT_VARIANTS_OF(type, KVCAST_PICK_KERNEL)                         \
    return nullptr;                                                             \
  }

}  // namespace kvcast::kernels
