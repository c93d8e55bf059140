#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/cpu/backend.h"
#include "kernels/cpu/vec4.h"

namespace kvcast::cpu {
namespace {

/// Rows that one item of work computes: enough that handing it over costs nothing beside it.
constexpr std::int64_t kRows = 4;

template <class Work>
void each_row(Threads& threads, std::int64_t rows, const Work& work) {
  threads.run((rows + kRows - 1) / kRows, [&](std::int64_t item, int) {
    const std::int64_t end = std::min(rows, (item + 1) * kRows);
    for (std::int64_t row = item * kRows; row < end; ++row) work(row);
  });
}

float sum_of_squares(const float* x, std::int64_t width) {
  Vec4 sum{};
  std::int64_t i = 0;
  for (; i + 4 <= width; i += 4) {
    const Vec4 value = load4(x + i);
    sum += value * value;
  }
  float total = sum4(sum);
  for (; i < width; ++i) total += x[i] * x[i];
  return total;
}

/// One row to sample from. weight() is a token's probability, up to a common factor.
struct SampleRow {
  const float* logits;
  std::int64_t vocabulary;
  float largest;
  float temperature;
  float top_p;

  [[nodiscard]] double weight(float logit) const {
    return std::exp(static_cast<double>((logit - largest) / temperature));
  }
};

std::int32_t argmax(const float* logits, std::int64_t vocabulary) {
  return static_cast<std::int32_t>(std::max_element(logits, logits + vocabulary) - logits);
}

/// The smallest logit that top-k keeps.
float top_k_limit(const float* logits, std::int64_t vocabulary, std::int32_t top_k,
                  std::vector<float>& space) {
  if (top_k <= 0 || top_k >= vocabulary) return -std::numeric_limits<float>::infinity();
  space.assign(logits, logits + vocabulary);
  std::nth_element(space.begin(), space.begin() + (top_k - 1), space.end(), std::greater<>());
  return space[static_cast<std::size_t>(top_k - 1)];
}

/// The smallest logit that top-p keeps, of those from `limit` on.
float top_p_limit(const SampleRow& row, float limit, double total, std::vector<float>& space) {
  space.clear();
  for (std::int64_t i = 0; i < row.vocabulary; ++i)
    if (row.logits[i] >= limit) space.push_back(row.logits[i]);
  std::sort(space.begin(), space.end(), std::greater<>());
  double mass = 0;
  for (std::size_t i = 0; i < space.size(); ++i) {
    mass += row.weight(space[i]);
    const bool last_of_equals = i + 1 == space.size() || space[i + 1] < space[i];
    if (last_of_equals && mass >= static_cast<double>(row.top_p) * total) return space[i];
  }
  return limit;
}

std::int32_t draw(const SampleRow& row, float uniform, std::int32_t top_k) {
  std::vector<float> space;
  float limit = top_k_limit(row.logits, row.vocabulary, top_k, space);
  const auto mass_from = [&row](float least) {
    double mass = 0;
    for (std::int64_t i = 0; i < row.vocabulary; ++i)
      if (row.logits[i] >= least) mass += row.weight(row.logits[i]);
    return mass;
  };
  double total = mass_from(limit);
  if (row.top_p < 1) {
    limit = top_p_limit(row, limit, total, space);
    total = mass_from(limit);
  }
  const double goal = static_cast<double>(uniform) * total;
  double mass = 0;
  std::int32_t last = 0;
  for (std::int64_t i = 0; i < row.vocabulary; ++i) {
    if (row.logits[i] < limit) continue;
    const double weight = row.weight(row.logits[i]);
    if (weight == 0) continue;
    mass += weight;
    last = static_cast<std::int32_t>(i);
    if (mass > goal) break;
  }
  return last;
}

}  // namespace

void rms_norm(Threads& threads, const kernels::RmsNormArgs<float>& args) {
  each_row(threads, args.rows, [&](std::int64_t row) {
    const float* x = args.x + row * args.width;
    float* y = args.y + row * args.width;
    if (args.residual != nullptr) {
      float* residual = args.residual + row * args.width;
      for (std::int64_t i = 0; i < args.width; ++i) residual[i] += x[i];
      x = residual;
    }
    const float mean = sum_of_squares(x, args.width) / static_cast<float>(args.width);
    const float factor = 1.0F / std::sqrt(mean + args.epsilon);
    for (std::int64_t i = 0; i < args.width; ++i) y[i] = x[i] * factor * args.weight[i];
  });
}

void silu_mul(Threads& threads, const kernels::SiluMulArgs<float>& args) {
  each_row(threads, args.rows, [&](std::int64_t row) {
    const float* gate = args.x + row * 2 * args.width;
    const float* up = gate + args.width;
    float* y = args.y + row * args.width;
    for (std::int64_t i = 0; i < args.width; ++i) y[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
  });
}

void embed(Threads& threads, const kernels::EmbedArgs<float>& args) {
  each_row(threads, args.rows, [&](std::int64_t row) {
    std::copy_n(args.table + args.ids[row] * args.width, args.width, args.y + row * args.width);
  });
}

void sample(Threads& threads, const kernels::SampleArgs& args) {
  threads.run(args.rows, [&](std::int64_t row, int) {
    const float* logits = args.logits + row * args.vocabulary;
    const std::int32_t best = argmax(logits, args.vocabulary);
    if (args.temperature <= 0) {
      args.tokens[row] = best;
      return;
    }
    const SampleRow view{logits, args.vocabulary, logits[best], args.temperature, args.top_p};
    args.tokens[row] = draw(view, args.uniforms[row], args.top_k);
  });
}

}  // namespace kvcast::cpu
