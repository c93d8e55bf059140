// The fuzz list through the GPU kernels' own code on the emulated CTA, with race checks, against dense
// attention in double precision.
#include <sys/mman.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <random>

#include "kernels/emulation/attention.h"
#include "kernels/reference/judge.h"
#include "kernels/reference/problem.h"

namespace kvcast::kernels {
namespace {

const Variant& variant_of(KvType type, int head_size, Form form) {
  for (const Variant& v : attention_variants()) {
    if (v.type == type && v.head_size == head_size && v.form == form) return v;
  }
  throw std::runtime_error("no such variant");
}

QueryType query_type_for(KvType type, bool half) {
  if (type == KvType::bf16) return QueryType::bf16;
  if (type == KvType::fp16) return QueryType::fp16;
  return half ? QueryType::fp16 : QueryType::bf16;
}

/// Runs a problem through a variant and judges it.
void check(const ProblemShape& shape, const Variant& variant, int ctas, int min_tiles, std::uint64_t order) {
  Problem problem(shape);
  BOOST_TEST_REQUIRE(check_attention(problem.args()) == "");
  const Plan plan = problem.plan(variant.rows_per_tile, ctas, min_tiles);
  BOOST_TEST_CONTEXT(form_name(variant.form)
                     << " " << shape.text() << " ctas " << ctas << " order " << order) {
    BOOST_REQUIRE_NO_THROW(
        run_emulated(variant, problem.args(), plan, {.check_races = true, .order_seed = order}));
    BOOST_TEST(judge(problem.args(), problem.out(), problem.lse()) == "");
  }
}

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(seed) {}
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }
  std::uint64_t seed() { return random_(); }

 private:
  std::mt19937_64 random_;
};

/// A random problem for a variant, with lengths at the borders of pages and tiles.
ProblemShape random_shape(const Variant& variant, Draw& draw) {
  ProblemShape shape;
  shape.type = variant.type;
  shape.head_size = variant.head_size;
  shape.q_type = query_type_for(variant.type, draw.below(2) == 0);
  shape.mla = variant.head_size == 576;
  shape.kv_heads = shape.mla ? 1 : draw.of({1, 2, 3});
  shape.group = 1 + static_cast<int>(draw.below(16));
  if (variant.form == Form::mla_wide) shape.group = draw.of({16, 24, 64});
  shape.page_size = draw.of({8, 16, 32, 64, 128});
  shape.window = draw.of({0, 0, 1, 17, 64, 128});
  shape.sink_tokens = draw.of({0, 0, 1, 4, 70});
  shape.soft_cap = draw.of({0.0F, 0.0F, 0.0F, 3.0F});
  shape.sink_logits = draw.below(3) == 0;
  shape.alibi = draw.below(4) == 0;
  shape.heads_outside = draw.below(2) == 0;
  shape.tensor_scale = draw.below(4) == 0;
  shape.scale_spread = draw.of({0.0F, 0.0F, 4.0F});
  shape.q_magnitude = draw.of({1.0F, 1.0F, 64.0F});
  shape.shared_pages = draw.of({0, 0, 2});
  shape.seed = draw.seed();
  const int requests = draw.of({1, 2, 3, 5});
  int q_max = draw.of({8, 17, 40});
  if (shape.mla) q_max = 2;
  if (variant.form == Form::prefill_hopper) q_max = draw.of({40, 130});
  if (variant.form == Form::decode) q_max = 16 / shape.group;
  for (int r = 0; r < requests; ++r) {
    const int page = shape.page_size;
    const int length =
        draw.of({0, 1, page - 1, page, page + 1, 2 * page + 1, 63, 64, 65, 113, 127, 128, 129, 193});
    const int q = 1 + static_cast<int>(draw.below(static_cast<std::size_t>(q_max)));
    shape.q_len.push_back(std::min(q, std::max(length, 1)));
    shape.kv_len.push_back(length);
  }
  return shape;
}

bool is_paged(const Variant& variant) {
  return variant.form == Form::decode || variant.form == Form::prefill;
}

/// Every variant of a kind on random problems.
template <class Kind>
void check_variants(std::uint64_t seed, int problems, Kind kind) {
  Draw draw(seed);
  int found = 0;
  for (const Variant& variant : attention_variants()) {
    if (!kind(variant)) continue;
    ++found;
    for (int i = 0; i < problems; ++i) {
      const ProblemShape shape = random_shape(variant, draw);
      check(shape, variant, draw.of({1, 3, 7}), draw.of({1, 2}), draw.below(2) * draw.seed());
    }
  }
  BOOST_TEST(found > 0);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(attention)

BOOST_AUTO_TEST_CASE(variants_of_16_bit_caches) {
  check_variants(1, 8, [](const Variant& v) { return is_paged(v) && kv_bits(v.type) == 16; });
}
BOOST_AUTO_TEST_CASE(variants_of_8_bit_caches) {
  check_variants(2, 8, [](const Variant& v) { return is_paged(v) && kv_bits(v.type) == 8; });
}
BOOST_AUTO_TEST_CASE(variants_of_4_bit_caches) {
  check_variants(3, 8, [](const Variant& v) { return is_paged(v) && kv_bits(v.type) == 4; });
}
BOOST_AUTO_TEST_CASE(latent_variants) {
  check_variants(4, 8, [](const Variant& v) { return v.head_size == 576; });
}
BOOST_AUTO_TEST_CASE(hopper_variants) {
  check_variants(5, 12, [](const Variant& v) { return v.form == Form::prefill_hopper; });
}

BOOST_AUTO_TEST_CASE(every_group_size_and_query_length) {
  for (int group = 1; group <= 16; ++group) {
    for (int q = 1; q <= 8; ++q) {
      ProblemShape shape;
      shape.group = group;
      shape.q_len = {q, 1};
      shape.kv_len = {70 + q, 20};
      shape.seed = static_cast<std::uint64_t>(group * 10 + q);
      check(shape, variant_of(KvType::bf16, 64, q * group <= 16 ? Form::decode : Form::prefill), 2, 1, 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_page_size_window_and_type) {
  int count = 0;
  for (const KvType type : kKvTypes) {
    for (const int page : {8, 16, 32, 64, 128}) {
      for (const int window : {0, 1, 128}) {
        ProblemShape shape;
        shape.type = type;
        shape.q_type = query_type_for(type, true);
        shape.group = 3;
        shape.page_size = page;
        shape.window = window;
        shape.sink_tokens = ++count % 2 * 5;
        shape.q_len = {2, 1};
        shape.kv_len = {200, page + 1};
        check(shape, variant_of(type, 64, Form::decode), 3, 1, 0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(long_contexts_and_long_prompts) {
  ProblemShape shape;
  shape.group = 4;
  shape.q_len = {1, 1, 1};
  shape.kv_len = {4097, 1023, 1025};
  check(shape, variant_of(KvType::bf16, 64, Form::decode), 5, 1, 0);
  shape.window = 1024;
  shape.sink_tokens = 4;
  check(shape, variant_of(KvType::bf16, 64, Form::decode), 5, 1, 0);
  shape.group = 1;
  shape.q_len = {113, 17};
  shape.kv_len = {513, 17};
  for (const int window : {0, 128}) {
    shape.window = window;
    check(shape, variant_of(KvType::bf16, 64, Form::prefill), 4, 1, 0);
    check(shape, variant_of(KvType::bf16, 64, Form::prefill_hopper), 4, 1, 0);
  }
}

// Prompts of 2,048 tokens; a window keeps the emulated work to seconds. The whole triangle is what the CPU
// backend's test has.
BOOST_AUTO_TEST_CASE(prompts_of_2048_tokens) {
  ProblemShape shape;
  shape.q_len = {2048};
  shape.kv_len = {2048};
  shape.window = 128;
  check(shape, variant_of(KvType::bf16, 64, Form::prefill), 6, 1, 0);
  shape.kv_len = {2049};
  check(shape, variant_of(KvType::bf16, 64, Form::prefill_hopper), 6, 1, 0);
}

// A moving error is a race: the same bits twice, and whatever the order in which threads take their turns.
BOOST_AUTO_TEST_CASE(results_do_not_depend_on_the_order_of_threads) {
  for (const Form form : {Form::decode, Form::prefill, Form::prefill_hopper}) {
    for (const KvType type : {KvType::bf16, KvType::int4}) {
      if (form == Form::prefill_hopper && type != KvType::bf16) continue;
      ProblemShape shape;
      shape.type = type;
      shape.q_type = query_type_for(type, false);
      shape.head_size = 128;
      shape.group = 5;
      shape.q_len = {3, 1, 2};
      shape.kv_len = {300, 65, 129};
      Problem problem(shape);
      const Variant& variant = variant_of(type, 128, form);
      const Plan plan = problem.plan(variant.rows_per_tile, 4, 1);
      run_emulated(variant, problem.args(), plan, {});
      const std::vector<std::uint16_t> first = problem.out_bits();
      for (const std::uint64_t order : {0U, 1U, 2U, 3U}) {
        problem.poison();
        run_emulated(variant, problem.args(), plan, {.check_races = false, .order_seed = order});
        BOOST_TEST(problem.out_bits() == first);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(however_the_work_is_divided) {
  for (const int ctas : {1, 2, 3, 8, 100}) {
    ProblemShape shape;
    shape.kv_heads = 2;
    shape.group = 2;
    shape.q_len = {1, 1, 1, 1};
    shape.kv_len = {700, 3, 0, 129};
    check(shape, variant_of(KvType::bf16, 64, Form::decode), ctas, 1, 0);
    check(shape, variant_of(KvType::bf16, 64, Form::prefill), ctas, 1, 0);
  }
}

// Pages beyond 2^31 bytes: offsets must be computed in 64 bits.
BOOST_AUTO_TEST_CASE(caches_beyond_two_gigabytes) {
  constexpr std::int64_t kStride = 1 << 20;
  constexpr std::int32_t kPage = 5000;
  ProblemShape shape;
  shape.q_len = {1};
  shape.kv_len = {16};
  Problem problem(shape);
  AttentionArgs args = problem.args();
  const std::size_t bytes = static_cast<std::size_t>(kStride) * (kPage + 1);
  const auto far_copy = [&](const std::uint8_t* from) {
    void* space =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    BOOST_TEST_REQUIRE(space != MAP_FAILED);
    auto* base = static_cast<std::uint8_t*>(space);
    std::memcpy(base + kPage * kStride, from + args.block_table[0] * args.cache.page_stride,
                static_cast<std::size_t>(args.cache.page_stride));
    return base;
  };
  std::uint8_t* k = far_copy(args.cache.k);
  std::uint8_t* v = far_copy(args.cache.v);
  args.cache.k = k;
  args.cache.v = v;
  args.cache.page_stride = kStride;
  args.block_table = &kPage;
  const Variant& variant = variant_of(KvType::bf16, 64, Form::decode);
  run_emulated(variant, args, problem.plan(variant.rows_per_tile, 1, 1), {});
  BOOST_TEST(judge(args, problem.out(), problem.lse()) == "");
  munmap(k, bytes);
  munmap(v, bytes);
}

BOOST_AUTO_TEST_CASE(the_form_follows_rows_and_device) {
  ProblemShape shape;
  shape.group = 4;
  shape.q_len = {1};
  shape.kv_len = {1};
  const Problem problem(shape);
  AttentionArgs args = problem.args();
  const Device hopper = {.compute_capability = 90, .shared_bytes_max = 227 * 1024};
  const Device ada = {.compute_capability = 89, .shared_bytes_max = 99 * 1024};
  const auto form = [&](int q_len, const Device& device) {
    return choose_variant(args, q_len, device)->form;
  };
  BOOST_TEST((form(4, hopper) == Form::decode));
  BOOST_TEST((form(5, hopper) == Form::prefill));
  BOOST_TEST((form(17, hopper) == Form::prefill_hopper));
  BOOST_TEST((form(17, ada) == Form::prefill));
  args.head_size = 256;
  BOOST_TEST((form(17, hopper) == Form::prefill));
  args.head_size = 576;
  BOOST_TEST((form(4, hopper) == Form::mla));
  BOOST_TEST((form(32, hopper) == Form::mla_wide));
  BOOST_TEST((form(32, ada) == Form::mla));
  args.head_size = 96;
  BOOST_TEST(choose_variant(args, 1, hopper) == nullptr);
  // What is chosen for a device fits it.
  for (const Variant& variant : attention_variants()) {
    if (variant.form == Form::decode || variant.form == Form::prefill || variant.form == Form::mla) {
      BOOST_TEST(variant.shared_bytes <= ada.shared_bytes_max);
    }
    BOOST_TEST(variant.shared_bytes <= hopper.shared_bytes_max);
  }
}

BOOST_AUTO_TEST_CASE(what_the_kernels_do_not_take_is_said) {
  ProblemShape shape;
  shape.q_len = {1};
  shape.kv_len = {5};
  const Problem problem(shape);
  const auto with = [&](auto change) {
    AttentionArgs args = problem.args();
    change(args);
    return check_attention(args);
  };
  BOOST_TEST(with([](AttentionArgs&) {}) == "");
  BOOST_TEST(with([](AttentionArgs& a) { a.kv_heads = 0; }) == "kv_heads must divide q_heads");
  BOOST_TEST(with([](AttentionArgs& a) { a.q_heads = 17; }) == "more than 16 query heads for each KV head");
  BOOST_TEST(with([](AttentionArgs& a) { a.head_size = 96; }) ==
             "head_size must be 64, 128 or 256, or 576 (latent)");
  BOOST_TEST(with([](AttentionArgs& a) { a.value_size = 32; }) ==
             "value_size must be head_size (latent: 512)");
  BOOST_TEST(with([](AttentionArgs& a) { ++a.q; }) ==
             "rows of q and out must start at multiples of 16 bytes");
  BOOST_TEST(with([](AttentionArgs& a) { a.q_type = QueryType::fp16; }) ==
             "a 16-bit cache must have the type of the queries");
  BOOST_TEST(with([](AttentionArgs& a) { a.window = -1; }) ==
             "window, sink_tokens and soft_cap must not be negative");
  BOOST_TEST(with([](AttentionArgs& a) { a.cache.page_size = 24; }) ==
             "page_size must be 8, 16, 32, 64 or 128");
  BOOST_TEST(with([](AttentionArgs& a) { a.cache.token_stride = 8; }) ==
             "rows of the cache must start at multiples of 16 bytes");
  BOOST_TEST(with([](AttentionArgs& a) { a.cache.token_stride = 64; }) == "token_stride is less than a row");
  BOOST_TEST(with([](AttentionArgs& a) {
               a.cache.type = KvType::int8;
               a.cache.k_scale = nullptr;
             }) == "this storage type needs k_scale and v_scale");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::kernels
