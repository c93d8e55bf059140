/// From a variant's three constants to its kernel.
#pragma once

#include "kernels/attention/mla.h"
#include "kernels/attention/paged_attention.h"
#include "kernels/attention/prefill_hopper.h"

namespace kvcast::kernels {

template <KvType type, int head_size, Form form>
struct KernelOf {
  using Config = PagedConfig<type, head_size, form>;
  static constexpr int kValue = head_size;
  static KVCAST_DEVICE void run(const AttentionArgs& args, const PlanArrays& plan) {
    paged_attention<Config>(args, plan);
  }
};

template <KvType type, Form form>
struct LatentKernel {
  using Config = MlaConfig<type, form>;
  static constexpr int kValue = Config::kValue;
  static KVCAST_DEVICE void run(const AttentionArgs& args, const PlanArrays& plan) {
    mla_attention<Config>(args, plan);
  }
};
template <KvType type>
struct KernelOf<type, 576, Form::mla> : LatentKernel<type, Form::mla> {};
template <KvType type>
struct KernelOf<type, 576, Form::mla_wide> : LatentKernel<type, Form::mla_wide> {};

template <KvType type, int head_size>
struct KernelOf<type, head_size, Form::prefill_hopper> {
  using Config = HopperConfig<type, head_size>;
  static constexpr int kValue = head_size;
  static KVCAST_DEVICE void run(const AttentionArgs& args, const PlanArrays& plan, const gpu::TensorMap& keys,
                                const gpu::TensorMap& values) {
    prefill_hopper<Config>(args, plan, keys, values);
  }
};

}  // namespace kvcast::kernels
