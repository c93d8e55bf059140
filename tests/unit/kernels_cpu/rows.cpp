// Matrix products, norms, activation, sampling: the CPU backend against definitions in double precision.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "kernels/bench/random.h"
#include "kernels/cpu/backend.h"
#include "kernels/reference/elementwise.h"

namespace kvcast {
namespace {

using bench::Random;
using bench::random_floats;

BOOST_AUTO_TEST_SUITE(cpu_rows)

BOOST_AUTO_TEST_CASE(gemm_equals_the_definition_for_any_shape_and_thread_count) {
  Random random(1);
  for (const std::int64_t m : {1, 2, 3, 4, 5, 7, 9}) {
    for (const std::int64_t n : {1, 3, 31, 33, 70}) {
      for (const std::int64_t k : {1, 4, 5, 63, 256}) {
        const std::vector<float> x = random_floats(m * k, random), w = random_floats(n * k, random);
        std::vector<float> first;
        for (const int count : {1, 2, 5}) {
          cpu::Threads threads(count);
          std::vector<float> y(static_cast<std::size_t>(m * n), std::nanf(""));
          kernels::GemmArgs<float> args{.x = x.data(), .w = w.data(), .y = y.data(), .m = m, .n = n, .k = k};
          cpu::gemm(threads, args);
          if (first.empty()) {
            first = y;
            const std::vector<double> exact = kernels::gemm_exact(args);
            for (std::size_t i = 0; i < y.size(); ++i)
              BOOST_TEST(std::fabs(static_cast<double>(y[i]) - exact[i]) <=
                         1e-6 * static_cast<double>(k) + 1e-7);
          }
          BOOST_TEST((y == first));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(norm_and_activation) {
  Random random(2);
  cpu::Threads threads(2);
  for (const std::int64_t width : {1, 5, 64, 130}) {
    const std::int64_t rows = 7;
    const std::vector<float> x = random_floats(rows * 2 * width, random),
                             weight = random_floats(width, random);
    std::vector<float> residual = random_floats(rows * width, random),
                       y(static_cast<std::size_t>(rows * width));
    const std::vector<float> before = residual;
    kernels::RmsNormArgs<float> norm{.x = x.data(),
                                     .weight = weight.data(),
                                     .residual = residual.data(),
                                     .y = y.data(),
                                     .rows = rows,
                                     .width = width};
    const std::vector<double> exact = kernels::rms_norm_exact(norm);
    cpu::rms_norm(threads, norm);
    for (std::size_t i = 0; i < y.size(); ++i) {
      BOOST_TEST(std::fabs(static_cast<double>(y[i]) - exact[i]) <= 1e-5 * (1 + std::fabs(exact[i])));
      BOOST_TEST(residual[i] == before[i] + x[i]);
    }
    kernels::SiluMulArgs<float> silu{.x = x.data(), .y = y.data(), .rows = rows, .width = width};
    const std::vector<double> activated = kernels::silu_mul_exact(silu);
    cpu::silu_mul(threads, silu);
    for (std::size_t i = 0; i < y.size(); ++i)
      BOOST_TEST(std::fabs(static_cast<double>(y[i]) - activated[i]) <= 1e-6);
  }
}

BOOST_AUTO_TEST_CASE(sampling_follows_its_definition) {
  Random random(3);
  cpu::Threads threads(2);
  for (const std::int64_t vocabulary : {1, 7, 1000}) {
    const std::int64_t rows = 50;
    std::vector<float> logits = random_floats(rows * vocabulary, random);
    for (float& logit : logits) logit = std::round(logit * 40) / 8;  // equal ones are common
    std::vector<float> uniforms;
    for (std::int64_t i = 0; i < rows; ++i) uniforms.push_back(static_cast<float>(random.uniform()));
    for (const float temperature : {0.0F, 0.3F, 1.0F}) {
      for (const std::int32_t top_k : {0, 1, 5, 2000}) {
        for (const float top_p : {0.05F, 0.7F, 1.0F}) {
          std::vector<std::int32_t> tokens(static_cast<std::size_t>(rows), -1);
          const kernels::SampleArgs args{.logits = logits.data(),
                                         .uniforms = uniforms.data(),
                                         .tokens = tokens.data(),
                                         .rows = rows,
                                         .vocabulary = vocabulary,
                                         .temperature = temperature,
                                         .top_k = top_k,
                                         .top_p = top_p};
          cpu::sample(threads, args);
          BOOST_TEST((tokens == kernels::sample_exact(args)));
        }
      }
    }
  }
}

// Draws with evenly spread uniform numbers hit each kept token in proportion to its probability.
BOOST_AUTO_TEST_CASE(sampling_has_the_right_distribution) {
  cpu::Threads threads(1);
  const std::vector<float> row = {0.0F, 2.0F, -std::numeric_limits<float>::infinity(), 1.0F, 2.0F, -1.0F};
  constexpr std::int64_t kDraws = 20000;
  std::vector<float> logits, uniforms;
  for (std::int64_t i = 0; i < kDraws; ++i) {
    logits.insert(logits.end(), row.begin(), row.end());
    uniforms.push_back((static_cast<float>(i) + 0.5F) / static_cast<float>(kDraws));
  }
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(kDraws));
  cpu::sample(threads, {.logits = logits.data(),
                        .uniforms = uniforms.data(),
                        .tokens = tokens.data(),
                        .rows = kDraws,
                        .vocabulary = static_cast<std::int64_t>(row.size()),
                        .temperature = 1,
                        .top_k = 3});
  std::vector<double> counts(row.size());
  for (const std::int32_t token : tokens) counts[static_cast<std::size_t>(token)] += 1.0 / kDraws;
  const double total = 2 * std::exp(2.0) + std::exp(1.0);
  BOOST_TEST(counts[0] == 0);
  BOOST_TEST(counts[2] == 0);
  BOOST_TEST(counts[5] == 0);
  BOOST_TEST(std::fabs(counts[1] - std::exp(2.0) / total) < 1e-3);
  BOOST_TEST(std::fabs(counts[3] - std::exp(1.0) / total) < 1e-3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
