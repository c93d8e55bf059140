#include "kernels/emulation/attention.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/attention/merge.h"
#include "kernels/emulation/attention_variants.h"
#include "kernels/emulation/cta.h"

namespace kvcast::kernels {
namespace {

EmulatedKernel kernel_of(const Variant& variant) {
  if (variant.form == Form::mla || variant.form == Form::mla_wide) return emulated_kernel_latent(variant);
  switch (kv_bits(variant.type)) {
    case 16:
      return emulated_kernel_16_bit(variant);
    case 8:
      return emulated_kernel_8_bit(variant);
    default:
      return emulated_kernel_4_bit(variant);
  }
}

/// The map that the launch makes with cuTensorMapEncodeTiled.
gpu::TensorMap box_map(const PagedKv& cache, const std::uint8_t* base) {
  return {base,
          {2, cache.head_stride, cache.token_stride, cache.page_stride},
          {64, 1, std::min(cache.page_size, 64), 1}};
}

std::function<void()> body_of(const Variant& variant, const AttentionArgs& args, const PlanArrays& arrays) {
  if (variant.form == Form::prefill_hopper) {
    const EmulatedHopperKernel kernel = emulated_kernel_hopper(variant);
    if (kernel == nullptr) throw std::runtime_error("run_emulated: no such variant");
    return [&args, &arrays, kernel, keys = box_map(args.cache, args.cache.k),
            values = box_map(args.cache, args.cache.v)] { kernel(args, arrays, keys, values); };
  }
  const EmulatedKernel kernel = kernel_of(variant);
  if (kernel == nullptr) throw std::runtime_error("run_emulated: no such variant");
  return [&args, &arrays, kernel] { kernel(args, arrays); };
}

}  // namespace

void run_emulated(const Variant& variant, const AttentionArgs& args, const Plan& plan,
                  const EmulationOptions& options) {
  if (plan.rows_per_tile != variant.rows_per_tile)
    throw std::runtime_error("run_emulated: the plan is for other tiles");
  // Poisoned, so that a piece that nobody wrote shows.
  const auto rows = static_cast<std::size_t>(plan.partials) * static_cast<std::size_t>(plan.rows_per_tile);
  std::vector<float> partial_out(rows * static_cast<std::size_t>(args.value_size),
                                 std::numeric_limits<float>::quiet_NaN());
  std::vector<float> partial_stat(rows * 2, std::numeric_limits<float>::quiet_NaN());
  const PlanArrays arrays = {plan.items.data(),
                             plan.cta_first_item.data(),
                             plan.merges.data(),
                             partial_out.data(),
                             partial_stat.data(),
                             plan.ctas(),
                             static_cast<int>(plan.merges.size())};
  emulation::run_grid({.ctas = arrays.ctas,
                       .threads = variant.threads,
                       .shared_bytes = static_cast<std::size_t>(variant.shared_bytes),
                       .check_races = options.check_races,
                       .order_seed = options.order_seed},
                      body_of(variant, args, arrays));
  emulation::run_grid({.ctas = arrays.merge_count,
                       .threads = kMergeThreads,
                       .shared_bytes = 0,
                       .check_races = options.check_races,
                       .order_seed = options.order_seed},
                      [&] { merge_pieces(args, arrays, plan.rows_per_tile); });
}

}  // namespace kvcast::kernels
