#include "hwmodels/affine_timer.h"

#include <cmath>
#include <limits>

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTimeMax = std::int64_t{1} << 62;

class AffineTimer final : public StepTimer {
 public:
  AffineTimer(std::int64_t base, std::int64_t per_token, std::int64_t per_context)
      : base_(base), per_token_(per_token), per_context_(per_context) {}

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    const Int128 context = static_cast<Int128>(shape.decode_context) + shape.prefill_context;
    const Int128 time = base_ + static_cast<Int128>(per_token_) * shape.tokens + per_context_ * context;
    StepCost cost;
    cost.time = FineDuration{time > kTimeMax ? kTimeMax : static_cast<std::int64_t>(time)};
    return cost;
  }

  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    const Int128 base = base_ + static_cast<Int128>(per_token_) * seqs;
    DecodeLine line;
    if (base + static_cast<Int128>(per_context_) * context >= kTimeMax) {
      line.base.time = FineDuration{kTimeMax};
      return line;
    }
    line.base.time = FineDuration{static_cast<std::int64_t>(base)};
    line.per_context_token.time = FineDuration{per_context_};
    if (per_context_ > 0) line.context_max = static_cast<std::int64_t>((kTimeMax - base) / per_context_);
    return line;
  }

 private:
  std::int64_t base_;
  std::int64_t per_token_;
  std::int64_t per_context_;
};

std::int64_t fine_of_us(double us, const char* name) {
  constexpr double kUsMax = 1e9;
  if (!(us >= 0 && us <= kUsMax))
    throw InputError(std::string("step_time.affine.") + name + ": must be between 0 and 1e9 microseconds");
  return std::llround(us * 1e3 * (1 << kFineBits));
}

}  // namespace

std::unique_ptr<StepTimer> make_affine_timer(const AffineTime& coefficients) {
  return std::make_unique<AffineTimer>(fine_of_us(coefficients.base_us, "base_us"),
                                       fine_of_us(coefficients.per_token_us, "per_token_us"),
                                       fine_of_us(coefficients.per_context_token_us, "per_context_token_us"));
}

}  // namespace kvcast
