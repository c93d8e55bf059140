// The planned float reference against dense attention in double precision, over the whole fuzz list: no GPU
// and no emulation, so lengths can be real.
#include "kernels/reference/attention.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include "kernels/reference/problem.h"

namespace kvcast::kernels {
namespace {

/// The largest difference from the exact result; sums in float over n keys lose about sqrt(n) units.
void check(const ProblemShape& shape, int rows_per_tile, int ctas, int min_tiles) {
  const Problem problem(shape);
  const Plan plan = problem.plan(rows_per_tile, ctas, min_tiles);
  PlannedAttention planned(problem.args(), plan);
  for (int cta = plan.ctas() - 1; cta >= 0; --cta) planned.do_cta(cta);
  for (std::size_t m = 0; m < plan.merges.size(); ++m) planned.do_merge(static_cast<int>(m));
  const AttentionResult exact = attend_dense(problem.args(), Arithmetic::exact);
  double error = 0;
  for (std::size_t i = 0; i < exact.out.size(); ++i) {
    error = std::max(error, std::fabs(static_cast<double>(planned.out()[i]) - exact.out[i]));
  }
  double largest_value = 1;
  for (const double x : exact.out) largest_value = std::max(largest_value, std::fabs(x));
  BOOST_TEST_CONTEXT(shape.text() << " rows " << rows_per_tile << " ctas " << ctas) {
    BOOST_TEST(error <= 2e-5 * largest_value);
    for (std::size_t i = 0; i < exact.lse.size(); ++i) {
      const auto lse = static_cast<double>(planned.lse()[i]);
      BOOST_TEST(
          (lse == exact.lse[i] || std::fabs(lse - exact.lse[i]) <= 2e-5 * (1 + std::fabs(exact.lse[i]))));
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(references)

BOOST_AUTO_TEST_CASE(planned_equals_dense_on_random_problems) {
  std::mt19937_64 random(99);
  const auto of = [&](std::initializer_list<int> values) { return values.begin()[random() % values.size()]; };
  for (int round = 0; round < 250; ++round) {
    ProblemShape shape;
    shape.type = kKvTypes[random() % std::size(kKvTypes)];
    shape.q_type = shape.type == KvType::bf16 || (shape.type != KvType::fp16 && round % 2 == 0)
                       ? QueryType::bf16
                       : QueryType::fp16;
    shape.mla = round % 10 == 0;
    shape.head_size = shape.mla ? 576 : of({64, 128, 192, 256});
    shape.kv_heads = shape.mla ? 1 : of({1, 2});
    shape.group = of({1, 2, 3, 4, 5, 6, 7, 8, 16});
    shape.page_size = of({8, 16, 32, 64, 128});
    shape.window = of({0, 0, 1, 128, 1024});
    shape.sink_tokens = of({0, 4, 100});
    shape.soft_cap = round % 4 == 0 ? 20.0F : 0.0F;
    shape.sink_logits = round % 3 == 0;
    shape.alibi = round % 5 == 0;
    shape.tensor_scale = round % 7 == 0;
    shape.heads_outside = round % 2 == 0;
    shape.shared_pages = of({0, 3});
    shape.seed = random();
    const int requests = of({1, 3, 6});
    for (int r = 0; r < requests; ++r) {
      const int page = shape.page_size;
      const int length = of({0, 1, page - 1, page, page + 1, 63, 64, 65, 113, 127, 128, 129,
                             shape.head_size == 64 ? 513 : 150});
      shape.kv_len.push_back(length);
      shape.q_len.push_back(std::min(of({1, 1, 2, 3, 5, 8, 17}), std::max(1, length)));
    }
    check(shape, of({16, 64}), of({1, 3, 50}), of({1, 4}));
  }
}

BOOST_AUTO_TEST_CASE(long_requests) {
  ProblemShape shape;
  shape.group = 2;
  shape.page_size = 16;
  shape.q_len = {1, 1, 1, 1};
  shape.kv_len = {4097, 1023, 1024, 1025};
  check(shape, 16, 7, 1);
  shape.window = 1024;
  shape.sink_tokens = 4;
  check(shape, 16, 7, 1);
  shape.group = 1;
  shape.sink_tokens = 0;
  shape.q_len = {113, 500};
  shape.kv_len = {1025, 511};
  for (const int window : {0, 128}) {
    shape.window = window;
    check(shape, 64, 5, 1);
  }
}

// A batch of 64 ragged requests.
BOOST_AUTO_TEST_CASE(wide_batches) {
  ProblemShape shape;
  shape.group = 4;
  for (int r = 0; r < 64; ++r) {
    shape.q_len.push_back(1);
    shape.kv_len.push_back(r * r % 300);
  }
  for (const int ctas : {1, 17, 132}) check(shape, 16, ctas, 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::kernels
