/// The emulated kernels by storage type: one source file each, as they are slow to compile.
#pragma once

#include "kernels/attention/kernel_of.h"
#include "kernels/attention/variants.h"

namespace kvcast::kernels {

using EmulatedKernel = void (*)(const AttentionArgs& args, const PlanArrays& plan);

#define KVCAST_PICK_EMULATED(type, head, which) \
  if (head_size == (head) && form == Form::which) return &KernelOf<type, head, Form::which>::run;

template <KvType type>
EmulatedKernel emulated_paged_kernel(int head_size, Form form) {
  KVCAST_PAGED_VARIANTS_OF(type, KVCAST_PICK_EMULATED)
  return nullptr;
}

template <KvType type>
EmulatedKernel emulated_latent_kernel(int head_size, Form form) {
  KVCAST_LATENT_VARIANTS_OF(type, KVCAST_PICK_EMULATED)
  return nullptr;
}
#undef KVCAST_PICK_EMULATED

EmulatedKernel emulated_kernel_16_bit(const Variant& variant);
EmulatedKernel emulated_kernel_8_bit(const Variant& variant);
EmulatedKernel emulated_kernel_4_bit(const Variant& variant);
EmulatedKernel emulated_kernel_latent(const Variant& variant);

using EmulatedHopperKernel = void (*)(const AttentionArgs& args, const PlanArrays& plan,
                                      const gpu::TensorMap& keys, const gpu::TensorMap& values);
EmulatedHopperKernel emulated_kernel_hopper(const Variant& variant);

}  // namespace kvcast::kernels
