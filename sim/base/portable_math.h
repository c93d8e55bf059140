/// log and exp from IEEE additions, multiplications and divisions alone. The C library's choose their code by
/// the CPU (with or without fused multiply-add), so that their last digit differs between machines; a random
/// workload must not.
#pragma once

namespace kvcast {

/// Natural logarithm of a positive finite normal number, within 2 units in the last place.
[[nodiscard]] double portable_log(double x);

/// e^x for x in [-700, 700] (values beyond are clamped), within 2 units in the last place.
[[nodiscard]] double portable_exp(double x);

}  // namespace kvcast
