// The CPU backend's attention against dense attention in double precision, over the fuzz list: every storage
// type, group, head size, page size, window, sink and query length.
#include <boost/test/unit_test.hpp>
#include <random>

#include "kernels/cpu/backend.h"
#include "kernels/reference/judge.h"
#include "kernels/reference/problem.h"

namespace kvcast::kernels {
namespace {

/// FlashAttention 3's rule, and the same bits from one, two and five threads.
void check(const ProblemShape& shape) {
  Problem problem(shape);
  std::vector<std::uint16_t> first;
  for (const int count : {1, 2, 5}) {
    cpu::Threads threads(count);
    problem.poison();
    cpu::attention(threads, problem.args());
    if (first.empty()) first = problem.out_bits();
    BOOST_TEST_CONTEXT(shape.text() << " threads " << count) { BOOST_TEST((problem.out_bits() == first)); }
  }
  const std::vector<double> out = problem.out();
  BOOST_TEST_CONTEXT(shape.text()) { BOOST_TEST(judge(problem.args(), out, problem.lse()) == ""); }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cpu_attention)

BOOST_AUTO_TEST_CASE(every_storage_type_and_group) {
  for (const KvType type : kKvTypes) {
    for (int group = 1; group <= 16; ++group) {
      ProblemShape shape;
      shape.type = type;
      shape.q_type = type == KvType::fp16 ? QueryType::fp16 : QueryType::bf16;
      shape.group = group;
      shape.q_len = {1, 1, 3};
      shape.kv_len = {1, 130, 65};
      shape.seed = static_cast<std::uint64_t>(group);
      check(shape);
    }
  }
}

BOOST_AUTO_TEST_CASE(random_problems) {
  std::mt19937_64 random(7);
  const auto of = [&](std::initializer_list<int> values) { return values.begin()[random() % values.size()]; };
  for (int round = 0; round < 120; ++round) {
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
    for (int r = of({1, 3, 6}); r > 0; --r) {
      const int page = shape.page_size;
      const int length = of({0, 1, page - 1, page, page + 1, 63, 64, 65, 113, 127, 128, 129, 257});
      shape.kv_len.push_back(length);
      shape.q_len.push_back(std::min(of({1, 1, 2, 3, 5, 8, 17}), std::max(1, length)));
    }
    check(shape);
  }
}

BOOST_AUTO_TEST_CASE(long_requests) {
  ProblemShape shape;
  shape.group = 2;
  shape.q_len = {1, 1, 1, 8};
  shape.kv_len = {4097, 1023, 1024, 1025};
  check(shape);
  shape.window = 1024;
  shape.sink_tokens = 4;
  check(shape);
  shape.group = 1;
  shape.sink_tokens = 0;
  shape.q_len = {113, 300};
  shape.kv_len = {1025, 511};
  for (const int window : {0, 128}) {
    shape.window = window;
    check(shape);
  }
}

// The longest queries of the list, and its head size that no GPU kernel has: here alone, and against double
// precision.
BOOST_AUTO_TEST_CASE(prompts_of_2048_tokens) {
  ProblemShape shape;
  shape.q_len = {2048, 1};
  shape.kv_len = {2048, 512};
  check(shape);
  shape.head_size = 192;
  shape.kv_len = {2060, 513};
  shape.window = 128;
  shape.sink_tokens = 4;
  check(shape);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::kernels
