#include "kernels/reference/judge.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference/attention.h"

namespace kvcast::kernels {
namespace {

double round_to(QueryType type, double x) {
  const auto value = static_cast<float>(x);
  return static_cast<double>(type == QueryType::bf16 ? bfloat_to_float(float_to_bfloat(value))
                                                     : half_to_float(float_to_half(value)));
}

}  // namespace

std::string judge(const AttentionArgs& args, std::span<const double> out, std::span<const float> lse) {
  const AttentionResult exact = attend_dense(args, Arithmetic::exact);
  const AttentionResult plain = attend_dense(args, Arithmetic::query_type);
  double error = 0, plain_error = 0, addition = 0, dot = 0, norm_out = 0, norm_exact = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (std::isnan(out[i])) return "NaN at element " + std::to_string(i);
    error = std::max(error, std::fabs(out[i] - exact.out[i]));
    plain_error = std::max(plain_error, std::fabs(plain.out[i] - exact.out[i]));
    const double there = round_to(args.q_type, round_to(args.q_type, exact.out[i]) + 0.3);
    addition = std::max(addition, std::fabs(round_to(args.q_type, there - 0.3) - exact.out[i]));
    dot += out[i] * exact.out[i];
    norm_out += out[i] * out[i];
    norm_exact += exact.out[i] * exact.out[i];
  }
  const double bound = (args.soft_cap > 0 ? 3 : 2) * plain_error + 2 * addition;
  if (!(error <= bound)) return "error " + std::to_string(error) + " above " + std::to_string(bound);
  if (norm_exact > 0 && !(1 - dot / std::sqrt(norm_out * norm_exact) < 1e-5)) return "another direction";
  for (std::size_t i = 0; i < lse.size(); ++i) {
    const auto value = static_cast<double>(lse[i]);
    const bool same =
        std::isinf(exact.lse[i]) ? value == exact.lse[i] : std::fabs(value - exact.lse[i]) <= 1e-3;
    if (!same) return "lse " + std::to_string(value) + " instead of " + std::to_string(exact.lse[i]);
  }
  return "";
}

}  // namespace kvcast::kernels
