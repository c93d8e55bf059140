/// The GPU kernels' own code, run by the CPU emulation (kernels/emulation): to check it, not to be fast.
#pragma once

#include "kernels/attention/variants.h"

namespace kvcast::kernels {

struct EmulationOptions {
  bool check_races = true;
  std::uint64_t order_seed = 0;  // of the order in which threads take turns; 0: by index
};

/// Attention with one variant's kernel and the merge kernel.
/// \throws std::runtime_error if the kernel breaks a rule of the machine (see kernels/emulation/cta.h)
void run_emulated(const Variant& variant, const AttentionArgs& args, const Plan& plan,
                  const EmulationOptions& options);

}  // namespace kvcast::kernels
