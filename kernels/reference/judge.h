/// FlashAttention 3's rule: a kernel may be twice as far from the exact result as a plain implementation in
/// the same type (three times with a soft cap), plus what one addition in that type costs. No tolerance is
/// chosen by hand.
#pragma once

#include <span>
#include <string>

#include "kernels/attention/attention.h"

namespace kvcast::kernels {

/// "" or how the result breaks the rule. lse: 1e-3 absolute; cosine distance: 1e-5.
[[nodiscard]] std::string judge(const AttentionArgs& args, std::span<const double> out,
                                std::span<const float> lse);

}  // namespace kvcast::kernels
