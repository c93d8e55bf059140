/// Step time by formula, for tests and teaching (engine.step_time.affine).
#pragma once

#include <memory>

#include "sim/step_timer.h"

namespace kvcast {

struct AffineTime {
  double base_us = 0;
  double per_token_us = 0;          // each scheduled token
  double per_context_token_us = 0;  // each token attended to: the sum over the step of computed + scheduled
};

/// base + per_token * tokens + per_context_token * (decode_context + prefill_context), coefficients rounded
/// to 2^-20 ns.
[[nodiscard]] std::unique_ptr<StepTimer> make_affine_timer(const AffineTime& coefficients);

}  // namespace kvcast
