#include "kernels/reference/elementwise.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvcast::kernels {
namespace {

/// The smallest logit among the kept: of the k largest, and then of those that hold a share p of the
/// probability.
double smallest_kept(const std::vector<double>& sorted, const std::vector<double>& weights,
                     const SampleArgs& args) {
  std::size_t count = sorted.size();
  if (args.top_k > 0 && static_cast<std::size_t>(args.top_k) < count) {
    count = static_cast<std::size_t>(args.top_k);
    while (count < sorted.size() && sorted[count] == sorted[count - 1]) ++count;
  }
  if (args.top_p >= 1) return sorted[count - 1];
  const double total =
      std::accumulate(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(count), 0.0);
  double mass = 0;
  for (std::size_t i = 0; i < count; ++i) {
    mass += weights[i];
    const bool last_of_equals = i + 1 == count || sorted[i + 1] < sorted[i];
    if (last_of_equals && mass >= static_cast<double>(args.top_p) * total) return sorted[i];
  }
  return sorted[count - 1];
}

std::int32_t sample_row(const SampleArgs& args, std::int64_t row) {
  const float* logits = args.logits + row * args.vocabulary;
  if (args.temperature <= 0) {
    return static_cast<std::int32_t>(std::max_element(logits, logits + args.vocabulary) - logits);
  }
  std::vector<double> sorted(logits, logits + args.vocabulary);
  if (sorted.empty()) return 0;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const double largest = sorted.front();
  const auto weight = [&](double logit) {
    return std::exp((logit - largest) / static_cast<double>(args.temperature));
  };
  std::vector<double> weights;
  for (const double logit : sorted) weights.push_back(weight(logit));
  const double limit = smallest_kept(sorted, weights, args);
  double total = 0;
  for (std::size_t i = 0; i < sorted.size() && sorted[i] >= limit; ++i) total += weights[i];
  double mass = 0;
  std::int32_t last = 0;
  for (std::int64_t i = 0; i < args.vocabulary; ++i) {
    const auto logit = static_cast<double>(logits[i]);
    if (logit < limit) continue;
    mass += weight(logit);
    last = static_cast<std::int32_t>(i);
    if (mass > static_cast<double>(args.uniforms[row]) * total) break;
  }
  return last;
}

}  // namespace

std::vector<double> rms_norm_exact(const RmsNormArgs<float>& args) {
  std::vector<double> y;
  for (std::int64_t row = 0; row < args.rows; ++row) {
    std::vector<double> x;
    double squares = 0;
    for (std::int64_t i = 0; i < args.width; ++i) {
      double value = static_cast<double>(args.x[row * args.width + i]);
      if (args.residual != nullptr) value += static_cast<double>(args.residual[row * args.width + i]);
      x.push_back(value);
      squares += value * value;
    }
    const double root =
        std::sqrt(squares / static_cast<double>(args.width) + static_cast<double>(args.epsilon));
    for (std::size_t i = 0; i < x.size(); ++i) y.push_back(x[i] / root * static_cast<double>(args.weight[i]));
  }
  return y;
}

std::vector<double> silu_mul_exact(const SiluMulArgs<float>& args) {
  std::vector<double> y;
  for (std::int64_t row = 0; row < args.rows; ++row) {
    for (std::int64_t i = 0; i < args.width; ++i) {
      const auto gate = static_cast<double>(args.x[row * 2 * args.width + i]);
      const auto up = static_cast<double>(args.x[row * 2 * args.width + args.width + i]);
      y.push_back(gate / (1 + std::exp(-gate)) * up);
    }
  }
  return y;
}

std::vector<std::int32_t> sample_exact(const SampleArgs& args) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t row = 0; row < args.rows; ++row) tokens.push_back(sample_row(args, row));
  return tokens;
}

std::vector<double> gemm_exact(const GemmArgs<float>& args) {
  std::vector<double> y;
  for (std::int64_t m = 0; m < args.m; ++m) {
    for (std::int64_t n = 0; n < args.n; ++n) {
      double sum = 0;
      for (std::int64_t k = 0; k < args.k; ++k)
        sum += static_cast<double>(args.x[m * args.k + k]) * static_cast<double>(args.w[n * args.k + k]);
      y.push_back(sum);
    }
  }
  return y;
}

}  // namespace kvcast::kernels
